"""What a person sees of the task board, in Chromium, against uvicorn."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import BrowserContext, Locator, Page, expect

if TYPE_CHECKING:
    from .support import Server

SECOND = 1000.0  # milliseconds, as Playwright counts
NUMBERS = count(1)
RECORD_MESSAGES = "window.messages = []; addEventListener('htmx:sseMessage', event => messages.push(event.detail.type))"

OpenBoard = Callable[..., Page]


@pytest.fixture
def open_board(example: Server, context: BrowserContext, open_page: Callable[[str], Page]) -> OpenBoard:
    """Open a board that is this test's own, and wait until its stream is connected."""
    number = next(NUMBERS)
    context.add_init_script(RECORD_MESSAGES)

    def open_board(name: str = "board") -> Page:
        created = context.request.post(f"{example.url}/boards", form={"name": f"{name} {number}"})
        page = open_page(created.url)
        page.wait_for_function("messages.includes('people')")
        return page

    return open_board


def add(page: Page, title: str) -> None:
    page.get_by_label("New task").fill(title)
    page.get_by_role("button", name="Add").click()


def titles(page: Page) -> Locator:
    return page.locator(".task-title")


def people(page: Page, number: int) -> None:
    expect(page.locator("#people")).to_have_text(f"{number} {'person' if number == 1 else 'people'} here")


def test_a_task_added_in_one_page_appears_in_the_other_within_a_second_without_a_reload(open_board: OpenBoard) -> None:
    one, other = open_board(), open_board()
    people(one, 2)
    for page in (one, other):
        page.evaluate("window.sameDocument = true")

    add(one, "Book the band")

    expect(titles(other)).to_have_text(["Book the band"], timeout=SECOND)
    expect(other.locator("#count")).to_contain_text("1 to do", timeout=SECOND)
    expect(other.locator("#count")).to_contain_text("0 of 1 done", timeout=SECOND)
    expect(other.locator("#activity")).to_contain_text("Added Book the band", timeout=SECOND)
    expect(titles(one)).to_have_text(["Book the band"], timeout=SECOND)
    for page in (one, other):
        assert page.evaluate("window.sameDocument") is True


def test_toggling_renaming_and_deleting_show_in_the_other_page(open_board: OpenBoard) -> None:
    one, other = open_board(), open_board()
    add(one, "Taste the cake")
    expect(titles(other)).to_have_text(["Taste the cake"])

    one.get_by_role("checkbox", name="Done: Taste the cake").click()
    expect(other.get_by_role("checkbox")).to_be_checked(timeout=SECOND)
    expect(other.locator("#count")).to_contain_text("1 of 1 done", timeout=SECOND)

    one.get_by_role("link", name="Rename Taste the cake").click()
    one.get_by_label("New title").fill("Taste every cake")
    one.get_by_role("button", name="Rename", exact=True).click()
    expect(titles(other)).to_have_text(["Taste every cake"], timeout=SECOND)
    expect(one.get_by_role("dialog")).to_be_hidden()

    one.get_by_role("button", name="Delete Taste every cake").click()
    expect(titles(other)).to_have_count(0, timeout=SECOND)
    expect(other.locator("#tasks")).to_contain_text("Nothing here yet")
    expect(other.locator("#activity p").first).to_have_text("Deleted Taste every cake")


def test_a_page_on_another_board_is_sent_nothing(open_board: OpenBoard) -> None:
    one, other, elsewhere = open_board("here"), open_board("here"), open_board("elsewhere")
    people(one, 2)
    people(elsewhere, 1)

    add(one, "Send the invitations")
    expect(titles(other)).to_have_text(["Send the invitations"], timeout=SECOND)
    add(elsewhere, "Water the plants")

    expect(titles(elsewhere)).to_have_text(["Water the plants"])
    expect(elsewhere.locator("#activity .feed li")).to_have_count(1)
    assert elsewhere.evaluate("messages") == ["people", "count", "tasks", "activity"]


def test_presence_follows_the_tabs_that_are_open(open_board: OpenBoard) -> None:
    first = open_board()
    people(first, 1)
    second, third = open_board(), open_board()
    for page in (first, second, third):
        people(page, 3)

    third.close()
    people(first, 2)
    people(second, 2)


def test_what_is_being_typed_survives_an_update_of_the_list(open_board: OpenBoard) -> None:
    one, other = open_board(), open_board()
    field = other.get_by_label("New task")
    field.press_sequentially("Order 40 ch")

    add(one, "Book the band")
    expect(titles(other)).to_have_text(["Book the band"], timeout=SECOND)

    expect(field).to_have_value("Order 40 ch")
    expect(field).to_be_focused()
    field.press_sequentially("airs")
    field.press("Enter")
    expect(titles(one)).to_have_text(["Order 40 chairs", "Book the band"], timeout=SECOND)
    expect(field).to_have_value("")


def test_the_dialog_survives_an_update_of_the_list_and_gives_the_focus_back(open_board: OpenBoard) -> None:
    one, other = open_board(), open_board()
    add(one, "Taste the cake")
    other.get_by_role("link", name="Rename Taste the cake").press("Enter")
    title = other.get_by_label("New title")
    expect(title).to_be_focused()
    title.fill("Taste every c")

    add(one, "Book the band")
    expect(titles(other)).to_have_count(2)
    expect(title).to_have_value("Taste every c")
    title.press_sequentially("ake")
    title.press("Enter")

    expect(titles(one)).to_have_text(["Book the band", "Taste every cake"])
    expect(other.get_by_role("dialog")).to_be_hidden()
    expect(other.get_by_role("link", name="Rename Taste every cake")).to_be_focused()


def test_the_keyboard_alone_ticks_a_task_and_keeps_its_place(open_board: OpenBoard) -> None:
    page = open_board()
    for title in ("One", "Two"):
        add(page, title)
        expect(titles(page).first).to_have_text(title)
    page.get_by_role("checkbox", name="Done: Two").press("Space")

    expect(titles(page)).to_have_text(["One", "Two"])
    expect(page.get_by_role("checkbox", name="Done: Two")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Done: Two")).to_be_focused()


def test_markup_in_a_title_is_shown_as_text(open_board: OpenBoard) -> None:
    one, other = open_board(), open_board()
    add(one, "<img src=x onerror=alert(1)> & more")
    expect(titles(other)).to_have_text(["<img src=x onerror=alert(1)> & more"])
    expect(other.locator("main img")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_their_window(example: Server, open_board: OpenBoard, width: int, scheme: str) -> None:
    page = open_board("A board with a name that is rather long")
    add(page, "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung " * 2)
    expect(titles(page)).to_have_count(1)
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for url in (
        page.url,
        example.url,
        page.get_by_role("link", name=re.compile("^Rename")).get_attribute("href") or "",
    ):
        page.goto(url if url.startswith("http") else example.url + url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_boards_are_created_opened_and_used_without_javascript(example: Server, context: BrowserContext) -> None:
    browser = context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(example.url)
    page.get_by_label("Name of a new board").fill("Plain forms")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(f"{example.url}/boards/plain-forms")
    add(page, "Taste the cake")
    page.get_by_role("link", name="Rename Taste the cake").click()
    page.get_by_label("New title").fill("Taste every cake")
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_role("checkbox", name="Done: Taste every cake").click()
    expect(page.locator("#count")).to_contain_text("1 of 1 done")
    page.get_by_role("button", name="Delete Taste every cake").click()
    expect(titles(page)).to_have_count(0)
    plain.close()
