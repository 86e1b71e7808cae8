"""People who work in a page while others change its data, at random: in the end it shows what a new page shows."""

from __future__ import annotations

import random
import secrets

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from playwright.sync_api import Page, expect

from .conftest import Site

STEPS = 100

# What blocks show, without what only an answer shows and without what htmx writes into elements.
SHOWN = """root => Object.fromEntries(["total", "bell", "items", "news"].map(id => {
  const block = root.querySelector("#" + id).cloneNode(true)
  for (const each of block.querySelectorAll(".flash")) each.remove()
  for (const each of block.querySelectorAll("*"))
    for (const { name } of [...each.attributes]) if (/^(data-htmx|class)/.test(name)) each.removeAttribute(name)
  return [id, block.innerHTML.replace(/\\s+/g, " ").trim()]
}))"""
FRESH = """async show => {
  const answer = await fetch(location.href)
  return eval(show)(new DOMParser().parseFromString(await answer.text(), "text/html"))
}"""
CLICK = """([selector, part]) => {
  const all = document.querySelectorAll(selector)
  all[Math.floor(part * all.length)]?.click()
}"""
SUBMIT = """([selector, text]) => {
  const form = document.querySelector(selector)
  if (!form) return
  form.elements.text.value = text
  form.requestSubmit()
}"""


def click(page: Page, selector: str, chance: random.Random) -> None:
    """Click one of the elements, if there are any."""
    page.evaluate(CLICK, [selector, chance.random()])


def submit(page: Page, form: str, text: str) -> None:
    page.evaluate(SUBMIT, [form, text])


def step(site: Site, page: Page, chance: random.Random) -> None:
    text, row = chance.choice("abc"), chance.randint(1, 5)  # few, so that what was there before comes back
    actions = {
        "create": lambda: submit(page, "#add", text),
        "create quickly": lambda: submit(page, "#quick", text),
        "ring": lambda: click(page, ".ring", chance),
        "edit": lambda: click(page, ".edit", chance),
        "save": lambda: submit(page, "#items form", text),
        "cancel": lambda: click(page, ".cancel", chance),
        "add": lambda: site.post(f"/test/add?text={text}"),
        "change": lambda: site.post(f"/test/text?number={row}&text={text}"),
        "remove": lambda: site.post(f"/test/remove?number={row}"),
        "pause": lambda: page.wait_for_timeout(chance.uniform(0, 150)),
    }
    actions[chance.choice(list(actions))]()


@pytest.mark.parametrize("client", ["htmx2", "htmx4"])
def test_a_page_that_is_worked_in_ends_as_a_new_page(site: Site, client: str) -> None:
    seed = secrets.token_hex(4)
    chance = random.Random(seed)
    site.post("/test/reset?jitter=true")
    page = site.open(f"/items/{client}")
    # Forms can be submitted before htmx has seen them.
    page.evaluate("document.addEventListener('submit', event => event.preventDefault())")
    for _ in range(STEPS):
        step(site, page, chance)
    page.evaluate("setInterval(() => document.querySelector('.cancel')?.click(), 50)")
    try:
        page.wait_for_function(
            f"async show => JSON.stringify(eval(show)(document)) == JSON.stringify(await ({FRESH})(show))", arg=SHOWN
        )
    except Exception:
        shown, fresh = page.evaluate("show => eval(show)(document)", SHOWN), page.evaluate(FRESH, SHOWN)
        assert shown == fresh, f"seed {seed}"
        raise
    finally:
        site.complaints[:] = [each for each in site.complaints if "htmx" not in each]  # rows that are gone answer 404
    expect(page.locator("#items form")).to_have_count(0)
