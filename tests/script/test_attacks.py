"""Sequences that once left a block stale, lost what a person had chosen, or mixed up two pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import expect

from tests.browser.conftest import context  # noqa: F401 - a fixture
from tests.browser.support import Server, serving

from .conftest import Site

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, BrowserContext, Route

pytestmark = pytest.mark.parametrize("client", ["htmx2", "htmx4"])


SETTLED = """() => {
  window.settled = new Promise(done => {
    for (const name of ["htmx:afterSettle", "htmx:finally:request"]) document.addEventListener(name, () => done(true))
  })
}"""


class Lab(Site):
    """The application, whose page and answers show what a test has set."""

    def show(self, **values: str) -> None:
        """Change what the blocks show."""
        self.post("/test/show", values)

    def answer(self, html: str = "", **more: object) -> None:
        """Set what requests of the page are answered: the HTML, headers, and the paths that they emit."""
        self.post("/test/answer", {"html": html, **more})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.script.attack_app:app") as server:
        yield server


@pytest.fixture
def lab(server: Server, context: BrowserContext) -> Iterator[Lab]:  # noqa: F811 - the fixture
    found = Lab(server.url, context)
    found.wait(lambda state: state["connected"] == 0)
    found.post("/test/reset")
    yield found
    assert not found.complaints


def test_a_page_that_is_morphed_into_another_shows_updates_of_the_new_one(lab: Lab, client: str) -> None:
    link = f'<a id="go" href="/page/{client}/two" hx-boost="true" hx-target="body" hx-swap="innerMorph">go</a>'
    lab.show(static=link)
    page = lab.open(f"/page/{client}/one")
    page.click("#go")
    expect(page.locator("#name")).to_have_text("two")
    lab.show(label="and more")
    expect(page.locator("#name")).to_have_text("two and more")


def test_a_custom_element_that_adds_nodes_of_its_own_is_updated(lab: Lab, client: str) -> None:
    page = lab.open(f"/page/{client}/one")
    page.evaluate("""customElements.define("x-box", class extends HTMLElement {
      connectedCallback() { this.insertAdjacentHTML("afterbegin", "<p><i>head</i></p>") }
    })""")
    lab.show(list="<x-box><b>1</b></x-box><u>1</u>")
    expect(page.locator("#list u")).to_have_text("1")
    lab.show(list="<x-box><b>1</b><b>2</b></x-box><u>2</u>")
    expect(page.locator("#list u")).to_have_text("2")
    expect(page.locator("#list b")).to_have_text(["1", "2"])


def test_a_checkbox_that_sends_itself_follows_later_changes(lab: Lab, client: str) -> None:
    box = '<input type="checkbox" name="done" hx-post="/answer" hx-trigger="change" hx-swap="none"'
    lab.show(list=f"{box}>")
    page = lab.open(f"/page/{client}/one")
    with page.expect_response("**/answer"):
        page.check("#list input")
    lab.show(list=f"{box} checked><u>1</u>")
    expect(page.locator("#list u")).to_have_text("1")
    lab.show(list=f"{box}><u>2</u>")
    expect(page.locator("#list u")).to_have_text("2")
    expect(page.locator("#list input")).not_to_be_checked()


def test_a_field_of_a_form_elsewhere_is_emptied_once_it_was_sent(lab: Lab, client: str) -> None:
    field = '<input id="text" form="form" name="text"><u>{}</u>'
    lab.show(static='<form id="form" hx-post="/answer" hx-swap="none"></form>', list=field.format(1))
    page = lab.open(f"/page/{client}/one")
    lab.post("/test/close/answers")
    page.fill("#text", "typed")
    with page.expect_request("**/answer"):
        page.press("#text", "Enter")
    lab.show(list=field.format(2), label="later")
    expect(page.locator("#name")).to_have_text("one later")
    lab.post("/test/open/answers")
    expect(page.locator("#list u")).to_have_text("2")
    expect(page.locator("#text")).to_have_value("")


def test_a_row_that_an_answer_has_rendered_follows_later_changes(lab: Lab, client: str) -> None:
    row = '<li id="row">{} <button hx-post="/answer" hx-target="#row" hx-swap="outerHTML">Like</button>{}</li>'
    field = '<input name="comment">'
    lab.show(list=row.format(0, field))
    page = lab.open(f"/page/{client}/one")
    lab.answer(row.format(1, field))
    page.click("#row button")
    expect(page.locator("#row")).to_contain_text("1 Like")
    lab.show(list=row.format(2, field))
    expect(page.locator("#row")).to_contain_text("2 Like")
    lab.show(list=row.format("closed", ""))
    expect(page.locator("#row")).to_have_text("closed Like")


def test_a_form_that_was_saved_without_a_swap_makes_way(lab: Lab, client: str) -> None:
    row = '<li id="row">{} <button hx-get="/answer" hx-target="#row" hx-swap="outerHTML">Edit</button></li>'
    lab.show(list=row.format("old"))
    page = lab.open(f"/page/{client}/one")
    lab.answer('<li id="row"><form hx-post="/answer" hx-swap="none"><input id="text" name="text"></form></li>')
    page.click("#row button")
    page.fill("#text", "new")
    lab.answer()
    with page.expect_response("**/answer"):
        page.press("#text", "Enter")
    lab.show(list=row.format("new"))
    expect(page.locator("#row")).to_have_text("new Edit")


def test_a_held_block_does_not_set_back_the_block_in_it(lab: Lab, client: str) -> None:
    lab.show(list='<i data-live-hold id="held">1</i><u>1</u>', inner="old")
    page = lab.open(f"/page/{client}/one")
    lab.show(list='<i data-live-hold id="held">2</i><u>2</u>')
    expect(page.locator("#list u")).to_have_text("2")
    lab.show(inner="new")
    expect(page.locator("#inner")).to_have_text("new")
    page.evaluate("document.querySelector('#held').removeAttribute('data-live-hold')")
    expect(page.locator("#held")).to_have_text("2")
    expect(page.locator("#inner")).to_have_text("new")


def test_a_block_that_is_applied_again_does_not_set_back_the_block_in_it(lab: Lab, client: str) -> None:
    lab.show(static='<button id="go" hx-get="/answer" hx-swap="none">go</button>', list='<u id="u">1</u>', inner="old")
    page = lab.open(f"/page/{client}/one")
    lab.answer('<u id="u" hx-swap-oob="true">1</u>')
    lab.post("/test/close/answers")
    with page.expect_request("**/answer"):
        page.click("#go")
    lab.show(list='<u id="u">2</u>')
    expect(page.locator("#u")).to_have_text("2")
    lab.show(inner="new")
    expect(page.locator("#inner")).to_have_text("new")
    page.evaluate("""() => {
      window.again = new Promise(done => document.addEventListener("reactive:updated", () => done(true)))
    }""")
    lab.post("/test/open/answers")
    page.evaluate("again")
    expect(page.locator("#u")).to_have_text("2")
    expect(page.locator("#inner")).to_have_text("new")


def test_a_chosen_radio_button_stays_when_the_server_chooses_another(lab: Lab, client: str) -> None:
    def radios(chosen: int) -> str:
        states = ("checked" if number == chosen else "" for number in range(3))
        buttons = (f'<input type="radio" name="size" value="{number}" {state}>' for number, state in enumerate(states))
        return f"<form>{''.join(buttons)}</form><u>{chosen}</u>"

    lab.show(list=radios(0))
    page = lab.open(f"/page/{client}/one")
    page.check("[value='1']")
    lab.show(list=radios(2))
    expect(page.locator("#list u")).to_have_text("2")
    expect(page.locator("[value='1']")).to_be_checked()


@pytest.mark.parametrize("delay", ["swap", "settle"])
def test_an_answer_that_is_swapped_late_does_not_set_back_updates(lab: Lab, client: str, delay: str) -> None:
    button = f'<button id="go" hx-get="/answer" hx-target="#list" hx-swap="innerHTML {delay}:600ms">go</button>'
    lab.show(static=button, list='<u id="u" class="old">1</u>')
    page = lab.open(f"/page/{client}/one")
    page.evaluate(SETTLED)
    lab.answer('<u id="u" class="answer">1</u><p id="inner"></p>')
    with page.expect_response("**/answer"):
        page.click("#go")
    lab.show(list='<u id="u" class="new">2</u>')
    page.evaluate("settled")
    expect(page.locator("#u")).to_have_text("2")
    expect(page.locator("#u")).to_have_class("new")


def test_an_update_beside_a_slow_answer_is_not_taken_for_a_part_of_it(lab: Lab, client: str) -> None:
    button = '<button id="go" hx-get="/answer" hx-target="#other" hx-swap="innerHTML settle:600ms">go</button>'
    lab.show(static=f'{button}<i id="other"></i>')
    page = lab.open(f"/page/{client}/one")
    page.evaluate(SETTLED)
    lab.answer("<b>answer</b>")
    page.click("#go")
    expect(page.locator("#other")).to_have_text("answer")
    lab.show(list='<li id="row">open <input></li>')
    expect(page.locator("#row")).to_have_text("open")
    page.evaluate("settled")
    lab.show(list='<li id="row">closed</li>')
    expect(page.locator("#row")).to_have_text("closed")


def test_an_own_update_is_applied_if_another_has_set_the_block_back(lab: Lab, client: str) -> None:
    lab.show(static='<button id="go" hx-post="/answer" hx-target="#inner">go</button>', inner="old")
    page = lab.open(f"/page/{client}/one")
    lab.answer("answer", headers={"Reactive-Blocks": "inner"}, emit=["list"])
    lab.post("/test/close/updates")
    page.click("#go")
    expect(page.locator("#inner")).to_have_text("answer")
    lab.post("/test/open/updates")  # of the block around it, which the answer did not contain
    expect(page.locator("#inner")).to_have_text("old")
    mark = page.locator("[data-reactive-sink]").get_attribute("data-reactive-sink")
    lab.post("/test/emit-as", {"mark": mark, "inner": "new"})
    expect(page.locator("#inner")).to_have_text("new")


def test_answers_that_overtake_each_other_leave_nothing_stale(lab: Lab, client: str) -> None:
    buttons = "".join(f'<button id="{n}" hx-post="/answer?{n}" hx-target="#list">{n}</button>' for n in ("one", "two"))
    lab.show(static=buttons, list="newer")
    page = lab.open(f"/page/{client}/one")
    lab.post("/test/close/updates")
    held: list[tuple[Route, APIResponse]] = []
    page.route("**/answer?one", lambda route: held.append((route, route.fetch())))
    lab.answer("older", headers={"Reactive-Blocks": "list"}, emit=["list"])
    page.click("#one")
    lab.wait(lambda _: bool(held))
    lab.answer("newer", headers={"Reactive-Blocks": "list"}, emit=["list"])
    with page.expect_response("**/answer?two"):
        page.click("#two")
    for route, response in held:
        route.fulfill(response=response)
    expect(page.locator("#list")).to_have_text("older")
    lab.post("/test/open/updates")
    expect(page.locator("#list")).to_contain_text("newer")
