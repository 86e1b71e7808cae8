"""Compressed streams in Chromium, with both versions of htmx and with the live script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, Response, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving
from tests.script.proxy import Path

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext

LONG = 4000
WATCH = """() => {
  window.seen = []
  const element = document.querySelector("#text"), note = () => seen.push(element.textContent)
  new MutationObserver(note).observe(element, {childList: true, characterData: true, subtree: true})
}"""
clients = pytest.mark.parametrize("client", ["htmx2", "htmx4", "script"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.compression_app:app") as server:
        yield server


@pytest.fixture
def path(server: Server) -> Iterator[Path]:
    path = Path(server.url)
    yield path
    path.close()


def change(api: APIRequestContext, server: Server, length: int = 0) -> int:
    return int(api.post(f"{server.url}/change?length={length}").text())


def open_page(context: BrowserContext, server: Server, url: str, encodings: list[str | None]) -> Page:  # noqa: F811 - the fixture
    """Open a page, wait until its stream is connected, and note how each stream is encoded."""

    def note(response: Response) -> None:
        if "/live?" in response.url:
            encodings.append(response.headers.get("content-encoding"))

    page = context.new_page()
    page.on("response", note)
    page.goto(url)
    wait_for_viewers(page, server, 1)
    return page


def wait_for_viewers(page: Page, server: Server, count: int) -> None:
    for _ in range(600):
        if page.context.request.get(f"{server.url}/connected").text() == str(count):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"there are not {count} viewers")


@clients
def test_a_browser_gets_each_change_of_a_compressed_stream_at_once(
    context: BrowserContext,  # noqa: F811 - the fixture
    server: Server,
    client: str,
) -> None:
    encodings: list[str | None] = []
    page = open_page(context, server, f"{server.url}/{client}", encodings)
    for _ in range(3):
        number = change(page.context.request, server, LONG)
        expect(page.locator("#number")).to_have_text(str(number))
        expect(page.locator("#text")).to_have_text(re.compile(rf"^{number} \w{{{LONG}}} {number}$"))
    assert encodings == ["gzip"]
    page.close()
    viewer = context.new_page()
    wait_for_viewers(viewer, server, 0)


@clients
def test_an_update_that_is_cut_in_the_middle_is_not_applied_and_comes_whole_after_the_reconnect(
    context: BrowserContext,  # noqa: F811 - the fixture
    server: Server,
    path: Path,
    client: str,
) -> None:
    encodings: list[str | None] = []
    page = open_page(context, server, f"{path.url}/{client}", encodings)
    first = change(page.context.request, server, LONG)
    expect(page.locator("#text")).to_have_text(re.compile(rf" {first}$"))
    page.evaluate(WATCH)
    path.cut_after(LONG // 4)
    second = change(page.context.request, server, LONG)
    expect(page.locator("#text")).to_have_text(re.compile(rf" {second}$"), timeout=30_000)
    assert path.cuts == 1
    assert encodings == ["gzip", "gzip"]
    whole = partial(re.fullmatch, rf"{second} \w{{{LONG}}} {second}|")  # htmx 2 empties an element first
    assert all(whole(text) for text in page.evaluate("seen"))
    page.close()
    viewer = context.new_page()
    wait_for_viewers(viewer, server, 0)
