"""What people see of the workspace, in Chromium, against uvicorn, under htmx 2 and htmx 4."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.script.proxy import Path

from .look import WATCH_SHIFTS, faults_of, shifted

if TYPE_CHECKING:
    from .support import Server

NUMBERS = count(1)
NOTE_CONNECTIONS = """window.connections = 0
for (const name of ["reactive:connected", "htmx:sseOpen", "htmx:sse:after:connection"])
  addEventListener(name, () => window.connections++)"""
EXPECTED_IN_CONSOLE = re.compile(
    r"legacy attribute sse-\w+ is deprecated|sse-swap is removed in htmx 4"  # of what live() writes for htmx 2
)


class Visitor:
    """Somebody with a browser of their own, whose console is watched."""

    def __init__(self, context: BrowserContext, url: str, complaints: list[str]) -> None:
        self.context = context
        self.url = url
        self.complaints = complaints

    def open(self, path: str, *, live: bool = True) -> Page:
        """Open a page in a new tab, and wait until its stream is connected."""
        page = self.context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.url + path)
        if live:
            page.wait_for_function("connections > 0")
        return page

    def create(self, kind: str, name: str) -> str:
        """Create a board or a document that is the test's own, and return its path."""
        field = "name" if kind == "boards" else "title"
        created = self.context.request.post(f"{self.url}/{kind}", form={field: f"{name} {next(NUMBERS)}"})
        return created.url.removeprefix(self.url)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not EXPECTED_IN_CONSOLE.search(message.text):
            self.complaints.append(f"{message.type}: {message.text}")


Enter = Callable[..., Visitor]


