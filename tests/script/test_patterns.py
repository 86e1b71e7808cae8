"""The recipes of the documentation in Chromium, while somebody else changes the data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import context  # noqa: F401 - a fixture

from .patterns import Programs
from .proxy import Path

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage


class Site:
    """A program, a browser that shows it, and somebody else who changes its data.

    Args:
        url: Its address. Tabs may take another way to it, ``browser_url``.
        context: The browser.
    """

    def __init__(self, url: str, context: BrowserContext) -> None:  # noqa: F811 - no fixture
        self.url = self.browser_url = url
        self.context = context
        self.complaints: list[str] = []

    def open(self, path: str = "/", height: int = 800) -> Page:
        """Open a page, and wait until its stream is connected."""
        page = self.context.new_page()
        page.set_viewport_size({"width": 800, "height": height})
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.browser_url + path)
        expect_state(page, "connected")
        return page

    def change(self, path: str, method: str = "POST", **form: str) -> None:
        """Change the data as somebody else does."""
        assert self.context.request.fetch(self.url + path, method=method, form={**form}).ok

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


Start = Callable[[str], Site]


@pytest.fixture(scope="module", params=[2, 4], ids=["htmx2", "htmx4"])
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"), request.param)


@pytest.fixture
def start(programs: Programs, context: BrowserContext) -> Iterator[Start]:  # noqa: F811 - the fixture
    """Return a function that runs a program. Fail afterwards if a page complained."""
    sites: list[Site] = []
    with ExitStack() as stack:

        def start(name: str) -> Site:
            sites.append(Site(programs.run(name, stack).url, context))
            return sites[-1]

        yield start
        assert [complaint for site in sites for complaint in site.complaints] == []
        context.close()  # so that the servers have no streams to end


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", state)


def test_an_open_tab_and_the_numbers_in_all_tabs_are_current(start: Start) -> None:
    site = start("tabs")
    page = site.open()
    page.click("#tab-files")
    expect(page.locator("#panel li")).to_have_text(["budget.ods"])
    expect(page.locator("#tab-files")).to_have_attribute("aria-current", "page")
    expect(page.locator("#tab-tasks")).not_to_have_attribute("aria-current", "page")
    assert page.url.endswith("?tab=files")
    site.change("/files", line="plan.ods")
    site.change("/tasks", line="Order 40 chairs")
    expect(page.locator("#panel li")).to_have_text(["budget.ods", "plan.ods"])
    expect(page.locator("#tabs a")).to_have_text(["tasks (2)", "files (2)"])
    page.click("#tab-tasks")
    expect(page.locator("#panel li")).to_have_text(["Book the band", "Order 40 chairs"])
    page.go_back()
    expect(page.locator("#panel li")).to_have_text(["budget.ods", "plan.ods"])
    site.change("/files", line="bill.ods")
    expect(page.locator("#panel li")).to_have_text(["budget.ods", "plan.ods", "bill.ods"])
    expect(page.locator("#tab-files")).to_have_attribute("aria-current", "page")


def test_a_filtered_list_stays_filtered(start: Start) -> None:
    site = start("filters")
    page = site.open()
    page.locator("[name=q]").press_sequentially("ad")
    expect(page.locator("#found li")).to_have_text(["Ada", "Adam"])
    expect(page.locator("#count")).to_have_text("2 of 3")
    site.change("/guests", name="Adele")
    site.change("/guests", name="Cleo")
    expect(page.locator("#count")).to_have_text("3 of 5")
    expect(page.locator("#found li")).to_have_text(["Ada", "Adam", "Adele"])
    expect(page.locator("[name=q]")).to_have_value("ad")
    expect(page.locator("[name=q]")).to_be_focused()
    assert page.url.endswith("?q=ad")


def test_a_filter_that_finds_nothing_shows_what_comes(start: Start) -> None:
    site = start("filters")
    page = site.open()
    page.fill("[name=q]", "zo")
    expect(page.locator("#count")).to_have_text("0 of 3")
    page.fill("[name=q]", "yu")
    page.wait_for_url("**/?q=yu")
    site.change("/guests", name="Zoe")
    site.change("/guests", name="Yuri")
    expect(page.locator("#found li")).to_have_text(["Yuri"])
    expect(page.locator("#count")).to_have_text("1 of 5")


def test_all_rows_of_a_list_that_grows_are_current_and_the_place_stays(start: Start) -> None:
    site = start("scroll")
    page = site.open(height=200)
    expect(page.locator("#log li:not(.more)")).to_have_count(20)
    for rows in (40, 60):
        page.locator(".more").scroll_into_view_if_needed()
        expect(page.locator("#log li:not(.more)")).to_have_count(rows)
    page.locator("#line-50").scroll_into_view_if_needed()
    page.evaluate("window.row = document.querySelector('#line-50')")
    site.change("/log", text="the newest")
    expect(page.locator("#log li").first).to_have_text("the newest")
    expect(page.locator("#line-50")).to_be_in_viewport()
    assert page.evaluate("row === document.querySelector('#line-50')")
    assert int(re.findall(r"until=(\d+)$", page.url)[0]) >= 60


def test_a_dialog_outside_of_the_block_has_nothing_to_do_with_updates(start: Start) -> None:
    site = start("dialogs")
    page = site.open()
    page.click("#room-1 .rename")
    page.fill("#rename [name=name]", "Navy")
    site.change("/rooms/2/name", "PUT", name="Pink")
    expect(page.locator("#room-2 span")).to_have_text("Pink, 12 seats")
    expect(page.locator("#rename [name=name]")).to_have_value("Navy")
    page.click("#rename button:text('Save')")
    expect(page.locator("#room-1 span")).to_have_text("Navy, 40 seats")
    expect(page.locator("#rename")).to_be_hidden()
    page.click("#room-2 .rename")
    expect(page.locator("#rename [name=name]")).to_have_value("Pink")
    site.change("/rooms/2", "DELETE")
    expect(page.locator("#room-2")).to_have_count(0)
    expect(page.locator("#rename [name=name]")).to_be_visible()
    page.click("#rename button:text('Cancel')")
    expect(page.locator("#rename")).to_be_hidden()


def test_a_dialog_in_a_block_is_held_while_it_is_open(start: Start) -> None:
    site = start("dialogs")
    page = site.open()
    page.click("#room-1 .seats")
    dialog = page.locator("#seats-1")
    expect(dialog.locator("p")).to_have_text("Blue has 40 seats in 5 rows.")
    site.change("/rooms/1/name", "PUT", name="Navy")
    expect(page.locator("#room-1 span")).to_have_text("Navy, 40 seats")
    expect(dialog.locator("p")).to_be_visible()
    site.change("/rooms/1", "DELETE")
    site.change("/rooms/2/name", "PUT", name="Pink")
    expect(page.locator("#room-2 span")).to_have_text("Pink, 12 seats")
    expect(dialog.locator("p")).to_be_visible()
    dialog.locator("button").click()
    expect(page.locator("#room-1")).to_have_count(0)


def test_a_row_that_is_edited_in_its_place_stays_while_others_change_it(start: Start) -> None:
    site = start("rows")
    page = site.open()
    page.click("#guest-1 button")
    field = page.locator("#guest-1 [name=name]")
    field.fill("Benno")
    site.change("/guests/0", "PUT", name="Adele")
    expect(page.locator("#guest-0 span")).to_have_text("Adele")
    expect(field).to_have_value("Benno")
    site.change("/guests/1", "PUT", name="Bea")
    site.change("/guests/0", "PUT", name="Ada")
    expect(page.locator("#guest-0 span")).to_have_text("Ada")
    expect(field).to_have_value("Benno")
    expect(field).to_be_focused()
    page.click(".cancel")
    expect(page.locator("#guests span")).to_have_text(["Ada", "Bea", "Cleo"])
    page.click("#guest-1 button")
    expect(field).to_have_value("Bea")
    expect(page.locator(".htmx-added")).to_have_count(0)  # else the form is not htmx's yet
    field.fill("Benno")
    field.press("Enter")
    expect(page.locator("#guests span")).to_have_text(["Ada", "Benno", "Cleo"])
    site.change("/guests/1", "PUT", name="Ben")
    expect(page.locator("#guests span")).to_have_text(["Ada", "Ben", "Cleo"])


def test_boosted_pages_are_live_also_when_the_browser_goes_back(start: Start) -> None:
    site = start("boosted")
    page = site.open()
    page.evaluate("window.sameDocument = true")
    page.click("a:text('Songs')")
    site.change("/songs", name="Atmosphere")  # perhaps before the stream of the new page
    expect(page.locator("#list li")).to_have_text(["Blue Monday", "Atmosphere"])
    expect(page).to_have_title("Songs")
    site.change("/guests", name="Ben")
    page.go_back()
    expect(page.locator("#list li")).to_have_text(["Ada", "Ben"])
    site.change("/guests", name="Cleo")
    expect(page.locator("#list li")).to_have_text(["Ada", "Ben", "Cleo"])
    expect(page).to_have_title("Guests")
    assert page.evaluate("window.sameDocument")


def test_a_token_on_the_body_stays_valid_while_blocks_change(start: Start) -> None:
    site = start("tokens")
    page, other = site.open(), site.open()
    assert site.context.request.post(f"{site.url}/votes").status == 403
    for number, each in enumerate([page, other, page, other], 1):
        each.click("#votes button")
        for shown in (page, other):
            expect(shown.locator("#votes")).to_contain_text(f"{number} votes")


def test_a_form_that_holds_itself_says_that_somebody_else_has_saved(start: Start) -> None:
    site = start("settings")
    page = site.open()
    name, place, hint = page.locator("[name=name]"), page.locator("[name=place]"), page.locator(".changed")
    site.change("/settings", name="Fair", place="Park")
    expect(name).to_have_value("Fair")
    name.fill("Winter fair")
    expect(hint).to_be_hidden()
    site.change("/settings", name="Fair", place="Harbour")
    expect(hint).to_be_visible()
    expect(name).to_have_value("Winter fair")
    expect(place).to_have_value("Park")
    hint.get_by_role("button").click()
    expect(place).to_have_value("Harbour")
    expect(name).to_have_value("Fair")
    expect(hint).to_be_hidden()

    name.fill("Spring fair")
    site.change("/settings", name="Fair", place="Town hall")
    expect(hint).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(hint).to_be_hidden()
    expect(place).to_have_value("Harbour")
    site.change("/settings", name="Spring fair", place="Park")
    expect(place).to_have_value("Park")
    expect(name).to_have_value("Spring fair")


def test_a_banner_of_css_alone_shows_the_state_of_the_page(start: Start) -> None:
    site = start("settings")
    path = Path(site.url)
    site.browser_url = path.url
    page = site.open()
    lost = page.get_by_role("status").get_by_text("Connection lost")
    expect(lost).to_be_hidden()
    path.refuses = True
    path.cut()
    expect(lost).to_be_visible()
    expect_state(page, "reconnecting")
    path.refuses = False
    expect(lost).to_be_hidden()
    expect_state(page, "connected")
    path.close()
