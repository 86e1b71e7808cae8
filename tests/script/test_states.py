"""What survives an update of the block around it. The table in the documentation is what these tests find."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

from .states_app import MODES

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "forms.md"

PLAY = """async film => {
  const canvas = document.createElement("canvas")
  setInterval(() => canvas.getContext("2d").fillRect(0, 0, Math.random() * 99, 9), 20)
  canvas.getContext("2d").fillRect(0, 0, 9, 9)
  film.srcObject = canvas.captureStream(30)
  window.film = film
  await film.play()
}"""
DRAW = "canvas => canvas.getContext('2d').fillRect(0, 0, 20, 20)"
DRAWN = "canvas => canvas.getContext('2d').getImageData(5, 5, 1, 1).data[3] === 255"


def type_text(page: Page) -> None:
    page.fill("#text", "typed")
    page.locator("#text").blur()


def set_caret(page: Page) -> None:
    page.fill("#text", "typed")
    page.evaluate("text.setSelectionRange(2, 2)")


def select_part(page: Page) -> None:
    page.fill("#area", "typed text")
    page.evaluate("area.setSelectionRange(2, 5)")


def compose(page: Page) -> None:
    page.focus("#text")
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "にほ", "selectionStart": 2, "selectionEnd": 2})
    sessions[page] = session


def is_composing(page: Page) -> bool:
    session = sessions.pop(page)
    session.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    session.send("Input.insertText", {"text": "日本"})
    return page.input_value("#text") == "日本"


sessions: dict[Page, CDPSession] = {}
Do = Callable[[Page], object]
STATES: dict[str, tuple[Do, Do]] = {
    "typed text": (type_text, lambda page: page.input_value("#text") == "typed"),
    "caret": (
        set_caret,
        lambda page: page.evaluate("document.activeElement === text && text.selectionStart === 2 && text.value"),
    ),
    "selection": (
        select_part,
        lambda page: page.evaluate("area.value.slice(area.selectionStart, area.selectionEnd) === 'ped'"),
    ),
    "IME composition": (compose, is_composing),
    "focus": (lambda page: page.focus("#area"), lambda page: page.evaluate("document.activeElement === area")),
    "scroll position": (
        lambda page: page.evaluate("document.querySelector('#scroll').scrollTop = 50"),
        lambda page: page.evaluate("document.querySelector('#scroll').scrollTop === 50"),
    ),
    "open `<details>`": (
        lambda page: page.click("summary"),
        lambda page: page.evaluate("document.querySelector('#details').open"),
    ),
    "modal `<dialog>`": (
        lambda page: page.evaluate("dialog.showModal()"),
        lambda page: page.evaluate("dialog.open && dialog.matches(':modal')"),
    ),
    "`<select>`": (
        lambda page: page.select_option("#select", "b"),
        lambda page: page.input_value("#select") == "b",
    ),
    "checkbox": (lambda page: page.check("#checkbox"), lambda page: page.is_checked("#checkbox")),
    "chosen file": (
        lambda page: page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"}),
        lambda page: page.evaluate("file.files.length === 1"),
    ),
    "playing `<video>`": (
        lambda page: page.locator("#video").evaluate(PLAY),
        lambda page: page.evaluate("film.isConnected && !film.paused"),
    ),
    "`contenteditable` in focus": (
        lambda page: page.locator("#editable").press_sequentially("!"),
        lambda page: page.evaluate("editable.textContent.includes('!') && document.activeElement === editable"),
    ),
    "custom element": (
        lambda page: page.click("#custom"),
        lambda page: page.evaluate("custom.clicks === 1 && custom.textContent === '1'"),
    ),
    "Alpine component": (lambda page: page.click("#alpine button"), lambda page: page.is_visible("#alpine i")),
    "`<canvas>`": (
        lambda page: page.locator("#canvas").evaluate(DRAW),
        lambda page: page.locator("#canvas").evaluate(DRAWN),
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.script.states_app:app") as server:
        yield server


def survives(context: BrowserContext, server: Server, mode: int, state: str) -> bool:  # noqa: F811 - no fixture
    prepare, check = STATES[state]
    page = context.new_page()
    page.goto(f"{server.url}/states/{mode}")
    deadline = time.monotonic() + 60
    while context.request.get(f"{server.url}/connected").text() != "1":
        assert time.monotonic() < deadline
    prepare(page)
    count = context.request.post(f"{server.url}/count").json()["count"]
    expect(page.locator(".count")).to_have_text(str(count))
    found = bool(check(page))
    page.close()
    while context.request.get(f"{server.url}/connected").text() != "0":
        assert time.monotonic() < deadline
    return found


def documented() -> dict[str, dict[str, bool]]:
    """Return the table of the documentation: what it says of each state in each mode."""
    rows = [line.strip("| \n").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    start = next(number for number, row in enumerate(rows) if row[1:] == list(MODES))
    return {
        row[0]: {mode: each == "yes" for mode, each in zip(MODES, row[1:], strict=True)}
        for row in rows[start + 1 :]
        if len(row) == len(MODES) + 1 and re.fullmatch("yes|no", row[1])
    }


@pytest.mark.parametrize("mode", MODES)
def test_the_documentation_says_what_survives_an_update(context: BrowserContext, server: Server, mode: str) -> None:  # noqa: F811 - the fixture
    found = {state: survives(context, server, list(MODES).index(mode), state) for state in STATES}
    assert found == {state: modes[mode] for state, modes in documented().items()}


def test_everything_survives_with_the_live_script() -> None:
    assert all(modes[mode] for modes in documented().values() for mode in MODES if "script" in mode)
