"""An application whose page shows the same rows in lists of several kinds, and which changes them at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request

from tests.pages.browser_clients import SCRIPTS, WIRES, live_app

LISTS = """{% from "row.html" import row %}
<p id="total">{% block total %}{{ rows|length }}{% endblock %}</p>
<ul id="list">{% block list %}
  <li>first</li>
  {% for r in rows %}
  <li id="list-{{ r.id }}" class="{{ r.name }}"><input value="{{ r.name }}"><b>{{ r.name }}</b></li>
  {% else %}
  <li>none</li>
  {% endfor %}
  <li>{{ prefix }}</li>
{% endblock %}</ul>
<table><thead><tr><th>name</th></tr></thead><tbody id="table">{% block table -%}
  {% for r in rows %}{{ row(r) }}{% endfor %}
{%- endblock %}</tbody></table>
<p id="inline">{% block inline %}{{ prefix }}
{%- for r in rows %} <span id="inline-{{ r.id }}">{{ r.name }}</span>{% endfor %}.
{% endblock %}</p>
<select id="options" size="3">{% block options %}{% for r in rows %}<option id="option-{{ r.id }}" value="{{ r.id }}">
{{- r.name }}</option>{% endfor %}{% endblock %}</select>
<div id="drawing">{% block drawing %}<svg viewBox="0 0 99 99"><g>{% for r in rows %}
<circle id="circle-{{ r.id }}" r="{{ r.name|length }}"><title>{{ r.name }}</title></circle>{% endfor %}</g></svg>
{% endblock %}</div>
<div id="nested">{% block nested %}{% for r in rows %}<section id="nested-{{ r.id }}"><h2>{{ r.name }}</h2><ul>
{%- for part in r.parts %}<li id="nested-{{ r.id }}-{{ part }}">{{ part }}</li>{% endfor %}</ul></section>
{% endfor %}{% endblock %}</div>
<div id="whole">{% block whole %}<table><tbody>{% for r in rows if r.name != "b" %}{% include "row2.html" %}{% endfor %}
</tbody></table>{% endblock %}</div>
<p id="steps">{% block steps %}{{ steps }}{% endblock %}</p>
"""
ROW = """{% macro row(r) %}
<tr id="row-{{ r.id }}" data-name="{{ r.name }}"><td>{{ r.name }}</td>
<td><input type="checkbox"{% if r.done %} checked{% endif %}></td></tr>
{% endmacro %}"""
ROW_2 = '<tr id="row2-{{ r.id }}"><td>{{ r.name }}</td></tr>\n'

Rows = list[dict[str, Any]]


class Data:
    """The rows, and changes of them."""

    def __init__(self) -> None:
        self.next = 0
        self.steps = 0
        self.prefix = "x"
        self.chance = random.Random(0)
        self.rows: Rows = []
        self.fill(0, 12)

    def fill(self, seed: int, count: int) -> None:
        self.chance = random.Random(seed)
        self.rows = [self.row() for _ in range(count)]
        self.steps += 1

    def row(self) -> dict[str, Any]:
        self.next += 1
        return {"id": self.next, **self.values()}

    def values(self) -> dict[str, Any]:
        parts = self.chance.sample("pqrs", self.chance.randrange(4))
        return {"name": self.chance.choice(["a", "b", "<c>", "dd"]), "done": self.chance.random() < 0.5, "parts": parts}

    def place(self) -> int:
        return self.chance.randrange(len(self.rows) + 1)

    def append(self) -> None:
        self.rows.append(self.row())

    def insert(self) -> None:
        self.rows.insert(self.place(), self.row())

    def remove(self) -> None:
        if self.rows:
            del self.rows[self.chance.randrange(len(self.rows))]

    def edit(self) -> None:
        if self.rows:
            self.chance.choice(self.rows).update(self.values())

    def move(self) -> None:
        if self.rows:
            row = self.rows.pop(self.chance.randrange(len(self.rows)))
            self.rows.insert(self.place(), row)

    def slide(self) -> None:
        self.rows = [*self.rows[1:], self.row()]

    def reverse(self) -> None:
        self.rows.reverse()

    def clear(self) -> None:
        self.rows = self.rows[: self.chance.choice([0, 1])]

    def rename(self) -> None:
        self.prefix = self.chance.choice("xyz")

    def step(self) -> None:
        """Make one or more changes."""
        often = [self.append, self.insert, self.remove, self.edit, self.edit, self.edit, self.move, self.slide]
        seldom: list[Callable[[], None]] = [self.reverse, self.clear, self.rename]
        for _ in range(self.chance.choice([1, 1, 1, 2, 4])):
            self.chance.choice(seldom if self.chance.random() < 0.05 else often)()
        while len(self.rows) < 8 and self.chance.random() < 0.5:
            self.insert()
        self.steps += 1


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rows</title><link rel="icon" href="data:,">
<meta name="htmx-config" content='{"historyCacheSize": 0}'>
{% if loads %}{{ live_scripts(htmx=loads) if loads > 1 else live_scripts() }}{% endif %}
{% for script in scripts %}<script src="{{ script }}"></script>{% endfor %}</head><body>"""
_SINK = """
{% if scripts and scripts[0].startswith("/tests-vendor") %}<turbo-stream-source {{ live() }}></turbo-stream-source>
{% else %}<div {{ live() }}></div>{% endif %}</body></html>"""
LIVE = {"live2": 2, "live4": 4, "alone": 1}


def make_app() -> FastAPI:
    data = Data()
    app, reactive = live_app("", lists=_HEAD + LISTS + _SINK, row=ROW, row2=ROW_2)

    def shown(name: str) -> dict[str, Any]:
        context = {"rows": data.rows, "prefix": data.prefix, "steps": data.steps}
        return {**context, "loads": LIVE.get(name, 0), "scripts": SCRIPTS.get(name, [])}

    for name in (*SCRIPTS, *LIVE):

        @app.get(f"/{name}")
        @reactive.page("lists.html", scope="room", shared=True, wire=WIRES.get(name, "htmx"))
        async def page(request: Request) -> dict[str, Any]:
            return shown(request.url.path[1:])

    @app.post("/fill")
    async def fill(seed: int, count: int) -> int:
        data.fill(seed, count)
        await reactive.emit("room", "*")
        return data.steps

    @app.post("/edit")
    async def edit(number: int, name: str, insert: bool = False) -> int:
        data.rows[number]["name"] = name
        if insert:
            data.rows.insert(number, data.row())
        return await changed()

    @app.post("/insert")
    async def insert(number: int) -> int:
        data.rows.insert(number, data.row())
        return await changed()

    @app.post("/move")
    async def move(number: int, to: int) -> int:
        data.rows.insert(to, data.rows.pop(number))
        return await changed()

    @app.post("/remove")
    async def remove(number: int) -> int:
        del data.rows[number]
        return await changed()

    async def changed() -> int:
        data.steps += 1
        await reactive.emit("room", "*")
        return data.steps

    @app.post("/step")
    async def step() -> int:
        data.step()
        await reactive.emit("room", "*")
        return data.steps

    return app


app = make_app()
