"""Rows are inserted, moved, edited and removed at random: after each step, a page shows what a new load of it shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

STEPS = int(os.environ.get("ROWS_STEPS", "40"))
"""Changes in each page. Set ``ROWS_STEPS`` for more."""
LISTS = ["list", "table", "inline", "options", "drawing", "nested", "whole"]
COMPARE = (Path(__file__).parents[1] / "fidelity" / "compare.js").read_text()

# Counts the events of the stream, those that name rows, and their characters.
WATCH = """
window.seen = { events: 0, rows: 0 }
const Native = window.EventSource
window.EventSource = class extends Native {
  set onmessage(listener) {
    super.onmessage = event => {
      window.seen.events++
      if (/^{[^\\n]*"rows":/.test(event.data)) window.seen.rows++
      listener(event)
    }
  }
}"""

# Makes changes, and returns the differences from a new load after the first change that leaves any.
RUN = """async ([steps, lists]) => {
  const shown = () => document.getElementById("steps").textContent
  for (let i = 0; i < steps; i++) {
    const answer = await fetch("/step", { method: "POST" }), expected = await answer.text()
    const deadline = performance.now() + 20000
    while (shown() != expected) {
      if (performance.now() > deadline) return [{ step: i, what: "late", shown: shown(), fresh: expected }]
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    const source = await (await fetch(location.href)).text()
    const fresh = new DOMParser().parseFromString(source, "text/html")
    const differences = () => lists.flatMap(id =>
      fidelity.compare(document.getElementById(id), fresh.getElementById(id)).map(each => ({ step: i, id, ...each })))
    // htmx 2 sets some attributes a little later.
    let found = differences()
    for (let again = 0; found.length && again < 20; again++) {
      await new Promise(resolve => setTimeout(resolve, 20))
      found = differences()
    }
    if (found.length) return found
  }
  return []
}"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.rows.app:app") as server:
        yield server


def open_page(context: BrowserContext, server: Server, name: str, count: int, seed: int = 0) -> Page:  # noqa: F811 - no fixture
    page = context.new_page()
    assert context.request.post(f"{server.url}/fill?seed={seed}&count={count}").ok
    page.add_init_script(WATCH)
    page.goto(f"{server.url}/{name}")
    page.add_script_tag(content=COMPARE)
    return page


def run(page: Page, steps: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(RUN, [steps, LISTS])
    return found


@pytest.mark.parametrize("client", ["live2", "live4", "alone", "htmx2", "htmx4", "turbo"])
def test_a_page_shows_what_a_new_load_shows(server: Server, context: BrowserContext, client: str) -> None:  # noqa: F811 - the fixture
    complaints: list[str] = []
    page = open_page(context, server, client, 12, int(os.environ.get("ROWS_SEED", "1")))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    assert run(page, STEPS) == []
    assert complaints == []
    seen = page.evaluate("window.seen")
    if client in {"live2", "live4", "alone"}:
        assert seen["rows"] > seen["events"] / 4
    else:
        assert seen["rows"] == 0
