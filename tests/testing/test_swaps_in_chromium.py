"""LivePage and Chromium end up with the same document after the same page and frames."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import uvicorn
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from starlette_reactive import Reactive
from starlette_reactive.testing import LivePage, TestClient
from tests.browser.support import ROOT
from tests.support import eventually

from .script_scenarios import SCRIPT_SCENARIOS
from .swap_scenarios import PAUSED, SWAP_SCENARIOS, Scenario

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

SCENARIOS = [*SWAP_SCENARIOS, *SCRIPT_SCENARIOS]
PAUSE = 0.03  # seconds between frames
LONG_PAUSE = 0.4  # htmx 2 listens on new elements only when it settles the swap, after 20 ms
IGNORED = {"data-htmx-powered", "data-hx-sse:connect", "data-hx-sse:close"}  # attributes that htmx 4 itself adds
EXTENSION = ("hx-ext", "reactive")  # what the live script adds to the body under htmx 2
WATCH = """<script>
window.ended = false
const Source = window.EventSource
window.EventSource = class extends Source {
  constructor(...all) { super(...all); this.addEventListener('the-end', () => window.ended = true) }
  close() { super.close(); window.ended = true }
}
document.addEventListener('the-end', () => window.ended = true)
document.addEventListener('htmx:sse:close', () => window.ended = true)
</script>"""
SETTLED = "() => new Promise(done => setTimeout(done, 60))"  # htmx 2 settles the last swap after a timer of 20 ms
READ = """() => {
  const read = node => {
    if (node.nodeType === 3) return node.data
    if (node.nodeType === 8) return ['#comment', node.data]
    const attributes = {}
    for (const each of node.attributes) attributes[each.name] = each.value
    return [node.localName, attributes, ...[...(node.content || node).childNodes].map(read)]
  }
  return [document.title, read(document.body)]
}"""


def application(watch: str = "") -> Starlette:
    """Return an application with the pages and streams of all scenarios."""
    templates = Environment(autoescape=True)
    reactive = Reactive(templates, secret="a secret for tests")

    async def page(request: Request) -> Response:
        number = request.path_params["number"]
        template = templates.from_string(SCENARIOS[number].page(f"/stream/{number}", watch))
        return HTMLResponse(template.render(request=request))

    async def stream(request: Request) -> Response:
        scenario = SCENARIOS[request.path_params["number"]]
        return StreamingResponse(play(scenario), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def play(scenario: Scenario) -> AsyncIterator[str]:
        for each in [*scenario.frames, scenario.stream()[len("".join(scenario.frames)) :]]:
            yield each
            await anyio.sleep(0 if not watch else LONG_PAUSE if each == PAUSED else PAUSE)
        await anyio.sleep_forever()

    vendor = ROOT / "example_app" / "static" / "vendor"
    return Starlette(
        routes=[
            *reactive.routes,
            Route("/page/{number:int}", page),
            Route("/stream/{number:int}", stream),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Mount("/vendor", StaticFiles(directory=vendor)),
        ]
    )


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    config = uvicorn.Config(application(WATCH), port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with closing(config.bind_socket()) as socket:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[socket])))
        thread.start()
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def context(browser: Browser) -> BrowserContext:
    return browser.new_context()


def plain(node: Any, comments: bool = True) -> Any:
    """Return a node as data, without empty and ignored attributes, with adjacent texts joined."""
    if isinstance(node, str) or node[0] == "#comment":
        return node
    name, attributes, *children = node
    kept = {
        key: value
        for key, value in sorted(attributes.items())
        if key not in IGNORED
        and (key, value) != EXTENSION
        and not (key == "class" and not value)
        and not (key == "style" and not value)
    }
    joined: list[Any] = []
    for child in (
        plain(each, comments) for each in children if comments or isinstance(each, str) or each[0] != "#comment"
    ):
        if isinstance(child, str) and joined and isinstance(joined[-1], str):
            joined[-1] += child
        elif child != "":
            joined.append(child)
    return [name, kept, *joined]


def comments(number: int) -> bool:
    """Return whether to compare comments: Chromium 150 to 156 loses those that htmx 2 parses."""
    return SCENARIOS[number].live_script or SCENARIOS[number].htmx == 4


def document_of(page: LivePage, *, comments: bool) -> Any:
    def read(node: Any) -> Any:
        if node.name == "#text":
            return node.data
        if node.name == "#comment":
            return ["#comment", node.data]
        content = getattr(node, "template_content", None) or node
        return [node.name, {key: value or "" for key, value in node.attrs.items()}, *map(read, content.children)]

    (html,) = [child for child in page.document.children or () if child.name == "html"]
    (body,) = [child for child in html.children if child.name == "body"]
    return [page.text("title"), plain(read(body), comments)]


async def document_in_live_page(number: int) -> Any:
    async with TestClient(application()) as client:
        page = await client.live(f"/page/{number}")
        assert page.htmx == SCENARIOS[number].htmx
        assert page.live_script == SCENARIOS[number].live_script
        await eventually(
            lambda: page.streams[0].state != "connected" or "the-end" in [each.event for each in page.frames]
        )
        return document_of(page, comments=comments(number))


def document_in_chromium(context: BrowserContext, url: str, *, comments: bool) -> Any:
    tab = context.new_page()
    try:
        tab.goto(url)
        tab.wait_for_function("window.ended", timeout=60_000)
        tab.evaluate(SETTLED)
        title, body = tab.evaluate(READ)
        return [title, plain(body, comments)]
    finally:
        tab.close()


def test_there_are_at_least_sixty_distinct_scenarios() -> None:
    assert len(SCENARIOS) >= 60
    assert len({each.id for each in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[each.id for each in SCENARIOS])
def test_live_page_and_chromium_have_the_same_document(number: int, address: str, context: BrowserContext) -> None:
    expected = document_in_chromium(context, f"{address}/page/{number}", comments=comments(number))
    with ThreadPoolExecutor(1) as threads:  # Playwright occupies this thread's event loop
        got = threads.submit(anyio.run, document_in_live_page, number).result()
    assert json.dumps(got, indent=1) == json.dumps(expected, indent=1)
