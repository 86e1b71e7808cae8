"""What browsers make of cookies that change while streams are open, with htmx 2, htmx 4 and Turbo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext

pytestmark = pytest.mark.parametrize("client", ["htmx2", "htmx4", "turbo"])
CONFIDENTIAL = "confidential"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.cookies_app:app") as server:
        yield server


class Site:
    def __init__(self, api: APIRequestContext, url: str, context: BrowserContext) -> None:  # noqa: F811 - no fixture
        self._api = api
        self._url = url
        self._context = context

    def post(self, path: str) -> None:
        assert self._api.post(f"{self._url}{path}").ok

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.get(f"{self._url}/state").json()
        return found

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition(found := self.state()):
            assert time.monotonic() < deadline, found

    def open(self, client: str, connected: int) -> Page:
        page = self._context.new_page()
        page.goto(f"{self._url}/{client}")
        self.wait(lambda state: state["connected"] == connected)
        return page


@pytest.fixture
def site(server: Server, context: BrowserContext) -> Site:  # noqa: F811 - the fixture
    found = Site(context.request, server.url, context)
    found.wait(lambda state: state["connected"] == 0)
    found.post("/publish?title=nothing")
    found.post("/sign-in")
    return found


def test_a_tab_that_has_signed_out_gets_nothing_more(site: Site, client: str) -> None:
    page = site.open(client, 1)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    site.post("/sign-out")
    site.post(f"/publish?title={CONFIDENTIAL}")
    site.wait(lambda state: state["connected"] == 0)
    expect(page.locator("#title")).to_have_text("nothing")
    assert len([url for url in requests if "/_reactive/live" in url]) <= 1
    assert CONFIDENTIAL not in page.content()


def test_a_cart_in_a_cookie_is_current_in_every_tab(site: Site, client: str) -> None:
    one, two = site.open(client, 1), site.open(client, 2)
    for number in range(1, 4):
        site.post("/add")
        expect(one.locator("#cart")).to_have_text(f"{number} in cart")
        expect(two.locator("#cart")).to_have_text(f"{number} in cart")


def test_tokens_that_can_be_used_once_reach_the_browser(site: Site, client: str) -> None:
    one, two = site.open(client, 1), site.open(client, 2)
    for number in range(1, 4):
        site.post(f"/publish?expire=true&title=change+{number}")
        expect(one.locator("#title")).to_have_text(f"change {number}")
        expect(two.locator("#title")).to_have_text(f"change {number}")
    one.reload()
    expect(one.locator("#title")).to_have_text("change 3")
    assert site.state()["thefts"] == 0
