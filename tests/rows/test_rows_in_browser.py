"""What updates of single rows leave alone in a browser, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

pytestmark = pytest.mark.parametrize("client", ["live2", "live4", "alone"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.rows.app:app") as server:
        yield server


# Keeps what comes over the stream.
WATCH = """
window.events = []
const Native = window.EventSource
window.EventSource = class extends Native {
  set onmessage(listener) {
    super.onmessage = event => {
      listener(event)
      window.events.push(event.data)
    }
  }
}"""


class Tab:
    """A page with rows, which has been sent each list once."""

    def __init__(self, server: Server, context: BrowserContext, client: str, count: int) -> None:  # noqa: F811 - no fixture
        self.server, self.context = server, context
        self.post(f"fill?seed=3&count={count}")
        self.page: Page = context.new_page()
        self.page.add_init_script(WATCH)
        self.page.goto(f"{server.url}/{client}")
        expect(self.page.locator("html[data-live=connected]")).to_have_count(1)
        self.change("edit?number=1&name=uno")

    def post(self, path: str) -> str:
        answer = self.context.request.post(f"{self.server.url}/{path}")
        assert answer.ok
        return answer.text()

    def change(self, path: str) -> list[str]:
        """Make a change, and return the events that bring it."""
        before = self.page.evaluate("window.events.length")
        expect(self.page.locator("#steps")).to_have_text(self.post(path))
        events: list[str] = self.page.evaluate(f"window.events.slice({before})")
        return events


def of_list(events: list[str]) -> str:
    (event,) = (event for event in events if event.startswith('{"id":"list",'))
    return event


def test_one_of_500_rows_takes_at_most_400_bytes(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    tab = Tab(server, context, client, 500)
    event = of_list(tab.change("edit?number=250&name=changed"))
    assert len(event.encode()) <= 300  # the rest is for the id and the fields of the stream's format
    expect(tab.page.locator("#list li b").nth(250)).to_have_text("changed")


def test_other_rows_keep_their_nodes_focus_and_typed_text(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    tab = Tab(server, context, client, 20)
    page = tab.page
    page.evaluate("window.kept = [...document.querySelectorAll('#list li')].slice(5)")
    page.locator("#list input").nth(9).fill("typed")
    for path in ("edit?number=2&name=changed", "insert?number=1", "remove?number=3", "insert?number=0"):
        assert '"rows":' in of_list(tab.change(path))
    assert page.evaluate("window.kept.every((node, i) => node == document.querySelectorAll('#list li')[i + 6])")
    expect(page.locator("#list input").nth(10)).to_have_value("typed")
    expect(page.locator("#list input").nth(10)).to_be_focused()


def test_a_row_is_added_before_the_first_one_as_that_changes(
    server: Server,
    context: BrowserContext,  # noqa: F811 - the fixture
    client: str,
) -> None:
    tab = Tab(server, context, client, 20)
    ids = "[...document.querySelectorAll('#list li')].map(node => node.id)"
    before = tab.page.evaluate(ids)
    assert '"rows":' in of_list(tab.change("edit?number=0&name=changed&insert=true"))
    expect(tab.page.locator("#list b").nth(1)).to_have_text("changed")
    after = tab.page.evaluate(ids)
    assert [after[0], *after[2:]] == before


def test_a_moved_row_is_the_same_element(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    tab = Tab(server, context, client, 20)
    ids = "[...document.querySelectorAll('#list li')].map(node => node.id)"
    before = tab.page.evaluate(ids)
    tab.page.evaluate("window.all = [...document.querySelectorAll('#list li')]")
    assert len(of_list(tab.change("move?number=15&to=2"))) < 150
    moved = before.pop(16)
    assert tab.page.evaluate(ids) == [*before[:3], moved, *before[3:]]
    assert tab.page.evaluate("window.all.every(node => node == document.getElementById(node.id) || !node.id)")


def test_a_held_row_is_changed_when_it_is_released(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    tab = Tab(server, context, client, 20)
    row = tab.page.locator("#list li").nth(5)
    old = tab.page.locator("#list b").nth(4).text_content()
    row.evaluate("node => node.setAttribute('data-live-hold', '')")
    tab.change("edit?number=4&name=held")
    tab.change("edit?number=6&name=free")
    expect(tab.page.locator("#list b").nth(6)).to_have_text("free")
    expect(tab.page.locator("#list b").nth(4)).to_have_text(old or "")
    row.evaluate("node => node.removeAttribute('data-live-hold')")
    expect(tab.page.locator("#list b").nth(4)).to_have_text("held")
    assert '"rows":' in of_list(tab.change("edit?number=5&name=next"))
    expect(tab.page.locator("#list b").nth(5)).to_have_text("next")


def test_rows_that_a_script_has_moved_are_put_right(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    tab = Tab(server, context, client, 20)
    ids = "[...document.querySelectorAll('#list li')].map(node => node.id)"
    before = tab.page.evaluate(ids)
    tab.page.evaluate(
        "document.querySelector('#list li:nth-child(8)').after(document.querySelector('#list li:nth-child(3)'))"
    )
    assert tab.page.evaluate(ids) != before
    assert '"rows":' in of_list(tab.change("edit?number=15&name=changed"))
    assert tab.page.evaluate(ids) == before
