"""What a person works in is not taken away by updates, and catches up afterwards."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import expect

from .conftest import Site

pytestmark = pytest.mark.parametrize("client", ["htmx2", "htmx4"])


def test_a_row_that_is_edited_survives_changes_by_others_and_catches_up(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.click("#item-2 .edit")
    page.fill("#edit-2 input", "two, edited")
    site.post("/test/text?number=1&text=uno")
    site.post("/test/add?text=three")
    site.post("/test/text?number=2&text=due")
    expect(page.locator("#total")).to_have_text("3")
    expect(page.locator("#items li span")).to_have_text(["uno", "three"])
    expect(page.locator("#edit-2 input")).to_have_value("two, edited")
    expect(page.locator("#edit-2 input")).to_be_focused()
    page.click("#edit-2 .cancel")
    expect(page.locator("#items li span")).to_have_text(["uno", "due", "three"])
    expect(page.locator("#edit-2")).to_have_count(0)


def test_an_edited_row_is_saved_and_stays_in_its_place(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.click("#item-1 .edit")
    site.post("/test/add?text=three")
    expect(page.locator("#total")).to_have_text("3")
    page.fill("#edit-1 input", "uno")
    page.press("#edit-1 input", "Enter")
    expect(page.locator("#items li span")).to_have_text(["uno", "two", "three"])
    expect(page.locator("#items form")).to_have_count(0)


def test_a_row_that_somebody_removes_stays_while_it_is_edited(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.click("#item-2 .edit")
    page.fill("#edit-2 input", "two, edited")
    site.post("/test/remove?number=2")
    expect(page.locator("#total")).to_have_text("1")
    expect(page.locator("#edit-2 input")).to_have_value("two, edited")


def test_an_element_that_says_so_is_held_until_it_no_longer_does(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("document.querySelector('#item-1').setAttribute('data-live-hold', '')")
    site.post("/test/text?number=2&text=two again")
    expect(page.locator("#items li span")).to_have_text(["one", "two again"])
    expect(page.locator("#item-1")).not_to_have_attribute("data-live-waiting", "")
    site.post("/test/text?number=1&text=uno")
    site.post("/test/text?number=2&text=due")
    expect(page.locator("#items li span")).to_have_text(["one", "due"])
    expect(page.locator("#item-1")).to_have_attribute("data-live-waiting", "")
    page.evaluate("document.querySelector('#item-1').removeAttribute('data-live-hold')")
    expect(page.locator("#items li span")).to_have_text(["uno", "due"])
    expect(page.locator("#item-1")).not_to_have_attribute("data-live-waiting", "")


def test_a_held_row_that_was_removed_goes_when_it_is_released(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("document.querySelector('#item-1').setAttribute('data-live-hold', '')")
    site.post("/test/remove?number=1")
    expect(page.locator("#total")).to_have_text("1")
    expect(page.locator("#items li span")).to_have_text(["one", "two"])
    page.evaluate("document.querySelector('#item-1').removeAttribute('data-live-hold')")
    expect(page.locator("#items li span")).to_have_text(["two"])


def test_an_attribute_that_a_script_has_changed_stays(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("document.querySelector('#item-1').className = 'chosen'")
    site.post("/test/text?number=1&text=uno")
    expect(page.locator("#items li span")).to_have_text(["uno", "two"])
    expect(page.locator("#item-1")).to_have_class("chosen")


def test_what_is_in_an_open_dialog_goes_on_if_the_dialog_is_outside(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("document.querySelector('#about').showModal()")
    site.post("/test/add?text=three")
    expect(page.locator("#news")).to_have_text("3 items")
    assert page.evaluate("document.querySelector('#about').open")


def test_an_update_that_waits_for_what_an_answer_replaces_leaves_nothing_stale(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("document.querySelector('#item-1').setAttribute('data-live-hold', '')")
    site.post("/test/text?number=1&text=uno")
    expect(page.locator("#item-1")).to_have_attribute("data-live-waiting", "")
    site.post("/test/close/updates")
    page.fill("#text", "three")
    with page.expect_response("**/items"):
        page.click("#add button")
    expect(page.locator("#item-1")).not_to_have_attribute("data-live-hold", "")
    site.post("/test/open/updates")
    expect(page.locator("#total")).to_have_text("3")
    expect(page.locator("#items li span")).to_have_text(["uno", "two", "three"])


def test_a_row_that_is_edited_waits_only_if_somebody_has_changed_it(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.click("#item-2 .edit")
    expect(page.locator("#edit-2")).to_be_visible()
    site.post("/test/text?number=1&text=uno")
    expect(page.locator("#items li span")).to_have_text(["uno"])
    expect(page.locator("#edit-2")).not_to_have_attribute("data-live-waiting", "")
    site.post("/test/text?number=2&text=due")
    expect(page.locator("#edit-2")).to_have_attribute("data-live-waiting", "")
    page.click("#edit-2 .cancel")
    expect(page.locator("#items li span")).to_have_text(["uno", "due"])


def test_a_block_whose_own_element_says_so_is_held(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("document.querySelector('#items').setAttribute('data-live-hold', '')")
    site.post("/test/add?text=three")
    expect(page.locator("#total")).to_have_text("3")
    expect(page.locator("#items")).to_have_attribute("data-live-waiting", "")
    expect(page.locator("#items li span")).to_have_text(["one", "two"])
    page.evaluate("document.querySelector('#items').removeAttribute('data-live-hold')")
    expect(page.locator("#items li span")).to_have_text(["one", "two", "three"])


def test_an_update_that_waits_is_announced_once_even_if_listeners_change_the_page(site: Site, client: str) -> None:
    page = site.open(f"/items/{client}")
    page.evaluate("""() => {
      document.querySelector("#item-1").setAttribute("data-live-hold", "")
      window.announced = 0
      document.addEventListener("reactive:updated", ({ detail }) => {
        if (detail.blocks.includes("items")) announced++
        document.body.append(document.createElement("i"))
      })
    }""")
    site.post("/test/text?number=1&text=uno")
    expect(page.locator("#item-1")).to_have_attribute("data-live-waiting", "")
    for number in range(3, 6):  # time for whoever does it again and again
        site.post("/test/add?text=more")
        expect(page.locator("#total")).to_have_text(str(number))
    assert page.evaluate("announced") <= 4
