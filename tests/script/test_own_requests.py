"""Answers to a page's own requests beside its updates, in both orders."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Page, Route, expect

from .conftest import Site

pytestmark = pytest.mark.parametrize("client", ["htmx2", "htmx4"])
ORDERS = pytest.mark.parametrize("late", ["answers", "updates"])


def add(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.click("#add button")


def rows(page: Page) -> list[str]:
    return page.locator("#items li span").all_text_contents()


def finish(site: Site, page: Page, late: str) -> None:
    """Let what is late arrive, after the other has arrived."""
    if late == "answers":
        expect(page.locator("#total")).to_have_text("3")
    else:
        expect(page.locator("#items li span")).to_have_count(3)
    site.post(f"/test/open/{late}")


@ORDERS
def test_the_answer_stays_and_all_other_blocks_are_updated(site: Site, client: str, late: str) -> None:
    page = site.open(f"/items/{client}")
    site.post(f"/test/close/{late}")
    add(page, "three")
    finish(site, page, late)
    expect(page.locator("#total")).to_have_text("3")
    expect(page.locator("#items .flash")).to_have_text("three was added")
    assert rows(page) == ["one", "two", "three"]
    site.post("/test/text?number=1&text=uno")  # a change by somebody else replaces what was shown beyond the list
    expect(page.locator("#items li span").first).to_have_text("uno")
    expect(page.locator("#items .flash")).to_have_count(0)
    assert rows(page) == ["uno", "two", "three"]


@ORDERS
def test_events_of_an_answer_are_heard_and_every_block_is_updated(site: Site, client: str, late: str) -> None:
    page = site.open(f"/items/{client}")
    site.post(f"/test/close/{late}")
    page.click("#item-1 .ring")
    if late == "answers":
        expect(page.locator("#bell")).to_have_text("1")
    else:
        page.wait_for_function("heard.some(([name]) => name == 'toast')")
    site.post(f"/test/open/{late}")
    page.wait_for_function("heard.some(([name, value]) => name == 'toast' && value == 'rang 1')")
    expect(page.locator("#bell")).to_have_text("1")
    expect(page.locator("#item-1 span")).to_have_text("one!")


@ORDERS
def test_somebody_elses_change_meanwhile_is_shown_too(site: Site, client: str, late: str) -> None:
    page = site.open(f"/items/{client}")
    site.post(f"/test/close/{late}")
    add(page, "three")
    finish(site, page, late) if late == "updates" else expect(page.locator("#total")).to_have_text("3")
    site.post("/test/add?text=four")
    if late == "answers":
        expect(page.locator("#total")).to_have_text("4")
        site.post("/test/open/answers")
    expect(page.locator("#items li span")).to_have_text(["one", "two", "three", "four"])
    expect(page.locator("#total")).to_have_text("4")


def test_what_an_answer_has_shown_is_removed_when_somebody_undoes_it(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    add(page, "three")
    expect(page.locator("#items .flash")).to_have_text("three was added")
    expect(page.locator("#news")).to_have_text("3 items")
    site.post("/test/remove?number=3")  # the block is as the server last sent it, and not as the answer left it
    expect(page.locator("#items li span")).to_have_text(["one", "two"])


def test_a_lost_answer_leaves_nothing_stale(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/items", lose)
    add(page, "three")
    expect(page.locator("#items li span")).to_have_text(["one", "two", "three"])
    expect(page.locator("#total")).to_have_text("3")
    site.complaints.clear()  # htmx 4 logs that the request has failed


def test_a_field_is_emptied_once_it_was_sent(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.fill("#quick-text", "three")
    page.press("#quick-text", "Enter")
    expect(page.locator("#items li span")).to_have_text(["one", "two", "three"])
    expect(page.locator("#quick label")).to_have_text("Item 4")
    expect(page.locator("#quick-text")).to_have_value("")


def test_what_is_typed_after_a_form_was_sent_stays(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    site.post("/test/close/answers")
    page.fill("#quick-text", "three")
    page.press("#quick-text", "Enter")
    expect(page.locator("#total")).to_have_text("3")
    page.fill("#quick-text", "fo")
    site.post("/test/open/answers")
    expect(page.locator("#quick label")).to_have_text("Item 4")
    expect(page.locator("#quick-text")).to_have_value("fo")


def test_a_form_with_a_field_named_id_is_sent_and_updated(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.fill("#named-id", "7")
    site.post("/test/add?text=three")
    expect(page.locator("#named label")).to_contain_text("3")
    expect(page.locator("#named-id")).to_have_value("7")
    page.fill("#named-text", "four")
    page.click("#named button")
    expect(page.locator("#items li span")).to_have_text(["one", "two", "three", "four"])
    expect(page.locator("#named label")).to_contain_text("4")
    expect(page.locator("#named-text")).to_have_value("")


def test_a_form_with_errors_keeps_them_while_other_blocks_are_updated(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    add(page, "bad")
    expect(page.locator("#add .error")).to_have_text("this is bad")
    site.post("/test/add?text=three")
    expect(page.locator("#items li span")).to_have_count(3)
    expect(page.locator("#add .error")).to_have_text("this is bad")
    expect(page.locator("#text")).to_have_value("bad")


@pytest.mark.parametrize("style", ["inner", "outer"])
def test_answers_are_morphed_under_both_versions(site: Site, client: str, style: str) -> None:
    page = site.open(f"/items/{client}")
    page.fill("#kept", "typed")
    page.evaluate("window.kept = document.querySelector('#kept')")
    page.click(f"#{style}")
    expect(page.locator("#morphed b")).to_have_text("1")
    expect(page.locator("#kept")).to_have_value("typed")
    assert page.evaluate("kept.isConnected")
    expect(page.locator("#morphed.outer")).to_have_count(1 if style == "outer" else 0)
    with page.expect_request("**/morphed"):
        page.click("#inside")  # htmx has seen what was added
