"""The inspector in Chromium, served by uvicorn, while the application is in use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.support import Server, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage

OpenPage = Callable[[str], Page]
PAGE = "/_reactive/inspector"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
  const known = new Map()
  const rgba = color => {
    if (!known.has(color)) known.set(color, painted(color))
    return known.get(color)
  }
  const painted = color => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const linear = value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4
  const light = color => color.slice(0, 3).map(value => linear(value / 255))
    .reduce((sum, v, n) => sum + v * [.2126, .7152, .0722][n], 0)
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = rgba(getComputedStyle(each).backgroundColor)
      if (color[3] === 255) return color
    }
    return rgba("canvas")
  }
  const found = []
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    if (!text || !element.checkVisibility()) continue
    const [one, other] = [light(rgba(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a)
    const ratio = (one + .05) / (other + .05)
    if (ratio < 4.5) found.push(`${element.outerHTML.slice(0, 90)} ${ratio.toFixed(2)}`)
  }
  return found
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(["-m", "uvicorn", "tests.inspector.browser_app:app", "--no-access-log"]) as server:
        yield server


@pytest.fixture
def tabs(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(viewport={"width": 1280, "height": 800})
    yield opened
    opened.close()


@pytest.fixture
def open_page(server: Server, tabs: BrowserContext) -> Iterator[OpenPage]:
    """Open a page in a new tab. Fail afterwards if one logged an error or sent a request to another server."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith("htmx: [hx-sse] "):
            complaints.append(message.text)

    def open_page(path: str) -> Page:
        page = tabs.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda sent: None if sent.url.startswith((server.url, "data:")) else complaints.append(sent.url)
        )
        page.goto(f"{server.url}{path}")
        return page

    yield open_page
    assert not complaints


@pytest.fixture
def inspector(open_page: OpenPage) -> Page:
    page = open_page(PAGE)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator(".who")).to_have_count(0)  # the viewers of the previous test are gone, with their events
    page.evaluate("window.sameDocument = true")
    return page


@pytest.fixture
def post(server: Server, tabs: BrowserContext) -> Iterator[Callable[..., None]]:
    def post(path: str, **values: Any) -> None:
        assert tabs.request.post(f"{server.url}{path}", params=values).ok

    yield post
    post("/fails", value="false")


def viewer(open_page: OpenPage, inspector: Page, path: str, scope: str) -> Page:
    """Open a page and wait until the inspector shows that it is connected."""
    page = open_page(path)
    expect(
        inspector.locator(".who", has=inspector.get_by_role("heading", name=re.compile(f"^{scope} ")))
    ).to_be_visible()
    return page


def top(page: Page) -> Locator:
    return page.locator("#newest .event").first


def test_an_event_appears_with_its_effects_without_a_reload(
    open_page: OpenPage, inspector: Page, post: Callable[..., None]
) -> None:
    page = viewer(open_page, inspector, "/news", "news")
    before = inspector.locator(".event").count()
    post("/headlines", text="The sun has risen")
    expect(page.locator("#headlines li").first).to_have_text("The sun has risen")
    expect(inspector.locator(".event")).to_have_count(before + 1)
    expect(top(inspector).locator(".scope")).to_have_text("news")
    expect(top(inspector).locator(".paths code")).to_have_text(["headlines"])
    expect(top(inspector).locator(".result span").first).to_have_text("1 block")
    expect(top(inspector).locator(".result span").nth(1)).to_have_text(re.compile(r"^1 viewer, \d+ B, \d+\.\d ms$"))
    expect(top(inspector).locator(".result span").last).to_have_text("1 run")
    top(inspector).locator("summary").click()
    expect(top(inspector).locator(".statuses li")).to_have_text(re.compile(r"headlines\s+rendered, \d+ B"))
    expect(top(inspector).locator(".figures")).to_have_text(
        re.compile(r"^1 run, \d+\.\d ms to render; \d+ B sent to 1 viewer, to the last one \d+\.\d ms after the event$")
    )
    expect(inspector.locator("#counter-viewers dd")).to_have_text("1")
    page.close()
    expect(inspector.locator("#counter-viewers dd")).to_have_text("0")
    expect(inspector.locator("#presence")).to_have_text(re.compile("No live page is open."))
    assert inspector.evaluate("window.sameDocument") is True


