"""Two tabs of a real browser make equal requests, so they share the runs of their page."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.equal_app:app") as server:
        yield server


@pytest.mark.parametrize("client", ["htmx2", "htmx4", "turbo"])
def test_two_tabs_share_a_run(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    def state() -> dict[str, int]:
        found: dict[str, int] = context.request.get(f"{server.url}/state").json()
        return found

    def connected(count: int) -> None:
        deadline = time.monotonic() + 60
        while state()["connected"] != count:
            assert time.monotonic() < deadline

    connected(0)
    tabs = []
    for count in (1, 2):
        tabs.append(context.new_page())
        tabs[-1].goto(f"{server.url}/{client}")
        connected(count)
    for _ in range(20):  # right after an update, tabs may not meet
        before = state()
        assert context.request.post(f"{server.url}/add").ok
        for tab in tabs:
            expect(tab.locator("#number")).to_have_text(str(before["number"] + 1))
        if state()["runs"] == before["runs"] + 1:
            return
    pytest.fail("each tab has runs of its own")
