"""Every fault of markup happens in the browser, and templates that only look suspicious work there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jinja2 import DictLoader, Environment

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Page, Route

from .cases import MARK, SINK, Case
from .fault_cases import MARKUP
from .sound_cases import SOUND

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
VENDOR = (ROOT / "example_app" / "static" / "vendor", ROOT / "tests" / "vendor")
ORIGIN = "http://localhost:1"  # no request reaches it: the test answers for it
COUNT = """
window.messages = window.failures = 0
addEventListener('htmx:sseMessage', () => window.messages++)
addEventListener('htmx:swapError', () => window.failures++)
"""
SETTLE = 0.4  # seconds until all frames are swapped and a stream that ended is requested again


@pytest.fixture
def show(browser: Browser) -> Iterator[Callable[[Case], bool]]:
    """Return a function that shows a case, sends its frames, and returns whether the expected result appears."""
    page = browser.new_page()
    page.add_init_script(COUNT)
    yield lambda case: _shows(page, case)
    page.close()


def _shows(page: Page, case: Case) -> bool:
    streams = 0

    def answer(route: Route) -> None:
        nonlocal streams
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/":
            sources = {name: source.replace(MARK, "") for name, source in case.templates.items()}
            template = Environment(loader=DictLoader(sources)).get_template("page")
            html = template.render(x="old", ts=[1, 2], live=lambda: SINK)
            route.fulfill(body=html, content_type="text/html")
        elif path.startswith("/stream"):
            streams += 1
            if streams == 1 or (case.again and streams < 6):
                route.fulfill(body=case.frames, content_type="text/event-stream")
            elif streams > 6:
                route.abort()
            else:
                route.fulfill(body=": nothing\n\n", content_type="text/event-stream")
        elif scripts := [folder / path[1:] for folder in VENDOR if (folder / path[1:]).is_file()]:
            route.fulfill(path=scripts[0])
        else:
            route.fulfill(body="<b>answer</b>", content_type="text/html")

    page.route("**/*", answer)
    page.goto(f"{ORIGIN}/")
    if page.locator("button").count():
        page.locator("button").click()
    page.wait_for_timeout(SETTLE * 1000)
    deadline = time.monotonic() + 30
    while not page.evaluate(f"requests => Boolean({case.shown})", streams):
        if time.monotonic() > deadline:
            print(page.content())
            return False
        page.wait_for_timeout(50)
    return True


@pytest.mark.parametrize("case", MARKUP, ids=lambda case: case.name)
def test_the_fault_happens(show: Callable[[Case], bool], case: Case) -> None:
    assert case.shown
    assert show(case)


@pytest.mark.parametrize("case", [case for case in SOUND if case.shown], ids=lambda case: case.name)
def test_a_template_that_only_looks_suspicious_works(show: Callable[[Case], bool], case: Case) -> None:
    assert show(case)
