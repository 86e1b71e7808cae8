"""The smallest complete program does what the README describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from .support import Server


def test_a_name_signed_in_one_page_shows_in_the_other(smallest: Server, open_page: Callable[[str], Page]) -> None:
    one, other = open_page(smallest.url), open_page(smallest.url)
    one.get_by_label("Your name").fill("Ada")
    one.get_by_role("button", name="Sign").click()
    for page in (one, other):
        expect(page.locator("#names li")).to_have_text(["Ada"])
        expect(page.locator("#count")).to_have_text("1 on the list")
