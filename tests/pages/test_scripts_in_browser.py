"""The scripts of ``live_scripts()`` in Chromium, and what htmx does with an ``OOB``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.scripts_app:app") as server:
        yield server


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:  # noqa: F811 - the fixture
    """A tab. Fails at the end if its console has an error."""
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert not complaints


@pytest.mark.parametrize("policy", ["self", "nonce"])
@pytest.mark.parametrize(("version", "number"), [(2, "2.0.11"), (4, "4.0.1")])
def test_the_scripts_run_under_a_content_security_policy(
    page: Page, server: Server, version: int, number: str, policy: str
) -> None:
    page.goto(f"{server.url}/{version}/partial/{policy}")
    assert page.evaluate("htmx.version") == number
    assert page.evaluate("typeof Idiomorph.morph") == "function"


@pytest.mark.parametrize("style", ["partial", "oob"])
@pytest.mark.parametrize("version", [2, 4])
def test_fragments_elsewhere_are_placed_as_their_blocks_need_it(
    page: Page, server: Server, version: int, style: str
) -> None:
    page.goto(f"{server.url}/{version}/{style}/self")
    for _ in range(2):
        with page.expect_response(lambda response: response.request.method == "POST"):
            page.get_by_role("button").click()
    expect(page.locator("#log li")).to_have_text(["entry 1", "entry 2", "entry 2"])
    expect(page.locator("#main")).to_have_text("main 2")
    assert page.locator("#inside").evaluate("each => each.outerHTML") == '<p id="inside">inside 2</p>'
    around = page.locator("p.c2")
    expect(around).to_have_count(1)
    expect(page.locator("[id=around]")).to_have_count(1)
    expect(page.locator("body > #around")).to_have_text("around 2")
    expect(page.locator("[hx-swap-oob]")).to_have_count(0)
