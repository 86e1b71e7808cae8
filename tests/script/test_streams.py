"""The stream of a page: how it stands, what brings it back, and where it goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Page, expect

from .conftest import Site
from .proxy import Path

pytestmark = pytest.mark.parametrize("client", ["htmx2", "htmx4"])


@pytest.fixture
def path(site: Site) -> Iterator[Path]:
    """The path that the browser takes to the site."""
    found, own = Path(site.url), site.url
    site.browser_url = found.url
    yield found
    site.browser_url = own
    found.close()


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", state)


def test_the_page_tells_how_it_stands(site: Site, path: Path, client: str) -> None:
    page = site.open(f"/items/{client}")
    expect_state(page, "connected")
    with page.expect_event("console", lambda message: message.text == "lost"):
        page.evaluate("document.addEventListener('reactive:lost', () => console.log('lost'))")
        path.refuses = True
        path.cut()
    expect_state(page, "reconnecting")
    site.post("/test/add?text=three")
    path.refuses = False
    expect_state(page, "connected")
    expect(page.locator("#total")).to_have_text("3")
    site.post("/test/over")
    expect_state(page, "ended")
    names = [name for name, _ in page.evaluate("heard") if name != "updated"]
    assert names[:3] == ["connected", "lost", "connected"]
    assert names.count("ended") == 1  # before, the stream was perhaps lost for a moment
    blocks = {block for name, detail in page.evaluate("heard") if name == "updated" for block in detail["blocks"]}
    assert {"total", "items"} <= blocks
    assert page.evaluate("heard.at(-1)") == ["ended", {"reason": "refused"}]
    site.wait(lambda state: state["connected"] == 0)


def test_a_frozen_path_is_noticed_and_left(site: Site, path: Path, client: str) -> None:
    page = site.open(f"/items/{client}")
    expect_state(page, "connected")
    # Connections that the browser keeps for later requests freeze as well.
    page.evaluate("Promise.all([1, 2, 3].map(() => fetch('/test/state').then(answer => answer.text())))")
    assert path.freeze() > 1
    site.post("/test/add?text=three")
    expect(page.locator("#total")).to_have_text("3")
    expect_state(page, "connected")
    assert "lost" in [name for name, _ in page.evaluate("heard")]


def test_a_page_that_takes_longer_than_silence_may_last_is_connected_all_the_same(site: Site, client: str) -> None:
    site.post("/test/reset?slowness=1.5")  # a stream counts as frozen after one second
    page = site.open(f"/items/{client}")
    expect_state(page, "connected")
    site.post("/test/add?text=three")
    expect(page.locator("#total")).to_have_text("3")


def test_a_page_comes_back_with_its_last_id_after_a_502(site: Site, path: Path, client: str) -> None:
    page = site.open(f"/items/{client}")
    site.post("/test/add?text=three")
    expect(page.locator("#total")).to_have_text("3")
    expect_state(page, "connected")
    path.is_bad = True
    with page.expect_response(lambda answer: answer.status == 502):
        path.cut()
    site.post("/test/add?text=four")
    with page.expect_request(lambda request: "&resume=" in request.url):
        path.is_bad = False
    expect(page.locator("#total")).to_have_text("4")
    expect_state(page, "connected")


def test_a_quiet_stream_is_not_taken_for_a_frozen_one(site: Site, path: Path, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.wait_for_timeout(2500)  # more than two silences after which a stream counts as frozen
    assert [name for name, _ in page.evaluate("heard")] == ["connected"]


def test_a_tab_is_offline_while_it_is_hidden_and_current_when_it_is_shown(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("""() => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => window.isHidden })
      window.isHidden = true
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }))
    }""")
    site.wait(lambda state: state["connected"] == 0)
    site.post("/test/add?text=three")
    page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
    expect(page.locator("#total")).to_have_text("3")


def test_updates_follow_the_query_of_the_answer_that_was_put_into_the_page(site: Site, client: str) -> None:
    site.post("/test/reset?texts=a,b,c,d")
    page = site.open(f"/pages/{client}")
    expect(page.locator("#list li")).to_have_text(["a", "b"])
    page.click("#next")
    expect(page.locator("#list li")).to_have_text(["c", "d"])
    expect(page.locator("#nav")).to_have_text("page 1, 4 in all")  # it was not in the answer's part
    assert page.url.endswith("?number=1")
    site.post("/test/text?number=3&text=C")
    expect(page.locator("#list li")).to_have_text(["C", "d"])
    site.wait(lambda state: state["connected"] == 1)
    page.go_back()
    expect(page.locator("#list li")).to_have_text(["a", "b"])
    site.post("/test/text?number=1&text=A")
    expect(page.locator("#list li")).to_have_text(["A", "b"])
    site.wait(lambda state: state["connected"] == 1)


COUNT_FRAMES = """() => {
  const parse = JSON.parse
  window.frames_read = 0
  JSON.parse = (...values) => {
    window.frames_read++
    return parse(...values)
  }
}"""


def test_updates_follow_nothing_that_a_person_has_left_again(site: Site, client: str) -> None:
    site.post("/test/reset?texts=a,b,c,d")
    site.context.clock.install()
    page = site.open(f"/pages/{client}")
    page.click("#slowly")
    expect(page.locator("#list li")).to_have_text(["c", "d"])
    page.evaluate("history.back()")  # under htmx 2 before the answer has settled
    expect(page.locator("#list li")).to_have_text(["a", "b"])
    page.clock.fast_forward(5_000)
    expect_state(page, "connected")
    site.post("/test/text?number=1&text=A")
    site.post("/test/text?number=3&text=C")
    expect(page.locator("#list li")).to_have_text(["A", "b"])


def test_an_update_of_a_page_that_was_left_is_not_shown(site: Site, client: str) -> None:
    site.post("/test/reset?texts=a,b,c,d")
    page = site.open(f"/pages/{client}")
    page.evaluate(COUNT_FRAMES)
    site.post("/test/close/updates")
    page.click("#next")
    expect(page.locator("#list li")).to_have_text(["c", "d"])
    site.post("/test/close/visits")
    page.evaluate("history.back()")
    site.post("/test/open/updates")
    if client == "htmx4":  # htmx 2 has kept the page
        page.wait_for_function("frames_read >= 2")
    site.post("/test/open/visits")
    expect(page.locator("#list li")).to_have_text(["a", "b"])
    site.wait(lambda state: state["connected"] == 1)
    expect_state(page, "connected")
    assert page.locator("#nav").text_content() == "page 0, 4 in all"
    assert page.locator("#list li").all_text_contents() == ["a", "b"]


def test_boosted_pages_have_one_stream_and_their_own_mark(site: Site, client: str) -> None:
    page = site.open(f"/tour/{client}/here")
    sinks = set()
    for number in range(12):
        stop = "there" if number % 2 == 0 else "here"
        site.post("/test/add?text=more")
        page.click("#other")
        site.post("/test/add?text=more")  # perhaps in the gap between the streams
        expect(page.locator("#stop")).to_have_text(f"{stop}: {4 + 2 * number}")
        page.click("#mark")
        sinks.add(page.locator("[data-reactive-sink]").get_attribute("data-reactive-sink"))
        assert page.locator("[data-reactive-sink]").count() == 1
    site.wait(lambda state: state["connected"] == 1 and len(state["marks"]) == 12)
    assert len(sinks) == 12
    assert set(site.state()["marks"]) == sinks


def test_extensions_of_htmx_open_no_stream_of_their_own(site: Site, client: str) -> None:
    page = site.context.new_page()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{site.url}/items/{client}?extension=true")
    expect_state(page, "connected")
    for number in range(3, 6):
        site.post("/test/add?text=more")
        expect(page.locator("#total")).to_have_text(str(number))
    streams = [url for url in urls if "/_reactive/live?" in url]
    assert streams
    assert all("script=1" in url for url in streams)
    assert site.state()["connected"] == 1
