"""Fixtures: the application, and its pages in Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext, BrowserContext, ConsoleMessage, Page


class Site:
    """The application and the tabs that show it.

    Args:
        url: Its address. Tabs may take another way to it, ``browser_url``.
        context: The browser that opens tabs.
    """

    def __init__(self, url: str, context: BrowserContext) -> None:  # noqa: F811 - no fixture
        self.url = self.browser_url = url
        self.context = context
        self.api: APIRequestContext = context.request
        self.complaints: list[str] = []

    def post(self, path: str, values: dict[str, Any] | None = None) -> None:
        assert self.api.post(f"{self.url}{path}", data=values).ok

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.api.get(f"{self.url}/test/state").text())
        return found

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition(found := self.state()):
            assert time.monotonic() < deadline, found

    def open(self, path: str, connected: int = 1) -> Page:
        page = self.context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.browser_url}{path}")
        self.wait(lambda state: state["connected"] == connected)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        expected = "Failed to load resource" in message.text or message.text.startswith("htmx: htmx:response:error")
        if message.type in {"error", "warning"} and not expected:
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.script.app:app") as server:
        yield server


@pytest.fixture
def site(server: Server, context: BrowserContext) -> Iterator[Site]:  # noqa: F811 - the fixture
    found = Site(server.url, context)
    found.wait(lambda state: state["connected"] == 0)
    found.post("/test/reset")
    yield found
    assert not found.complaints