@pytest.fixture(params=[2, 4], ids=["htmx2", "htmx4"])
def htmx(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browsers' consoles said; nothing, at the end."""
    found: list[str] = []
    yield found
    assert not found


@pytest.fixture
def enter(example: Server, browser: Browser, htmx: int, complaints: list[str]) -> Iterator[Enter]:
    """Let somebody in under a name, in a browser of their own."""
    contexts: list[BrowserContext] = []

    def enter(name: str, **options: object) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        context.add_init_script(NOTE_CONNECTIONS)
        context.add_init_script(WATCH_SHIFTS)
        context.request.post(f"{example.url}/htmx", form={"version": str(htmx)})
        context.request.post(f"{example.url}/sign-in", form={"name": name})
        return Visitor(context, example.url, complaints)

    yield enter
    for context in contexts:
        context.close()


def expected_answer(complaints: list[str], status: int) -> None:
    """Take back Chromium's own line about an answer that is meant to have this status."""
    line = next(each for each in complaints if f"status of {status}" in each)
    complaints.remove(line)
    for each in [each for each in complaints if f"Response Status Error Code {status}" in each]:
        complaints.remove(each)


# Boards


def add(page: Page, title: str) -> None:
    page.get_by_label("New task").fill(title)
    page.get_by_role("button", name="Add").click()


def column(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(f"^{name}")).locator(".task > p:first-child")


def test_a_task_added_by_one_person_appears_at_the_other_without_a_reload(enter: Enter, htmx: int) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("boards", "Party")
    one, other = ada.open(path), ben.open(path)
    for page in (one, other):
        expect(page.locator(f"script[src*='/htmx-{htmx}.']").first).to_be_attached()
        page.evaluate("window.sameDocument = true")

    add(one, "Book the band")

    expect(column(other, "To do")).to_have_text(["Book the band"])
    expect(other.locator("#progress")).to_contain_text("0 of 1 done")
    expect(other.locator("#activity")).to_contain_text("Ada added Book the band")
    expect(column(one, "To do")).to_have_text(["Book the band"])
    expect(one.get_by_label("New task")).to_have_value("")
    for page in (one, other):
        assert page.evaluate("window.sameDocument") is True


def test_a_task_goes_through_the_columns_and_the_focus_goes_with_it(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("boards", "Party")
    one, other = ada.open(path), ben.open(path)
    add(one, "Taste the cake")
    expect(column(other, "To do")).to_have_text(["Taste the cake"])

    one.get_by_role("button", name="Start Taste the cake").press("Enter")
    expect(column(other, "Doing")).to_have_text(["Taste the cake"])
    expect(one.get_by_role("button", name="Finish Taste the cake")).to_be_focused()
    one.get_by_role("button", name="Finish Taste the cake").press("Enter")

    for page in (one, other):
        expect(column(page, "Done")).to_have_text(["Taste the cake"])
        expect(page.locator("#progress")).to_contain_text("1 of 1 done")


def test_editing_in_the_dialog_shows_everywhere_and_gives_the_focus_back(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("boards", "Party")
    one, other = ada.open(path), ben.open(path)
    add(one, "Taste the cake")
    one.get_by_role("link", name="Edit Taste the cake").press("Enter")
    dialog = one.get_by_role("dialog")
    expect(dialog.get_by_label("What needs doing")).to_be_focused()
    assert faults_of(one) == []

    dialog.get_by_label("What needs doing").fill("Taste every cake")
    dialog.get_by_label("Who does it").select_option("Ben")
    dialog.get_by_role("button", name="Save").click()

    expect(dialog).to_be_hidden()
    expect(column(other, "To do")).to_have_text(["Taste every cake"])
    expect(other.locator(".task .who")).to_contain_text("Ben")
    expect(one.get_by_role("link", name="Edit Taste every cake")).to_be_focused()
    expect(other.locator("#bell")).to_contain_text(re.compile(r"Notifications: [1-9]\d* unread"))


def test_a_task_that_moves_to_another_board_leaves_one_and_comes_to_the_other(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    here, there = ada.create("boards", "Here"), ada.create("boards", "There")
    one, other = ada.open(here), ben.open(there)
    add(one, "Order 40 chairs")
    one.get_by_role("link", name="Edit Order 40 chairs").click()
    one.get_by_label("On which board").select_option(there.rpartition("/")[2])
    one.get_by_role("dialog").get_by_role("button", name="Save").click()

    expect(column(other, "To do")).to_have_text(["Order 40 chairs"])
    expect(column(one, "To do")).to_have_count(0)


def test_a_task_is_deleted_and_somebody_who_still_edits_it_is_told(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("boards", "Party")
    one, other = ada.open(path), ben.open(path)
    add(one, "Taste the cake")
    for page in (one, other):
        page.get_by_role("link", name="Edit Taste the cake").click()
        expect(page.get_by_role("dialog")).to_be_visible()
    one.get_by_role("button", name="Delete").click()
    expect(one.get_by_role("dialog")).to_be_hidden()
    expect(column(other, "To do")).to_have_count(0)

    other.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(other.locator("#notice")).to_contain_text("This task is gone")
    expect(other.get_by_role("dialog")).to_be_hidden()


def test_a_wrong_title_is_said_at_its_field_and_kept(enter: Enter, complaints: list[str]) -> None:
    page = enter("Ada").open("/boards/1")
    add(page, "   ")
    field = page.get_by_label("New task")
    expect(page.get_by_role("alert")).to_have_text("The task is missing.")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert faults_of(page) == []
    expected_answer(complaints, 422)


def test_what_is_being_typed_survives_an_update_of_the_board(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("boards", "Party")
    one, other = ada.open(path), ben.open(path)
    field = other.get_by_label("New task")
    field.press_sequentially("Order 40 ch")

    add(one, "Book the band")
    expect(column(other, "To do")).to_have_text(["Book the band"])

    expect(field).to_have_value("Order 40 ch")
    expect(field).to_be_focused()
    field.press_sequentially("airs")
    field.press("Enter")
    expect(column(one, "To do")).to_have_text(["Book the band", "Order 40 chairs"])
    expect(field).to_have_value("")


def test_markup_in_a_title_is_shown_as_text(enter: Enter) -> None:
    ada = enter("Ada")
    path = ada.create("boards", "Party")
    one, other = ada.open(path), ada.open(path)
    add(one, "<img src=x onerror=alert(1)> & more")
    expect(column(other, "To do")).to_have_text(["<img src=x onerror=alert(1)> & more"])
    expect(other.locator("main img")).to_have_count(0)


def test_the_wall_follows_a_board_without_signing_in(enter: Enter, browser: Browser, example: Server) -> None:
    ada = enter("Ada")
    path = ada.create("boards", "Party")
    screen = ada.context.browser.new_context()  # type: ignore[union-attr]
    screen.add_init_script(NOTE_CONNECTIONS)
    wall = screen.new_page()
    wall.goto(f"{example.url}/wall/{path.rpartition('/')[2]}")
    wall.wait_for_function("connections > 0")
    add(ada.open(path), "Book the band")
    expect(column(wall, "To do")).to_have_text(["Book the band"])
    expect(wall.locator("#tally")).to_have_text("1 to go")
    screen.close()


def test_the_first_page_shows_how_far_each_board_is(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    home = ben.open("/")
    path = ada.create("boards", "Party")
    tile = home.locator("#boards .tile", has=home.locator(f"a[href='{path}']"))
    expect(tile).to_contain_text("0 of 0 done")
    add(ada.open(path), "Book the band")
    expect(tile).to_contain_text("0 of 1 done")


# Documents


def here(page: Page) -> Locator:
    return page.get_by_role("list", name="Here now").locator("li")


def write(page: Page, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()


def test_a_document_shows_who_is_here(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("documents", "Plan")
    one = ada.open(path)
    expect(here(one)).to_have_text([re.compile("Ada")])
    other = ben.open(path)
    for page in (one, other):
        expect(here(page)).to_have_text([re.compile("Ada"), re.compile("Ben")])
    other.close()
    expect(here(one)).to_have_text([re.compile("Ada")])


def test_title_version_and_words_are_live_and_an_untouched_editor_follows(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("documents", "Plan")
    one, other = ada.open(path), ben.open(path)
    write(one, "The band plays at six.")
    save(one)

    for page in (one, other):
        expect(page.locator("#version")).to_contain_text("Version 2 by Ada")
        expect(page.locator("#words")).to_have_text("5 words")
    expect(one.locator("#state")).to_have_text("Saved as version 2.")
    expect(other.get_by_label("Text", exact=True)).to_have_value("The band plays at six.")

    one.get_by_text("Rename the document").click()
    one.get_by_label("New title").fill("The plan")
    one.get_by_role("button", name="Rename").click()
    for page in (one, other):
        expect(page.get_by_role("heading", level=1)).to_have_text("The plan")


def test_what_is_being_written_stays_and_a_conflict_is_shown(enter: Enter, complaints: list[str]) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("documents", "Plan")
    one, other = ada.open(path), ben.open(path)
    write(other, "The band plays at seven.")
    write(one, "The band plays at six.")
    save(one)
    expect(other.locator("#state")).to_have_text(re.compile("^Version 2 was saved while you were writing"))
    expect(other.get_by_label("Text", exact=True)).to_have_value("The band plays at seven.")

    save(other)
    conflict = other.get_by_role("alert")
    expect(conflict).to_contain_text("Ada saved version 2 while you were writing")
    expect(conflict.locator("ins")).to_have_text(["The band plays at six."])
    expect(conflict.locator("del")).to_have_text(["The band plays at seven."])
    expect(one.locator("#version")).to_contain_text("Version 2 by Ada")
    assert faults_of(other) == []

    other.get_by_role("button", name="Keep mine, as version 3").click()
    expect(other.locator("#state")).to_have_text("Saved as version 3.")
    expect(one.locator("#version")).to_contain_text("Version 3 by Ben")
    expect(one.get_by_label("Text", exact=True)).to_have_value("The band plays at seven.")
    expected_answer(complaints, 422)


def test_of_two_versions_the_other_one_can_be_taken(enter: Enter, complaints: list[str]) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("documents", "Plan")
    one, other = ada.open(path), ben.open(path)
    write(other, "Mine")
    write(one, "Theirs")
    save(one)
    expect(other.locator("#version")).to_contain_text("Version 2")
    save(other)
    other.get_by_role("link", name="Take version 2").click()
    expect(other.get_by_label("Text", exact=True)).to_have_value("Theirs")
    expect(other.get_by_role("alert")).to_have_count(0)
    expected_answer(complaints, 422)


def test_nothing_moves_by_itself_when_people_come_and_save(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    path = ada.create("documents", "Plan")
    one = ada.open(path)
    expect(here(one)).to_have_count(1)
    other = ben.open(path)
    expect(here(one)).to_have_count(2)
    write(other, "One\ntwo\nthree")
    save(other)
    expect(one.locator("#words")).to_have_text("3 words")
    assert shifted(one) < 0.01


# Chat


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def test_a_reply_comes_word_by_word_at_everybody(enter: Enter) -> None:
    ada, ben = enter("Ada"), enter("Ben")
    one, other = ada.open("/chat"), ben.open("/chat")
    question = f"@guide, how does this page work? {next(NUMBERS)}"
    say(one, question)
    for page in (one, other):
        expect(page.locator(".message", has_text=question)).to_have_count(1)
        reply = page.locator(".message.guide").last
        expect(reply).to_have_attribute("aria-busy", "true")
        expect(reply).to_contain_text("Each word I write")
        assert "reached you." not in reply.inner_text()
    late = ben.open("/chat")  # somebody who comes in the middle of it
    for page in (one, other, late):
        reply = page.locator(".message.guide").last
        expect(reply.locator(".text")).to_have_text(re.compile(r"^Each word I write is saved.*that reached you\.$"))
        expect(reply).not_to_have_attribute("aria-busy", "true")
        ids = page.evaluate("[...document.querySelectorAll('.message')].map(each => each.id)")
        assert len(set(ids)) == len(ids)
    expect(one.get_by_label("Message", exact=True)).to_have_value("")


def test_the_newest_message_is_in_view_and_the_page_stays_in_place(enter: Enter) -> None:
    ada = enter("Ada")
    one, other = ada.open("/chat"), ada.open("/chat")
    for number in range(12):
        say(one, f"Line {number} of a longer talk {next(NUMBERS)}")
        expect(one.get_by_label("Message", exact=True)).to_have_value("")
    expect(other.locator(".message").last).to_contain_text("Line 11")
    expect(other.locator(".message").last).to_be_in_viewport()


def test_a_mention_rings_only_the_bell_of_who_is_mentioned(enter: Enter) -> None:
    ada, ben, cleo = enter("Ada"), enter(f"Ben{next(NUMBERS)}"), enter(f"Cleo{next(NUMBERS)}")
    name = ben.open("/chat").locator(".menu strong").text_content()
    pages = {visitor: visitor.open("/chat") for visitor in (ben, cleo)}
    for page in pages.values():
        expect(page.locator("#bell")).to_contain_text("0 unread")
    say(ada.open("/chat"), f"@{name} can you bring the generator?")
    expect(pages[ben].locator("#bell")).to_contain_text("1 unread")
    expect(pages[cleo].locator(".message").last).to_contain_text("generator")
    expect(pages[cleo].locator("#bell")).to_contain_text("0 unread")


# Notifications


def test_what_somebody_missed_is_there_until_it_is_read_and_then_never_again(enter: Enter) -> None:
    name = f"Dora{next(NUMBERS)}"
    ada, dora = enter("Ada"), enter(name)
    chat = ada.open("/chat")
    say(chat, f"@{name} welcome!")
    expect(chat.locator(".message").last).to_contain_text("welcome!")

    page = dora.open("/notifications")
    new = page.get_by_role("region", name=re.compile("^New"))
    expect(new.get_by_role("listitem")).to_have_count(1)
    say(chat, f"@{name} are you there?")
    expect(new.get_by_role("listitem")).to_have_count(2)
    elsewhere = dora.open("/notifications")
    page.get_by_role("button", name="Mark 2 as read").click()

    for each in (page, elsewhere):
        expect(each.locator("#notices")).to_contain_text("Nothing new")
        expect(each.locator("#bell")).to_contain_text("0 unread")
    page.reload()
    expect(page.locator("#notices")).to_contain_text("Nothing new")
    expect(page.get_by_role("region", name="Earlier").get_by_role("listitem")).to_have_count(2)


# Ask


def test_an_answer_fills_three_regions_from_one_stream_and_can_be_shared(
    enter: Enter, browser: Browser, example: Server
) -> None:
    page = enter("Ada").open("/ask", live=False)
    page.get_by_label("Your question").fill("When does the band play?")
    page.get_by_role("button", name="Ask", exact=True).click()

    expect(page.locator("#sources")).to_contain_text("Plan for the summer fair")
    expect(page.locator("#share a")).to_have_count(0)
    expect(page.locator("#answer")).to_contain_text("The band plays from six; if it rains")
    link = page.locator("#share a")
    expect(link).to_be_visible()
    assert faults_of(page) == []
    answer = page.locator("#answer").inner_text()
    assert page.evaluate("connections") == 1

    stranger = browser.new_page()
    stranger.goto(example.url + str(link.get_attribute("href")))
    expect(stranger.locator(".answer")).to_have_text(answer)
    stranger.close()


def test_a_second_question_replaces_the_first(enter: Enter) -> None:
    page = enter("Ada").open("/ask", live=False)
    for question, source in (
        ("When does the band play?", "Plan for"),
        ("Who has to write down decisions?", "How we work"),
    ):
        page.get_by_label("Your question").fill(question)
        page.get_by_role("button", name="Ask", exact=True).click()
        expect(page.locator("#sources")).to_contain_text(source)
    expect(page.locator("#share a")).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("Decisions go into a document")
    expect(page.locator("#answer")).not_to_contain_text("The band plays")


# All pages


@pytest.mark.parametrize("path", ["/boards/1", "/documents/1"])
def test_a_lost_connection_is_shown_until_it_is_back(enter: Enter, path: str) -> None:
    ada = enter("Ada")
    way = Path(ada.url)
    page = ada.context.new_page()  # its console is not watched, because it reports the lost connection
    page.goto(way.url + path)
    page.wait_for_function("connections > 0")
    lost = page.get_by_role("status").get_by_text("Connection lost")
    expect(lost).to_be_hidden()
    way.refuses = True
    way.cut()
    expect(lost).to_be_visible()
    assert faults_of(page) == []
    way.refuses = False
    expect(lost).to_be_hidden()
    way.close()


def test_a_page_says_that_its_person_has_signed_out(enter: Enter) -> None:
    ada = enter("Ada")
    page = ada.open("/boards/1")
    over = page.get_by_role("status").get_by_text("This page is no longer updated.")
    expect(over).to_be_hidden()
    ada.context.request.post(f"{ada.url}/sign-out")
    expect(over).to_be_visible()
    assert faults_of(page) == []
    over.get_by_role("link", name="Reload it").click()
    expect(page).to_have_url(re.compile("/sign-in"))


PAGES = [
    "/",
    "/boards/1",
    "/boards/1/tasks/2",
    "/documents/1",
    "/chat",
    "/ask",
    "/notifications",
    "/wall/1",
    "/sign-in",
]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_sound(enter: Enter, width: int, scheme: str) -> None:
    ada = enter("Ada", viewport={"width": width, "height": 844}, color_scheme=scheme)
    for path in PAGES:
        page = ada.open(path, live=False)
        page.wait_for_timeout(50)
        assert faults_of(page) == [], path
        page.close()


def test_long_words_do_not_widen_a_page(enter: Enter) -> None:
    ada = enter("Ada", viewport={"width": 390, "height": 844})
    word = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverordnung"
    board, document = ada.create("boards", word[:50]), ada.create("documents", word)
    page = ada.open(board)
    add(page, word)
    expect(column(page, "To do")).to_have_count(1)
    chat = ada.open("/chat")
    say(chat, word * 2)
    expect(chat.locator(".message").last).to_contain_text(word)
    for each in (page, chat, ada.open(document), ada.open("/")):
        assert faults_of(each) == [], each.url


def test_the_keyboard_reaches_the_content_first(enter: Enter) -> None:
    page = enter("Ada").open("/boards/1")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Show on the wall")).to_be_focused()


def test_nothing_covers_the_switch_in_the_footer_of_a_narrow_page(enter: Enter, htmx: int) -> None:
    ada = enter("Ada", viewport={"width": 390, "height": 844})
    for path in PAGES:
        page = ada.open(path, live=False)
        switch = page.get_by_role("button", name=f"htmx {6 - htmx}")
        if switch.count():
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            switch.click(trial=True, timeout=5000)
        page.close()


def test_the_version_of_htmx_is_switched_in_the_footer(enter: Enter, htmx: int) -> None:
    page = enter("Ada").open("/boards/1")
    other = 6 - htmx
    page.get_by_role("button", name=f"htmx {other}").click()
    expect(page.get_by_role("button", name=f"htmx {other}")).to_have_attribute("aria-pressed", "true")
    assert page.url.endswith("/boards/1")
    expect(page.locator(f"script[src*='/htmx-{other}.']").first).to_be_attached()


def test_everything_can_be_done_without_javascript(enter: Enter) -> None:
    ada = enter("Ada", java_script_enabled=False)
    page = ada.open(ada.create("boards", "Plain forms"), live=False)
    add(page, "Taste the cake")
    expect(column(page, "To do")).to_have_text(["Taste the cake"])
    page.get_by_role("button", name="Start Taste the cake").click()
    expect(column(page, "Doing")).to_have_text(["Taste the cake"])
    page.get_by_role("link", name="Edit Taste the cake").click()
    page.get_by_label("What needs doing").fill("Taste every cake")
    page.get_by_role("button", name="Save").click()
    expect(column(page, "Doing")).to_have_text(["Taste every cake"])

    page.goto(ada.url + ada.create("documents", "Plain text"))
    write(page, "Two words")
    save(page)
    expect(page.locator("#words")).to_have_text("2 words")

    page.goto(f"{ada.url}/chat")
    say(page, f"Hello {(number := next(NUMBERS))}")
    expect(page.locator(".message").last).to_contain_text(f"Hello {number}")

    page.goto(f"{ada.url}/ask")
    page.get_by_label("Your question").fill("When does the band play?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answer")).to_contain_text("The band plays from six")
