"""Scenarios whose stream the live script opens: with htmx 2, with htmx 4, or without htmx."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from .swap_scenarios import LIST, SINK, TABLE, Scenario, frame

ROW = '<tr id="r1"><td>one</td></tr>'
SHAPES = "<svg viewBox='0 0 9 9'><g id=s><circle r=1 /></g></svg>"


def update(element_id: str, swap: str, content: str, **more: bool) -> str:
    """Return a frame for the live script."""
    return frame(f"{json.dumps({'id': element_id, 'swap': swap, **more})}\n{content}")


def for_script(name: str, body: str, *frames: str) -> Scenario:
    """Return a page whose stream the live script opens."""
    ids = dict.fromkeys(re.findall(r'"id": "(.+?)"', "".join(frames)))
    sink = SINK.replace("URL", "URL?page=x").replace("></div>", f' data-reactive-blocks="{" ".join(ids)}"></div>')
    return Scenario(name, None, sink.replace("<div", '<div data-reactive-sink="mark"') + body, frames, live_script=True)


def with_any_htmx(scenarios: list[Scenario]) -> list[Scenario]:
    """Let some of the pages load htmx 2, others htmx 4, and others none."""
    return [replace(each, htmx=(2, 4, None)[number % 3]) for number, each in enumerate(scenarios)]


SCRIPT_SCENARIOS = with_any_htmx(
    [
        for_script("a text inside", "<p id=n>0 <b>open</b></p>", update("n", "inner", "1 <i>open</i>")),
        for_script("a list inside", LIST, update("list", "inner", '<li id="b">b</li><li>c</li><li id="a">A</li>')),
        for_script("nothing inside", LIST, update("list", "inner", "")),
        for_script(
            "rows inside",
            TABLE,
            update("rows", "inner", '<tr id="r2"><td>2</td></tr><tr id="r1"><td>one</td></tr>'),
        ),
        for_script(
            "what several changes leave",
            "<p id=n>0</p><p id=m>0</p>",
            *(update(each, "inner", str(number), own=True) for number in range(3) for each in "nm"),
        ),
        for_script("an id of no element", "<p id=n>0</p>", update("gone", "inner", "1"), update("n", "inner", "2")),
        for_script("an unusual id", '<p id="a.b:\'c">0</p>', update("a.b:'c", "outer", '<p id="a.b:\'c">1</p>')),
        for_script("lines inside", "<pre id=n>0</pre>", update("n", "inner", "one\n  two\n\nthree")),
        for_script("markup in a text field", "<textarea id=n>0</textarea>", update("n", "inner", "<b>1</b> &amp;")),
        for_script("shapes inside", SHAPES, update("s", "inner", '<rect width="2"/><circle r="1"/>')),
        for_script(
            "comments and templates",
            "<div id=n>a<!--old--></div>",
            update("n", "inner", "<!--b--><template>c</template>"),
        ),
        for_script("around", LIST, update("list", "outer", '<ul id="list" class="new"><li id="b">B</li></ul>')),
        for_script("around a row", TABLE, update("r1", "outer", '\n  <tr id="r1" class="c"><td>one</td></tr>\n')),
        for_script("around with more beside", LIST, update("list", "outer", '<p>x</p>y<ul id="list"></ul><p>z</p>')),
        for_script("around with another id", LIST, update("list", "outer", "text <ol id=other></ol><p>z</p>")),
        for_script("another element around", LIST, update("list", "outer", '<div id="list">none</div>')),
        for_script("nothing around", LIST, update("list", "outer", " \n ")),
        for_script(
            "nothing around, and then something", LIST, update("list", "outer", ""), update("list", "outer", LIST)
        ),
        for_script("no row, and then one", TABLE, update("r1", "outer", ""), update("r1", "outer", ROW)),
        for_script("appended", LIST, update("list", "append", "<li>c</li> <li>d</li>"), update("list", "append", "e")),
        for_script("rows appended", TABLE, update("rows", "append", '<tr id="r2"><td>2</td></tr>')),
        for_script(
            "a preserved element",
            '<div id=x><video id="v" hx-preserve title="mine"></video></div>',
            update("x", "inner", '<p>new</p><video id="v" hx-preserve></video>'),
        ),
        for_script("a preserved block", '<p id="x" hx-preserve>old</p>', update("x", "inner", "new")),
        for_script(
            "held elements",
            '<div id=x><p id="h" data-live-hold>old</p><i>1</i><u data-live-hold>same</u></div>',
            update("x", "inner", '<i>2</i><u data-live-hold>same</u><p id="h" data-live-hold>new</p>'),
        ),
        for_script(
            "a held element whose old state comes back",
            "<div id=x><p data-live-hold>old</p>1</div>",
            update("x", "inner", "<p data-live-hold>new</p>2"),
            update("x", "inner", "<p data-live-hold>old</p>3"),
        ),
        for_script(
            "a nested block",
            "<div id=x><p id=y>0</p></div>",
            update("y", "inner", "1"),
            update("x", "inner", "<p id=y>2</p>"),
        ),
        for_script("the end for good", "<p id=n>0</p>", frame("refused", "reactive-close"), update("n", "inner", "1")),
        for_script(
            "events that say nothing of the page",
            "<p id=n>0</p>",
            frame("", "reactive-id"),
            frame("", "reactive-beat"),
            frame("x", "unknown"),
            update("n", "inner", "1"),
        ),
    ]
)
