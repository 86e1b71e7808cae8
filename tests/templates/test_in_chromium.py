"""Chromium builds the pages of the tree tests as the verdict on their element says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is not installed")

from .tree_pages import FAULTY, SOUND, TreePage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IS_SOUND = """
([html, empty, content]) => {
  const written = () => {
    const found = document.querySelectorAll("#x")
    if (found.length != 1) return
    const inside = found[0].innerHTML
    found[0].replaceChildren()
    return { inside, outside: document.body.innerHTML }
  }
  const show = html => { document.open(); document.write(html); document.close(); return written() }
  const fresh = show(html), before = show(empty)
  if (!fresh || !before || fresh.outside != before.outside) return false
  const inert = document.implementation.createHTMLDocument().importNode(document.querySelector("#x"), false)
  inert.innerHTML = content
  return inert.innerHTML == fresh.inside
}
"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Page:
    return browser.new_page()


def is_sound(page: Page, case: TreePage) -> bool:
    return bool(page.evaluate(IS_SOUND, [case.html(), case.html(""), case.content]))


@pytest.mark.parametrize("case", [case for case in FAULTY if case.tag != "noscript"], ids=TreePage.template)
def test_an_update_builds_another_tree_than_the_page(page: Page, case: TreePage) -> None:
    assert not is_sound(page, case)


@pytest.mark.parametrize("case", SOUND, ids=TreePage.template)
def test_an_update_builds_the_tree_of_the_page(page: Page, case: TreePage) -> None:
    assert is_sound(page, case)
