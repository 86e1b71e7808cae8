"""Pages from bug reports: what an update of a live block must not do to them."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from .conftest import Site
from .kinds import CLIENTS

SCRIPTED = [name for name, client in CLIENTS.items() if client.live]
BLOCK = '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>'


def config(**values: Any) -> str:
    return f"<meta name=\"htmx-config\" content='{json.dumps(values)}'>"


# What the page tells htmx to do by default

HTMX_2_CONFIGS = [
    *({"defaultSwapStyle": style} for style in ("outerHTML", "none", "beforeend", "delete", "textContent")),
    {"allowNestedOobSwaps": False},
    {"selfRequestsOnly": True},
    {"inlineScriptNonce": "abc"},
    {"globalViewTransitions": True},
    {"disableInheritance": True},
    {"defaultSettleDelay": 0},
]
HTMX_4_CONFIGS = [
    *({"defaultSwap": style} for style in ("outerHTML", "none", "beforeend", "delete", "textContent")),
    {"inlineScriptNonce": "abc"},
    {"transitions": True},
    {"implicitInheritance": True},
    {"defaultSettleDelay": 0},
]
CONFIGS = [
    *((client, values) for client in ("htmx 2", "htmx 2, live script") for values in HTMX_2_CONFIGS),
    *((client, values) for client in ("htmx 4", "htmx 4, live script") for values in HTMX_4_CONFIGS),
]


@pytest.mark.parametrize(("client", "values"), CONFIGS, ids=str)
def test_updates_do_not_depend_on_the_configuration_of_htmx(site: Site, client: str, values: dict[str, Any]) -> None:
    around = '{% block y %}<p id="y">{{ html|safe }}</p>{% endblock %}'
    page = {"head": config(**values), "body": BLOCK + around, "state": {"html": "<b>0</b>"}}
    found = site.drive(client, page, [{"values": {"html": f"<b>{number}</b><i>i</i>"}} for number in (1, 2, 3)])
    assert not found["found"]


COUNTING = """<script>
  window.transitions = 0
  const start = document.startViewTransition
  document.startViewTransition = function (...rest) { window.transitions++; return start.apply(this, rest) }