def test_the_graph_highlights_the_effects_of_the_newest_event(
    open_page: OpenPage, inspector: Page, post: Callable[..., None]
) -> None:
    page = viewer(open_page, inspector, "/boards/lit", "board:lit")

    def lit() -> list[str]:
        nodes = inspector.locator(".node.lit").all()
        return [f"{node.text_content()} {node.get_attribute('data-lit')}" for node in nodes]

    post("/emit", scope="board:lit", paths="board.owner tasks")
    expect(top(inspector).locator(".result span").first).to_have_text("2 blocks")
    assert lit() == [
        "board.owner linked",
        "done linked",
        "tasks linked",
        "overview sent",
        "progress inside",
        "tasks sent",
    ]
    assert inspector.locator(".curves path.lit").count() == 4
    assert inspector.locator(".arcs path.lit").count() == 1
    post("/emit", scope="board:lit", paths="tasks people")
    expect(top(inspector).locator(".paths code")).to_have_text(["people", "tasks"])
    expect(top(inspector).locator(".result span").first).to_have_text("2 blocks, 1 unchanged")
    assert "tasks same" in lit()
    assert "people sent" in lit()
    inspector.locator(".event").nth(1).hover()
    assert "overview sent" in lit()
    inspector.get_by_role("button", name="tasks", exact=True).first.click()
    inspector.mouse.move(0, 0)
    assert lit() == ["tasks linked", "progress linked", "tasks linked"]
    inspector.keyboard.press("Escape")
    assert "people sent" in lit()
    page.close()


def test_every_reason_is_explained_in_a_sentence(
    open_page: OpenPage,
    inspector: Page,
    post: Callable[..., None],
    tabs: BrowserContext,
    server: Server,
) -> None:
    tabs.add_cookies([{"name": "user", "value": "ada", "url": server.url}])
    page = viewer(open_page, inspector, "/boards/why", "board:why")
    expect(inspector.locator(".who", has_text="board:why").locator(".people")).to_have_text(re.compile("ada"))
    origin = page.evaluate("JSON.parse(document.body.getAttribute('hx-headers'))['Reactive-Origin']")

    def explained(sentence: str, summary: str) -> None:
        expect(top(inspector).locator(".result")).to_contain_text(summary)
        expect(top(inspector).locator(".more")).to_contain_text(sentence)

    post("/emit", scope="board:elsewhere", paths="tasks")
    explained("Nothing rendered: no live page of this scope is open in this process.", "no viewer in this scope")
    post("/emit", scope="board:why", paths="board.colour")
    explained("Nothing rendered: no live block of board.html shows these paths.", "no block shows it")
    post("/emit", scope="board:why", paths="people", origin=origin)
    explained("Sent two seconds later to 1 viewer who made the change.", "1 viewer")
    post("/emit", scope="board:why", paths="people", audience="bob")
    explained("Not sent to 1 viewer outside the audience.", "no recipient")
    post("/emit", scope="board:why", paths="board.owner tasks")
    explained("part of overview, which is rendered", "2 blocks")
    post("/emit", scope="board:why", paths="tasks")
    explained("unchanged: same HTML as before", "1 unchanged")
    post("/emit", scope="board:why", paths="people")
    explained("rendered, ", "1 viewer")
    post("/fails", value="true")
    post("/emit", scope="board:why", paths="people")
    explained("failed: RuntimeError: the database is down", "1 failed")
    explained("The next attempt is at ", "1 failed")
    post("/fails", value="false")
    page.close()


def test_what_differs_between_viewers_who_share_it_appears_as_a_warning(
    inspector: Page, post: Callable[..., None]
) -> None:
    expect(inspector.locator("#differences")).to_be_hidden()
    post("/differ", message="news.html:5: the block 'headlines' was different for two viewers")
    expect(inspector.get_by_role("heading", name="Different for viewers who share it")).to_be_visible()
    expect(inspector.locator("#differences li")).to_have_text(
        re.compile(r"^news\.html:5: the block 'headlines' was different for two viewers\. news, [\d:.]+$")
    )
    assert inspector.evaluate("window.sameDocument") is True


def test_the_page_lists_who_shares_renders(open_page: OpenPage) -> None:
    page = open_page("/many/_many/inspector")
    expect(page.locator("#sharing .serves")).to_have_text("Rendered for each viewer")
    expect(page.locator("#sharing .reasons li").last).to_have_text(
        re.compile(r"^inner_a_name\w+ personal: reads 'user'$")
    )
    expect(page.locator("#sharing .reasons li").first).to_have_text(
        re.compile(r"^a_name\w+ personal: contains the block 'inner_a_name\w+', which reads 'user'$")
    )
    page.goto(page.url.replace("/many/_many/inspector", PAGE))
    expect(page.locator("#sharing .serves")).to_have_text(["Rendered for each viewer", "Rendered once for all"])


