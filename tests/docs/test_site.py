"""The built documentation in Chromium: narrow and wide, light and dark, without a network."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from .blocks import DOCS, ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Request

pytest.importorskip("mkdocs", reason="the package mkdocs is missing")

NAMES = [str(path.relative_to(DOCS).with_suffix(".html")) for path in sorted(DOCS.rglob("*.md"))]
SEARCHED = "inspector.html"
WIDTHS = (390, 1280)
COLOURS: dict[Literal["light", "dark"], str] = {"light": "default", "dark": "slate"}
LOOK = (Path(__file__).parent / "look.js").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    index = folder / "search" / "search_index.json"  # indexing it on every page takes the browser long
    found = json.loads(index.read_text())
    index.write_text(json.dumps({**found, "docs": [each for each in found["docs"] if each["location"] == SEARCHED]}))
    return folder


class Quiet(SimpleHTTPRequestHandler):
    """A file server that logs nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the overridden name


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Window:
    """A browser window, and the problems of its pages."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.faults: list[str] = []
        # Nothing listens at the address of the proxy. Only requests to the site bypass it.
        self._context: BrowserContext = browser.new_context(
            proxy={"server": "http://127.0.0.1:9", "bypass": "127.0.0.1"}
        )
        self._context.set_default_timeout(60_000)
        self._context.on("request", self._note_request)
        self._page = self._context.new_page()
        self._page.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self._page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.faults.append(f"asks for {request.url}")

    def look_at(self, name: str) -> list[str]:
        """Load a page and return its problems in both widths, light and dark."""
        self.faults.clear()
        self._page.goto(f"{self.url}/{name}")
        self._page.add_style_tag(content="* { transition: none !important }")
        for width in WIDTHS:
            self._page.set_viewport_size({"width": width, "height": 900})
            for colours, scheme in COLOURS.items():
                self._page.emulate_media(color_scheme=colours)
                self._page.wait_for_function(f"document.body.dataset.mdColorScheme === {scheme!r}")
                self.faults += [f"{width} px, {colours}: {fault}" for fault in self._page.evaluate(LOOK)]
        return self.faults

    def search(self, words: str, *, on: str) -> str:
        """Search on a page, and return the address of the first result without what is highlighted there."""
        self.faults.clear()
        self._page.set_viewport_size({"width": 1280, "height": 900})
        self._page.goto(f"{self.url}/{on}")
        self._page.get_by_role("textbox", name="Search").press_sequentially(words)
        found = self._page.locator(".md-search-result__link").first.evaluate("link => link.href")
        return str(found).partition("?")[0]


@pytest.fixture(scope="module")
def window(browser: Browser, url: str) -> Window:
    return Window(browser, url)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_is_readable_and_makes_no_outside_requests(name: str, window: Window) -> None:
    faults = window.look_at(name)
    assert not faults, "\n".join(faults)


def test_the_search_works_without_a_network(window: Window) -> None:
    assert window.search("inspector", on=NAMES[0]) == f"{window.url}/{SEARCHED}"
    assert not window.faults


def test_the_menu_has_at_most_seven_entries_at_the_top(pages: dict[str, Links]) -> None:
    assert 0 < len(pages["index.html"].tabs) <= 7


FAULTY = """<!doctype html>
<html lang="en"><title>Faulty</title><link rel="icon" href="data:,">
<body style="background: #fff">
<p style="color: #999">pale</p>
<div style="width: 2000px; color: #000">wide</div>
<style>pre, .md-typeset__scrollwrap { width: 90px; color: #000 } code { display: block; overflow: auto }</style>
<pre><code>a line of code that is long</code></pre>
<div class="md-typeset__scrollwrap" style="overflow: auto"><div style="width: 200px">a table</div></div>
<svg viewBox="0 0 99 99" width="99"><rect width="99" height="99" fill="#000"/><text y="50" fill="#222">dark</text></svg>
<img src="http://elsewhere.invalid/picture.png" alt="a picture">
<script>
  console.error("broken")
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const follow = () => { document.body.dataset.mdColorScheme = dark.matches ? "slate" : "default" }
  follow()
  dark.addEventListener("change", follow)
</script>"""


def test_the_look_at_a_page_finds_each_kind_of_problem(site: Path, window: Window) -> None:
    (site / "faulty.html").write_text(FAULTY)
    faults = "\n".join(window.look_at("faulty.html"))
    (site / "faulty.html").unlink()
    assert "contrast 2.85 in <p>" in faults
    assert "in <text>" in faults
    assert "wider than the window" in faults
    assert "code is clipped: a line of code" in faults
    assert "a table is clipped: a table" in faults
    assert "asks for http://elsewhere.invalid/picture.png" in faults
    assert "console: broken" in faults
    assert "wide" not in faults.replace("wider", "")


class Links(HTMLParser):
    """The links of a page, its ids, and its images without alternative text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.nameless: list[str] = []
        self.tabs: list[str] = []
        self.plain_code = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        self.links += [values[name] for name in ("href", "src") if name in values]
        if "md-tabs__link" in values.get("class", "").split():
            self.tabs.append(values.get("href", ""))
        if tag == "img" and not values.get("alt"):
            self.nameless.append(values.get("src", ""))
        if tag == "div" and "highlight" in values.get("class", "").split():
            self.plain_code |= not any(each.startswith(("language-", "doc-")) for each in values["class"].split())


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Links]:
    return {str(path.relative_to(site)): Links(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_link_within_the_documentation_has_a_target(site: Path, pages: dict[str, Links]) -> None:
    dead = []
    for name, page in pages.items():
        for link in page.links:
            address, fragment = urldefrag(link)
            if urlsplit(link).scheme or (name == "404.html" and link.startswith("/")):
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(name), unquote(address))) if address else name
            if os.path.isdir(site / target):
                target = os.path.normpath(os.path.join(target, "index.html"))
            if not (site / target).exists() or (fragment and unquote(fragment) not in pages[target].ids):
                dead.append(f"{name}: {link}")
    assert dead == []


def test_every_image_has_an_alternative_text(pages: dict[str, Links]) -> None:
    assert {name: page.nameless for name, page in pages.items() if page.nameless} == {}
    for path in (DOCS / "images").glob("*.svg"):
        if path.name != "performance.svg":  # is an image with an alternative text
            assert "<title>" in path.read_text()
            assert 'role="img"' in path.read_text()


def test_every_block_of_code_is_in_a_fence(pages: dict[str, Links]) -> None:
    assert [name for name, page in pages.items() if page.plain_code] == []


def test_references_in_docstrings_are_shown_as_code(site: Path) -> None:
    left = [path.name for path in site.rglob("*.html") if re.search(r":[a-z]+:(`|<code>)", path.read_text())]
    assert left == []
