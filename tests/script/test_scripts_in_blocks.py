"""Scripts, and elements that load something, in a live block."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import serving


@pytest.mark.parametrize("htmx", [2, 4])
def test_what_an_update_adds_runs_once(context: BrowserContext, htmx: int) -> None:  # noqa: F811 - the fixture
    with serving("tests.script.scripts_app:app") as server:
        page = context.new_page()
        page.goto(f"{server.url}/pages/{htmx}")
        expect(page.locator("html")).to_have_attribute("data-live", "connected")
        for number in (1, 2, 3):
            with page.expect_response("**/loaded/second") if number == 1 else nullcontext():
                context.request.post(f"{server.url}/count")
            expect(page.locator(".count")).to_have_text(str(number))
        assert page.evaluate("runs") == ["first", "second"]
        assert context.request.post(f"{server.url}/count").json() == ["first", "second"]
        context.close()