def test_open_details_stay_open_while_events_stream_in(inspector: Page, post: Callable[..., None]) -> None:
    post("/emit", scope="opened", paths="x")
    expect(top(inspector).locator(".scope")).to_have_text("opened")
    row = inspector.locator(f"#{top(inspector).get_attribute('id')}")
    row.locator("summary").click()
    expect(row.locator(".facts")).to_be_visible()
    for _ in range(5):  # enough events to move the row from the list of the newest to the other one
        for _ in range(12):
            post("/emit", scope="opened.later", paths="x")
        expect(row.locator(".facts")).to_be_visible()
    expect(inspector.locator("#older").locator(row)).to_have_count(1)
    expect(row.locator(".facts")).to_be_visible()


def test_events_can_be_filtered(inspector: Page, post: Callable[..., None]) -> None:
    post("/emit", scope="filtered:one", paths="x")
    expect(top(inspector).locator(".scope")).to_have_text("filtered:one")
    inspector.get_by_label("Filter events").fill("filtered:")
    expect(inspector.locator(".event:visible")).to_have_count(1)
    post("/emit", scope="other", paths="x")
    post("/emit", scope="filtered:two", paths="x")
    expect(inspector.locator(".event:visible .scope")).to_have_text(["filtered:two", "filtered:one"])
    inspector.get_by_label("Filter events").fill("matches nothing at all")
    expect(inspector.get_by_text("No event matches the filter.")).to_be_visible()


def test_the_page_can_be_paused_and_catches_up_when_resumed(inspector: Page, post: Callable[..., None]) -> None:
    inspector.get_by_role("button", name="Pause").click()
    expect(inspector.locator("#link")).to_have_text("Paused")
    count = inspector.locator(".event").count()
    post("/emit", scope="paused", paths="x")
    inspector.wait_for_timeout(700)
    assert inspector.locator(".event").count() == count
    inspector.get_by_role("button", name="Resume").click()
    expect(top(inspector).locator(".scope")).to_have_text("paused")
    expect(inspector.locator("#link")).to_have_text("Live")


def test_the_keyboard_reaches_everything(inspector: Page, post: Callable[..., None]) -> None:
    post("/emit", scope="keyboard", paths="x")
    expect(top(inspector).locator(".scope")).to_have_text("keyboard")
    inspector.get_by_label("Filter events").focus()
    inspector.keyboard.press("Tab")
    expect(top(inspector).locator("summary")).to_be_focused()
    inspector.keyboard.press("Enter")
    expect(top(inspector).locator(".facts")).to_be_visible()
    node = inspector.locator(".node").first
    node.press("Enter")
    expect(node).to_have_attribute("aria-pressed", "true")


def test_an_application_without_pages_is_explained(open_page: OpenPage) -> None:
    page = open_page("/empty/_empty/inspector")
    for text in ("There are no live blocks yet.", "No live page is open.", "No event yet."):
        expect(page.get_by_text(text)).to_be_visible()
    expect(page.locator("#link")).to_have_text("Live")


@pytest.mark.parametrize("path", ["/many/_many/inspector", PAGE, "/empty/_empty/inspector"])
def test_pages_fit_the_window_and_have_enough_contrast(
    open_page: OpenPage, post: Callable[..., None], path: str
) -> None:
    post("/many/emit", number=45)
    page = open_page(path)
    page.emulate_media(reduced_motion="reduce")
    for row in page.locator(".event summary").all()[:2]:
        row.click()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(CONTRAST) == []


def test_reduced_motion_disables_animations(open_page: OpenPage, post: Callable[..., None]) -> None:
    post("/emit", scope="still", paths="x")
    page = open_page(PAGE)
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    assert page.evaluate("document.getAnimations().length") == 0
    moving = (
        "[...document.querySelectorAll('*')].filter(each => getComputedStyle(each).transitionDuration !== '0s').length"
    )
    assert page.evaluate(moving) == 0


def test_the_page_reloads_when_the_process_that_rendered_it_is_gone(
    server: Server, tabs: BrowserContext, post: Callable[..., None]
) -> None:
    page = tabs.new_page()
    page.goto(f"{server.url}{PAGE}")
    expect(page.locator("#link")).to_have_text("Live")
    with page.expect_event("domcontentloaded"):
        post("/forget")
    expect(page.locator("#link")).to_have_text("Live")
