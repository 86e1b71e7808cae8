"""Deferred values in Chromium, with both versions of htmx, with the live script and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.deferred_app:app") as server:
        yield server


@pytest.fixture
def api(context: BrowserContext, server: Server) -> Iterator[APIRequestContext]:  # noqa: F811 - the fixture
    context.request.post(f"{server.url}/change?total=1")
    context.request.post(f"{server.url}/hold")
    yield context.request
    context.request.post(f"{server.url}/release")


@pytest.mark.parametrize("client", ["htmx2", "htmx4", "script"])
def test_the_page_is_there_at_once_and_the_value_follows(
    context: BrowserContext,  # noqa: F811 - the fixture
    server: Server,
    api: APIRequestContext,
    client: str,
) -> None:
    page = context.new_page()
    page.goto(f"{server.url}/pages/{client}")
    expect(page.locator("#title")).to_have_text("Title 0")
    expect(page.locator("#revenue")).to_contain_text("Please wait.")
    expect(page.get_by_role("link", name="Show the revenue")).to_have_count(0)
    api.post(f"{server.url}/release")
    expect(page.locator("#revenue")).to_have_text("1")
    api.post(f"{server.url}/change?total=2")
    expect(page.locator("#revenue")).to_have_text("2")
    page.close()


def test_without_javascript_a_link_shows_the_value(browser: Browser, server: Server, api: APIRequestContext) -> None:
    with browser.new_context(java_script_enabled=False) as plain:
        page = plain.new_page()
        page.goto(f"{server.url}/pages/htmx2?sort=up")
        api.post(f"{server.url}/release")
        page.get_by_role("link", name="Show the revenue").click()
        expect(page.locator("#revenue")).to_have_text("1")
        assert page.url == f"{server.url}/pages/htmx2?sort=up&reactive-complete=1"
