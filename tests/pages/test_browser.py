"""Live pages in Chromium, with htmx 2, htmx 4 and Turbo."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving, watched_pages

if TYPE_CHECKING:
    from playwright.sync_api import APIRequestContext, ConsoleMessage

OpenPage = Callable[[str], Page]
FILM = """() => {
  const canvas = document.createElement("canvas"), film = document.querySelector("#film")
  setInterval(() => canvas.getContext("2d").fillRect(0, 0, Math.random() * 99, 9), 20)
  canvas.getContext("2d").fillRect(0, 0, 9, 9)
  film.srcObject = canvas.captureStream(30)
  window.film = film
  return film.play()
}"""

htmx = pytest.mark.parametrize("client", ["htmx2", "htmx4"])
every = pytest.mark.parametrize("client", ["htmx2", "htmx4", "turbo"])


@pytest.fixture
def open_page(context: BrowserContext) -> Iterator[OpenPage]:  # noqa: F811 - the fixture
    """Open a URL in a new tab. Fails at the end if a console has an error or a warning.

    htmx 4 warns that the sink has the attributes of htmx 2 as well, which is intended.
    """

    def is_expected(message: ConsoleMessage) -> bool:
        # htmx 2 logs an event whenever its EventSource connects again.
        return message.text.startswith("htmx: [hx-sse] ") or message.text == "[object Event]"

    with watched_pages(context, is_expected) as opened:
        yield opened


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.browser_app:app") as server:
        yield server


@pytest.fixture
def api(server: Server, context: BrowserContext) -> Iterator[APIRequestContext]:  # noqa: F811 - the fixture
    context.request.post(f"{server.url}/over?value=false")
    yield context.request
    context.request.post(f"{server.url}/over?value=false")


def connected(api: APIRequestContext, server: Server) -> int:
    return int(api.get(f"{server.url}/streams").json()["connected"])


def opened(api: APIRequestContext, server: Server) -> int:
    return int(api.get(f"{server.url}/streams").json()["opened"])


def wait_for(page: Page, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


def wait_for_connections(page: Page, api: APIRequestContext, server: Server, number: int) -> None:
    deadline = time.monotonic() + 60
    while (found := connected(api, server)) != number:
        assert time.monotonic() < deadline, f"{found} connections, not {number}"
        page.wait_for_timeout(50)


def change(api: APIRequestContext, server: Server) -> int:
    return int(api.post(f"{server.url}/count").json()["count"])


@pytest.fixture
def live_page(server: Server, api: APIRequestContext, open_page: OpenPage) -> Iterator[OpenPage]:
    pages: list[Page] = []

    def open_live(client: str) -> Page:
        pages.append(open_page(f"{server.url}/{client}"))
        wait_for_connections(pages[-1], api, server, len(pages))
        return pages[-1]

    yield open_live
    for page in pages:
        page.goto("about:blank")
    if pages:
        wait_for_connections(pages[-1], api, server, 0)


@every
def test_the_sink_connects_once_and_blocks_anywhere_in_the_page_are_updated(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    before = int(api.get(f"{server.url}/streams").json()["opened"])
    page = live_page(client)
    for _ in range(3):
        count = change(api, server)
        expect(page.locator("#banner")).to_have_text(f"{count} so far")
        expect(page.locator("#banner")).to_have_class(f"n{count}")
        expect(page.locator("#inside .count")).to_have_text(str(count))
    assert page.locator("#banner").count() == 1
    assert page.locator("#banner #banner").count() == 0
    page.wait_for_timeout(300)
    assert int(api.get(f"{server.url}/streams").json()["opened"]) == before + 1


@every
def test_toasts_are_appended_and_those_that_are_there_stay(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    page = live_page(client)
    toasts = page.locator("#toasts .toast")
    api.post(f"{server.url}/tell?text=One")
    expect(toasts).to_have_count(1)
    toasts.evaluate("toast => toast.id = 'kept'")
    api.post(f"{server.url}/tell?text=Two")
    expect(toasts).to_have_text([re.compile("One"), re.compile("Two")])
    expect(page.locator("#kept")).to_contain_text("One")
    expect(page.get_by_role("status")).to_have_attribute("aria-live", "polite")
    page.get_by_role("button", name="Close").first.click()
    expect(page.locator("#inside .count")).to_have_text(str(change(api, server)))
    expect(toasts).to_have_text([re.compile("Two")])


@every
def test_a_page_that_comes_back_is_told_only_what_is_new(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    page = live_page(client)
    toasts = page.locator("#toasts .toast")
    api.post(f"{server.url}/tell?text=before")
    expect(toasts).to_have_count(1)
    before = opened(api, server)
    api.post(f"{server.url}/restart?text=meanwhile")
    wait_for(page, lambda: opened(api, server) > before and connected(api, server) == 1)
    api.post(f"{server.url}/tell?text=after")
    expect(toasts).to_have_text([re.compile("before"), re.compile("after")])


@every
def test_an_empty_block_is_emptied(client: str, server: Server, api: APIRequestContext, live_page: OpenPage) -> None:
    page = live_page(client)
    api.post(f"{server.url}/say", form={"note": "full"})
    expect(page.locator("#note")).to_have_text("full")
    api.post(f"{server.url}/say", form={"note": ""})
    expect(page.locator("#note")).to_have_text("")


@every
def test_text_and_focus_outside_an_updated_block_are_kept(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    page = live_page(client)
    field = page.get_by_label("Outside")
    field.press_sequentially("half a sen")
    count = change(api, server)
    expect(page.locator("#inside .count")).to_have_text(str(count))
    expect(field).to_have_value("half a sen")
    expect(field).to_be_focused()


@pytest.mark.parametrize("client", ["htmx4"])
def test_text_and_focus_inside_an_updated_block_are_kept_if_the_client_morphs(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    page = live_page(client)
    field = page.get_by_label("Inside")
    field.press_sequentially("half a sen")
    count = change(api, server)
    expect(page.locator("#inside .count")).to_have_text(str(count))
    expect(field).to_have_value("half a sen")
    expect(field).to_be_focused()
    field.press_sequentially("tence")
    expect(field).to_have_value("half a sentence")


@every
def test_open_details_and_a_running_video_in_unaffected_blocks_are_kept(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    page = live_page(client)
    page.locator("#more summary").click()
    page.evaluate(FILM)
    count = change(api, server)
    expect(page.locator("#inside .count")).to_have_text(str(count))
    assert page.locator("#more").evaluate("details => details.open")
    assert page.evaluate("film.isConnected && !film.paused && film === document.querySelector('#film')")


@htmx
def test_a_pages_own_requests_are_marked_and_only_their_author_gets_no_update(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    author, other = live_page(client), live_page(client)
    note = author.locator("#note").text_content()
    author.get_by_label("Outside").fill(f"said under {client}")
    with author.expect_response(f"{server.url}/say") as answer:
        author.get_by_role("button", name="Say").click()
    assert re.fullmatch("[A-Za-z0-9_-]{40}", answer.value.headers["x-origin"])
    expect(other.locator("#note")).to_have_text(f"said under {client}")
    author.wait_for_timeout(200)
    expect(author.locator("#note")).to_have_text(note or "")


@every
def test_the_closing_event_stops_the_client_and_shows_no_error_page(
    client: str, server: Server, api: APIRequestContext, live_page: OpenPage
) -> None:
    page = live_page(client)
    before = opened(api, server)
    api.post(f"{server.url}/over?value=true")
    wait_for(page, lambda: opened(api, server) == before + 1)  # it comes back once, and is refused again
    wait_for_connections(page, api, server, 0)
    api.post(f"{server.url}/over?value=false")
    page.wait_for_timeout(11_000 if client == "htmx4" else 4000)  # how long a client takes to reconnect, and a sink
    assert opened(api, server) == before + 1
    assert "error page" not in page.content()
    expect(page.locator("#still")).to_contain_text("same")


@pytest.mark.parametrize("width", [390, 1280])
@every
def test_the_page_fits_its_window(client: str, width: int, live_page: OpenPage) -> None:
    page = live_page(client)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
