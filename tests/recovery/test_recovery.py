"""A page in Chromium shows what changed while it was disconnected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .site import Site

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Browser, Page, expect

if TYPE_CHECKING:
    from collections.abc import Callable

    OpenPage = Callable[[], Page]

HIDE = """
  Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});
  Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => 'hidden'});
  document.dispatchEvent(new Event('visibilitychange'));
"""
SHOW = """
  delete document.hidden;
  delete document.visibilityState;
  document.dispatchEvent(new Event('visibilitychange'));
"""
PATIENCE = 60_000.0  # milliseconds; clients wait a few seconds before they reconnect

CLOSES_WHILE_HIDDEN = {"htmx2": False, "htmx4": True}


@pytest.fixture(scope="module")
def running_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("site")).running() as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Site:
    running_site.begin_anew()
    return running_site


@pytest.fixture(params=list(CLOSES_WHILE_HIDDEN))
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


def load(page: Page, site: Site, client: str) -> None:
    page.goto(f"{site.url}/pages/{client}")


def connected(page: Page, site: Site, client: str) -> None:
    """Load the page and wait for one change, so that the client knows an event id."""
    load(page, site, client)
    site.wait_until(lambda: site.viewers() == 1)
    site.change(1)
    shows(page, 1)


def shows(page: Page, number: int) -> None:
    expect(page.locator("#number")).to_have_text(str(number), timeout=PATIENCE)


def test_a_change_between_the_page_and_its_stream_arrives(page: Page, site: Site, client: str) -> None:
    site.tell(lambda: site.proxy.hold(b"/_reactive/live?"))
    load(page, site, client)
    shows(page, 0)
    site.wait_until(site.streams)
    site.change(1)
    site.tell(site.proxy.release)
    shows(page, 1)


def test_a_change_while_the_server_is_down_arrives_after_its_restart(page: Page, site: Site, client: str) -> None:
    connected(page, site, client)
    site.kill()
    site.number.write_text("2")
    page.wait_for_timeout(1000)
    shows(page, 1)
    site.start()
    shows(page, 2)


def test_a_change_after_the_server_has_answered_all_that_it_may_arrives_from_the_next_one(
    page: Page, site: Site, client: str
) -> None:
    site.kill()
    site.start("--limit-max-requests", "300")
    connected(page, site, client)
    site.reach_limit()
    site.number.write_text("2")
    site.start()
    shows(page, 2)
    site.change(3)
    shows(page, 3)


def test_a_change_while_a_proxy_answers_502_arrives_afterwards(page: Page, site: Site, client: str) -> None:
    connected(page, site, client)
    seen = len(site.streams())
    site.refuse()
    site.change(2)
    site.wait_until(lambda: len(site.streams()) >= seen + 2)
    shows(page, 1)
    site.accept()
    shows(page, 2)
    assert ("last-event-id:" in site.streams()[-1].lower()) == (client == "htmx4")
    site.change(3)
    shows(page, 3)


def test_a_change_while_the_tab_is_hidden_arrives_when_it_is_shown(page: Page, site: Site, client: str) -> None:
    connected(page, site, client)
    page.evaluate(HIDE)
    if CLOSES_WHILE_HIDDEN[client]:
        site.wait_until(lambda: site.viewers() == 0)
    site.change(2)
    if CLOSES_WHILE_HIDDEN[client]:
        page.wait_for_timeout(300)
        shows(page, 1)
    page.evaluate(SHOW)
    shows(page, 2)
    site.change(3)
    shows(page, 3)


def test_a_page_hidden_during_an_outage_shows_what_changed_when_it_is_shown(
    page: Page, site: Site, client: str
) -> None:
    connected(page, site, client)
    site.refuse()
    page.evaluate(HIDE)
    site.kill()
    site.number.write_text("2")
    site.start()
    site.accept()
    page.evaluate(SHOW)
    shows(page, 2)
