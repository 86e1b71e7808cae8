"""One page for each kind of markup: which clients update it as a reload shows it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("playwright", reason="the package playwright is missing")

from .conftest import Site
from .kinds import CLIENTS, KINDS

OPTIONS = '<option>a</option><option value="b"{}>b</option><option value="c"{}>c</option>'
PAGES: dict[str, tuple[str, list[str]]] = {
    "foreign": ('<svg><g id="x">{% block x %}{{ html|safe }}{% endblock %}</g></svg>', ["<circle/>", "<rect/>"]),
    "template": ('<template id="x">{% block x %}{{ html|safe }}{% endblock %}</template>', ["<p>1</p>", "<p>2</p>"]),
    "line break": ('<pre id="x">{% block x %}{{ html|safe }}{% endblock %}</pre>', ["\none", "\ntwo"]),
    "rows": ('<table id="x">{% block x %}{{ html|safe }}{% endblock %}</table>', ["<tr><td>1", "<tr><td>2"]),
    "shadow root": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        [
            *(f'<div><template shadowrootmode="open"><p>{each}</p></template>{each}</div>' for each in "123"),
            '<div>4</div><p><template shadowrootmode="open">4<b>4</b></template></p>',
            '<div>5</div><p><template shadowrootmode="open">5<span><template shadowrootmode="open">5</template></span>'
            "</template></p>",
            '<div>6</div><template><div><template shadowrootmode="open">6</template></div></template><ul><li>6</ul>',
            '<div>7</div><ul><template shadowrootmode="open">7</template></ul>',
        ],
    ),
    "options": (
        '<div id="x">{% block x %}<select>{{ html|safe }}</select>{% endblock %}</div>',
        [OPTIONS.format("", ""), OPTIONS.format(" selected", " selected"), OPTIONS.format(" selected", "")],
    ),
    "out of band": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        [f'<p>{each}</p><p id="y" hx-swap-oob="true">{each}</p>' for each in "12"],
    ),
    "autofocus": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        [f"<p>{each}</p><input autofocus>" for each in "12"],
    ),
}
"""What shows each kind: the body of a page, and the texts of its block, one after the other."""

SAME: dict[str, tuple[str, list[str]]] = {
    "a whole `<svg>` in a block": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        ['<svg viewBox="0 0 9 9"><g><circle r="1"/></g></svg>', '<svg viewBox="0 0 9 9"><g><rect/></g></svg>'],
    ),
    "a whole `<math>` in a block": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        ["<math><mi>a</mi></math>", "<math><mrow><mi>a</mi><mn>2</mn></mrow></math>"],
    ),
    "a block around a `<template>`": (
        '{% block x %}<template id="x">{{ html|safe }}</template>{% endblock %}',
        ["<p>1</p>", "<p>2</p><tr><td>3"],
    ),
    "a block around a `<pre>`": ('{% block x %}<pre id="x">{{ html|safe }}</pre>{% endblock %}', ["\none", "\n\ntwo"]),
    "a block around a `<textarea>`": (
        '{% block x %}<textarea id="x">{{ html|safe }}</textarea>{% endblock %}',
        ["\none", "\n\ntwo"],
    ),
    "rows in a `<tbody>`": (
        '<table><tbody id="x">{% block x %}{{ html|safe }}{% endblock %}</tbody></table>',
        ["<tr><td>1", "<tr><td>1<tr><td>2"],
    ),
    "cells in a `<tr>`": (
        '<table><tr id="x">{% block x %}{{ html|safe }}{% endblock %}</tr></table>',
        ["<td>1<td>2", "<th>1"],
    ),
    "a whole `<table>` in a block": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        ["<table><tr><td>1</table>", "<table><caption>c</caption><tr><td>2</table>"],
    ),
    "a `<select>` with one `selected` option": (
        '<select id="x">{% block x %}{{ html|safe }}{% endblock %}</select>',
        [OPTIONS.format(" selected", ""), OPTIONS.format("", " selected"), OPTIONS.format(" selected", "")],
    ),
    "checkboxes, radio buttons and fields": (
        '<form id="x">{% block x %}{{ html|safe }}{% endblock %}</form>',
        [
            '<input type="checkbox" checked><input type="radio" name="r" checked><input type="radio" name="r">'
            '<input value="1"><textarea>1</textarea>',
            '<input type="checkbox"><input type="radio" name="r"><input type="radio" name="r" checked>'
            '<input value="2"><textarea>2</textarea>',
        ],
    ),
    "fields named `id`": (
        '<form id="x">{% block x %}{{ html|safe }}{% endblock %}</form>',
        ['<input name="id" value="1"><input name="children"><p>1</p>', '<input name="id" value="2"><p>2</p>'],
    ),
    "`<details>` and `<dialog>` that the server opens and closes": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        [
            "<details open><summary>s</summary>1</details><dialog>1</dialog>",
            "<details><summary>s</summary>2</details><dialog open>2</dialog>",
            "<details open><summary>s</summary>3</details><dialog>3</dialog>",
        ],
    ),
    "elements whose names begin with `hx-`": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        ['<hx-card>1</hx-card><hx-my-card title=">">1</hx-my-card>', '<p>2<hx-card title="a">2</hx-card> end</p>'],
    ),
    "`hx-get` and other attributes of htmx": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        ['<a hx-get="/a" hx-target="#x">1</a>', '<a hx-get="/b" hx-swap="outerHTML">2</a>'],
    ),
    "`<style>`, `<title>` and data in a `<script>`": (
        '<div id="x">{% block x %}{{ html|safe }}{% endblock %}</div>',
        [
            f"<style>.none {{ top: {each}px }}</style><svg><title>{each}</title></svg>"
            f'<script type="application/json">["<b>{each}"]</script>'
            for each in "12"
        ],
    ),
    "an empty block": ('<ul id="x">{% block x %}{{ html|safe }}{% endblock %}</ul>', ["<li>1", "", "<li>2"]),
}
"""Markup that all clients update as a reload shows it."""

CASES = [
    *((name, KINDS[name].differs.keys(), body, texts) for name, (body, texts) in PAGES.items()),
    *((name, (), body, texts) for name, (body, texts) in SAME.items()),
]


def differences(site: Site, client: str, body: str, texts: list[str]) -> list[dict[str, Any]]:
    first, *rest = texts
    steps = [{"values": {"html": text}} for text in rest]
    found: list[dict[str, Any]] = site.drive(client, {"body": body, "state": {"html": first}}, steps)["found"]
    return found


def test_each_kind_has_a_page() -> None:
    assert PAGES.keys() == KINDS.keys()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("name", "differs", "body", "texts"), CASES, ids=[case[0] for case in CASES])
def test_an_update_shows_what_a_reload_shows(
    site: Site, client: str, name: str, differs: list[str], body: str, texts: list[str]
) -> None:
    found = differences(site, client, body, texts)
    assert bool(found) == (client in differs), found
