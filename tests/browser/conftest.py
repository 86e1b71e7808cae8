"""Fixtures: servers, and pages in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from .support import Server, running_example, running_smallest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

OpenPage = Callable[[str], "Page"]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The example with an empty database."""
    with running_example(tmp_path_factory.mktemp("example") / "workspace.sqlite3") as server:
        yield server
    assert "Traceback" not in "".join(server.output)


@pytest.fixture(scope="module")
def smallest() -> Iterator[Server]:
    """The smallest complete program of the README."""
    with running_smallest() as server:
        yield server
    assert "Traceback" not in "".join(server.output)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext) -> Iterator[OpenPage]:
    """Return a function that opens an address in a new tab. Fail afterwards if a tab logged a warning or an error."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.type}: {message.text}")

    def open_page(url: str) -> Page:
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    assert not complaints
