"""Fixtures: the application, and one tab that shows its pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.support import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Site:
    """The application and a tab.

    Args:
        server: The application.
        tab: The tab, which shows one page after the other.
    """

    def __init__(self, server: Server, tab: Page) -> None:
        self.url = server.url
        self.tab = tab
        self.complaints: list[str] = []
        self._numbers = itertools.count()
        tab.on("pageerror", lambda error: self.complaints.append(error.stack or str(error)))

    def show(self, client: str, declared: dict[str, Any]) -> str:
        """Declare a page and show it. Return its name."""
        name = f"page{next(self._numbers)}"
        answer = self.tab.request.post(f"{self.url}/declare/{client}/{name}", data=declared)
        assert answer.ok, answer.text()
        self.tab.goto(f"{self.url}/{name}")
        return name

    def change(self, name: str, values: dict[str, Any], version: int) -> bool:
        """Change what a page shows. Return whether the tab has shown it, as the change of a number says."""
        return bool(self.tab.evaluate("rest => change(...rest)", [name, values, version]))

    def drive(self, client: str, declared: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
        """Show a page, do what the steps say, and return what differs from a reload."""
        name = self.show(client, declared)
        found: dict[str, Any] = self.tab.evaluate("([name, steps]) => drive(name, steps)", [name, steps])
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.fidelity.app:app") as server:
        yield server


@pytest.fixture(scope="module")
def site(server: Server, browser: Browser) -> Iterator[Site]:
    context = browser.new_context()
    yield Site(server, context.new_page())
    context.close()
