"""Fixtures: servers, and pages in Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from .support import Server, running_example, running_smallest, watched_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

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
    with watched_pages(context) as opened:
        yield opened