</script>"""


@pytest.mark.parametrize("client", ["htmx 2", "htmx 4", "htmx 2, live script", "htmx 4, live script"])
def test_updates_make_no_view_transitions_which_would_wait_for_each_other(site: Site, client: str) -> None:
    head = config(transitions=True, globalViewTransitions=True) + COUNTING
    page = {"head": head, "body": BLOCK, "state": {"html": "0"}}
    assert not site.drive(client, page, [{"values": {"html": str(number)}} for number in range(5)])["found"]
    assert site.tab.evaluate("window.transitions") == 0


# What the person has opened, or is typing

OPENED = "<p>{{ number }}</p><details><summary>more</summary>m</details><dialog><button>Close</button></dialog>"


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_person_has_opened_stays_open_or_is_closed_and_never_in_between(site: Site, client: str) -> None:
    body = f'<main><div id="x">{{% block x %}}{OPENED}{{% endblock %}}</div></main>'
    name = site.show(client, {"body": body, "state": {}})
    site.tab.evaluate("document.querySelector('dialog').showModal(); document.querySelector('details').open = true")
    for number in (1, 2):
        assert site.change(name, {}, number)
    shown = "(dialog => [dialog.open, dialog.matches(':modal')])(document.querySelector('dialog'))"
    assert site.tab.evaluate(shown) == [client in SCRIPTED] * 2
    assert site.tab.evaluate("document.querySelector('details').open") == (client in SCRIPTED)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_dialog_that_the_server_changes_waits_for_the_person(site: Site, client: str) -> None:
    dialog = "<dialog>{{ number }}<button>Close</button></dialog>"
    body = f'<main><div id="x">{{% block x %}}{dialog}{{% endblock %}}</div></main>'
    steps: list[dict[str, Any]] = [{"actions": [["modal", 0]], "values": {}}, {"values": {}}]
    assert not site.drive(client, {"body": body, "state": {}}, steps)["found"]


@pytest.mark.parametrize("client", CLIENTS)
def test_the_documentation_says_whether_typed_text_beside_a_dialog_stays(site: Site, client: str) -> None:
    field = '<p>{{ number }}</p><input id="field"><dialog>d</dialog>'
    name = site.show(client, {"body": f'<div id="x">{{% block x %}}{field}{{% endblock %}}</div>', "state": {}})
    site.tab.fill("#field", "typed")
    assert site.change(name, {}, 1)
    assert site.tab.input_value("#field") == ("typed" if client in SCRIPTED else "")


@pytest.mark.parametrize("client", CLIENTS)
def test_autofocus_in_a_block_does_not_take_the_focus(site: Site, client: str) -> None:
    page = {"body": f'<input id="field">{BLOCK}', "state": {"html": "0"}}
    name = site.show(client, page)
    site.tab.focus("#field")
    site.tab.keyboard.type("ab")
    assert site.change(name, {"html": "<input autofocus>"}, 1)
    assert site.change(name, {"html": "<p>more</p><input autofocus>"}, 2)
    site.tab.keyboard.type("cd")
    assert site.tab.input_value("#field") == "abcd"


LOST = {"htmx 2"}
"""Clients under which an update between mouse-down and mouse-up loses the click."""


@pytest.mark.parametrize("client", CLIENTS)
def test_a_click_is_not_lost_when_an_update_comes_during_it(site: Site, client: str) -> None:
    button = "<p>{{ number }}</p><button onclick='window.clicks = (window.clicks ?? 0) + 1'>Click</button>"
    body = f'<div id="x">{{% block x %}}{button}{{% endblock %}}</div>'
    name = site.show(client, {"body": body, "state": {}})
    site.tab.hover("button")
    site.tab.mouse.down()
    assert site.change(name, {}, 1)
    site.tab.mouse.up()
    assert site.tab.evaluate("window.clicks ?? 0") == (0 if client in LOST else 1)


# Text, forms and scripts


@pytest.mark.parametrize("client", CLIENTS)
def test_a_block_with_an_out_of_band_element_is_updated(site: Site, client: str) -> None:
    block = '<p id="said">{{ number }}</p><p id="y" hx-swap-oob="true">{{ number }}</p>'
    name = site.show(client, {"body": f'<div id="x">{{% block x %}}{block}{{% endblock %}}</div>', "state": {}})
    for number in (1, 2):
        assert site.change(name, {}, number)
        assert site.tab.inner_text("#x").split() == [str(number)] * 2


@pytest.mark.parametrize("client", SCRIPTED)
def test_a_radio_button_without_a_name_stays_as_the_person_has_set_it(site: Site, client: str) -> None:
    block = '<p>{{ number }}</p><input id="radio" type="radio" value="{{ number }}">'
    name = site.show(client, {"body": f'<div id="x">{{% block x %}}{block}{{% endblock %}}</div>', "state": {}})
    site.tab.check("#radio")
    assert site.change(name, {}, 1)
    assert site.tab.is_checked("#radio")


@pytest.mark.parametrize("client", SCRIPTED)
def test_what_is_in_a_shadow_root_keeps_its_state(site: Site, client: str) -> None:
    root = '<template shadowrootmode="{}"><p>{{{{ number }}}}</p><input></template>'
    body = f'<div id="x">{{% block x %}}<div id="host">{root.format("open")}</div>{{% endblock %}}</div>'
    name = site.show(client, {"body": body, "state": {}})
    site.tab.fill("#host input", "typed")
    assert site.change(name, {}, 1)
    assert site.tab.inner_text("#host p") == "1"
    assert site.tab.input_value("#host input") == "typed"


@pytest.mark.parametrize("client", SCRIPTED)
def test_a_closed_shadow_root_is_updated(site: Site, client: str) -> None:
    root = '<template shadowrootmode="closed"><p style="height: {{ 10 + number }}px; margin: 0">p</p></template>'
    body = f'<div id="x">{{% block x %}}<div id="host">{root}</div>{{% endblock %}}</div>'
    name = site.show(client, {"body": body, "state": {}})
    for number in (1, 2):
        assert site.change(name, {}, number)
        assert site.tab.evaluate("host.offsetHeight") == 10 + number
        assert site.tab.evaluate("host.shadowRoot === null && host.childElementCount === 0")


@pytest.mark.parametrize("client", SCRIPTED)
@pytest.mark.parametrize("tag", ["pre", "textarea"])
def test_a_line_break_at_the_start_does_not_grow(site: Site, client: str, tag: str) -> None:
    page = {
        "body": f'<{tag} id="x">{{% block x %}}{{{{ html|safe }}}}{{% endblock %}}</{tag}>',
        "state": {"html": "\n0"},
    }
    assert not site.drive(client, page, [{"values": {"html": text}} for text in ("\n1", "\n2", "", "\n3")])["found"]
    assert site.tab.evaluate("document.querySelector('#x').textContent") == "3"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ["id", "children", "action", "method"])
def test_a_form_is_updated_whatever_its_fields_are_called(site: Site, client: str, name: str) -> None:
    page = {
        "body": f'<form id="x">{{% block x %}}<input name="{name}">{{{{ number }}}}{{% endblock %}}</form>',
        "state": {},
    }
    assert not site.drive(client, page, [{"values": {}}, {"values": {}}])["found"]


@pytest.mark.parametrize("client", SCRIPTED)
def test_a_script_runs_once_and_declares_its_constants_once(site: Site, client: str) -> None:
    script = "<script>const declared = {{ number }}; window.runs = (window.runs ?? 0) + 1</script>"
    fixed = script.replace("{{ number }}", "1")
    body = f'<div id="x">{{% block x %}}{{{{ number }}}}{fixed}{{% endblock %}}</div>'
    found = site.drive(client, {"body": body, "state": {}}, [{"values": {}}, {"values": {}}, {"values": {}}])
    assert not found["found"]
    assert site.tab.evaluate("window.runs") == 1


COUNTED = "<script>window.runs = (window.runs ?? 0) + 1{}</script>"
RUNS = {"htmx 2": (3, 3), "htmx 4": (1, 3)}
"""How often a script in a block runs in three renders: one that stays the same, and one that changes. Else once."""


@pytest.mark.parametrize("client", CLIENTS)
def test_the_documentation_says_how_often_a_script_runs(site: Site, client: str) -> None:
    found = []
    for script in (COUNTED.format(""), COUNTED.format("; {{ number }}")):
        body = f'<div id="x">{{% block x %}}{{{{ number }}}}{script}{{% endblock %}}</div>'
        name = site.show(client, {"body": body, "state": {}})
        assert all(site.change(name, {}, number) for number in (1, 2))
        found.append(site.tab.evaluate("window.runs"))
    assert tuple(found) == RUNS.get(client, (1, 1))


@pytest.mark.parametrize("client", SCRIPTED)
def test_a_script_with_a_nonce_runs_when_an_update_adds_it(site: Site, client: str) -> None:
    script = '{% if number %}<script nonce="{{ nonce }}">window.ran = true</script>{% endif %}'
    body = f'<div id="x">{{% block x %}}{script}{{% endblock %}}</div>'
    assert not site.drive(client, {"body": body, "state": {}, "has_policy": True}, [{"values": {}}])["found"]
    assert site.tab.evaluate("window.ran")


@pytest.mark.parametrize("client", SCRIPTED)
def test_a_script_without_the_nonce_of_the_page_does_not_run(site: Site, client: str) -> None:
    body = '<div id="x">{% block x %}{% if number %}<script>window.ran = true</script>{% endif %}{% endblock %}</div>'
    name = site.show(client, {"body": body, "state": {}, "has_policy": True})
    assert site.change(name, {}, 1)
    assert site.tab.evaluate("!window.ran")


COMPATIBLE = '<script defer src="/tests/vendor/htmx-4.0.1/hx-alpine-compat.min.js"></script>'
ALPINE = '<script defer src="/tests/vendor/alpinejs-3.17.5/cdn.min.js"></script>'
COMPONENT = """<section x-data="{ open: false, count: 0, items: ['a', 'b'] }">
<p>{{ number }}</p><button id="toggle" @click="open = !open">Toggle</button>
<i id="shown" x-show="open" x-cloak>shown</i>
<button id="add" @click="count++; items.push('c')">Add</button><output x-text="count"></output>
<ul><template x-for="item in items"><li x-text="item"></li></template>
{% if number %}<li>last {{ number }}</li>{% endif %}</ul>
<template x-if="open"><b id="if">{{ number }}</b></template><b>after</b></section>"""


@pytest.mark.parametrize(
    ("client", "head"),
    [*((client, ALPINE) for client in SCRIPTED), ("htmx 4, live script", COMPATIBLE + ALPINE)],
)
def test_a_component_of_alpine_keeps_its_state_and_what_it_has_made(site: Site, client: str, head: str) -> None:
    page = {"head": head, "body": f'<div id="x">{{% block x %}}{COMPONENT}{{% endblock %}}</div>', "state": {}}
    name = site.show(client, page)
    site.tab.wait_for_function("document.querySelectorAll('li').length == 2")
    site.tab.click("#toggle")
    site.tab.click("#add")
    site.tab.wait_for_selector("#if")
    for number in (1, 2):
        assert site.change(name, {}, number)
        assert site.tab.inner_text("ul").split("\n") == ["a", "b", "c", f"last {number}"]
        assert site.tab.inner_text("output") == "1"
        assert site.tab.is_visible("#shown")
        assert site.tab.locator("b").count() == 2
    site.tab.click("#add")
    site.tab.wait_for_function("document.querySelectorAll('li').length == 5")
    assert site.tab.inner_text("ul").split("\n") == ["a", "b", "c", "c", "last 2"]
    site.tab.click("#toggle")
    site.tab.wait_for_selector("#if", state="detached")


@pytest.mark.parametrize("head", [ALPINE, COMPATIBLE + ALPINE], ids=["alone", "with the extension"])
def test_htmx_4_without_the_script_removes_what_a_template_of_alpine_has_made(site: Site, head: str) -> None:
    page = {"head": head, "body": f'<div id="x">{{% block x %}}{COMPONENT}{{% endblock %}}</div>', "state": {}}
    name = site.show("htmx 4", page)
    site.tab.wait_for_function("document.querySelectorAll('li').length == 2")
    assert site.change(name, {}, 1)
    assert site.tab.inner_text("ul") == "last 1"


@pytest.mark.parametrize("client", SCRIPTED)
def test_a_list_of_60_000_ids_is_updated(site: Site, client: str) -> None:
    rows = '{% for row in range(60000) %}<li id="i{{ row }}">{{ row }}</li>{% endfor %}'
    body = f'<ul id="x">{{% block x %}}{rows}{{{{ number }}}}{{% endblock %}}</ul>'
    name = site.show(client, {"body": body, "state": {}})
    assert site.change(name, {}, 1)
    assert site.tab.evaluate("document.querySelector('#x').lastChild.data") == "1"
