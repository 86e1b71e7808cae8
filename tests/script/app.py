"""An application whose pages people type into. Its gates decide in which order answers and updates arrive."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment
from starlette.responses import Response

from starlette_reactive import OOB, Action, Fragment, Reactive, ValidationError, is_update

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ client }}</title><link rel="icon" href="data:,">
<meta name="htmx-config" content='{"responseHandling":
  [{"code": "[23]..", "swap": true}, {"code": "422", "swap": true}]}'>
{{ live_scripts(htmx=htmx) }}
{% if extension %}
<script src="/vendor/{{ "htmx-ext-sse-2.2.4/sse.min.js" if htmx == 2 else "htmx-4.0.1/hx-sse.min.js" }}"></script>
{% endif %}
<script>
  window.heard = []
  for (const name of ["connected", "lost", "updated", "ended"])
    document.addEventListener("reactive:" + name, event => heard.push([name, event.detail]))
  document.addEventListener("toast", event => heard.push(["toast", event.detail.value]))
</script></head><body>
"""
ROW = """{% macro row(item) %}<li id="item-{{ item.id }}"><span>{{ item.text }}</span>
<button class="edit" hx-get="/items/{{ item.id }}/edit" hx-target="#item-{{ item.id }}"
  hx-swap="outerHTML">Edit</button>
<button class="ring" hx-post="/items/{{ item.id }}/ring" hx-swap="none">Ring</button></li>{% endmacro %}"""
TEMPLATES = {
    "row.html": ROW,
    "items.html": HEAD
    + """{% from "row.html" import row %}
<p>Items: <b id="total">{% block total %}{{ items|length }}{% endblock %}</b>
<i id="bell">{% block bell %}{{ rings }}{% endblock %}</i></p>
<form id="add" hx-post="/items" hx-target="#items">{% block form %}
  <input id="text" name="text" value="{{ text }}">{% if errors %}<em class="error">{{ errors }}</em>{% endif %}
  <button>Add</button>{% endblock %}</form>
<div id="morphed"><input id="kept"><b>0</b></div>
<button id="inner" hx-get="/morphed" hx-target="#morphed" hx-swap="innerMorph">Inner</button>
<button id="outer" hx-get="/morphed?outer=true" hx-target="#morphed" hx-swap="outerMorph">Outer</button>
<form id="quick" hx-post="/items/quick" hx-swap="none">{% block quick %}
  <label>Item {{ items|length + 1 }} <input name="text" id="quick-text"></label>{% endblock %}</form>
<form id="named" hx-post="/items/quick" hx-swap="none">{% block named %}
  <label>{{ items|length }} <input name="id" id="named-id"> <input name="text" id="named-text"></label>
  <button>Add</button>{% endblock %}</form>
<dialog id="about"><p id="news">{% block news %}{{ items|length }} items{% endblock %}</p></dialog>
<ul id="items">{% block items %}{% if flash %}<li class="flash">{{ flash }}</li>{% endif %}
{% for item in items %}{{ row(item) }}
{% endfor %}{% endblock %}</ul>
<div {{ live() }}></div></body></html>""",
    "parts.html": """{% block edit %}<form id="edit-{{ item.id }}" hx-put="/items/{{ item.id }}" hx-target="this"
  hx-swap="outerHTML"><input name="text" value="{{ item.text }}"><button>Save</button>
  <button type="button" class="cancel" hx-get="/items/{{ item.id }}/row" hx-target="#edit-{{ item.id }}"
    hx-swap="outerHTML">Cancel</button></form>{% endblock %}
{% block one %}{% from "row.html" import row %}{{ row(item) }}{% endblock %}""",
    "pages.html": HEAD
    + """<nav id="nav">{% block nav %}page {{ number }}, {{ items|length }} in all{% endblock %}</nav>
<a id="next" hx-get="/pages/{{ client }}?number=1" hx-target="#list" hx-select="#list > *" hx-push-url="true">Next</a>
<a id="slowly" hx-get="/pages/{{ client }}?number=1" hx-target="#list" hx-select="#list > *" hx-push-url="true"
  hx-swap="innerHTML settle:1s">Next</a>
<ul id="list">{% block list %}{% for item in shown %}<li>{{ item.text }}</li>{% endfor %}{% endblock %}</ul>
<div {{ live() }}></div></body></html>""",
    "tour.html": HEAD
    + """<main hx-boost="true"{% if htmx == 4 %} hx-boost:inherited="true"{% endif %}>
<a id="other" href="/tour/{{ client }}/{{ other }}">{{ other }}</a>
<h1 id="stop">{% block stop %}{{ name }}: {{ items|length }}{% endblock %}</h1>
<form hx-post="/mark" hx-swap="none"><button id="mark">Mark</button></form>
<div {{ live() }}></div></main></body></html>""",
}

app = FastAPI()
env = Environment(loader=DictLoader(TEMPLATES), autoescape=True)
reactive = Reactive(env, secret="a secret for tests", heartbeat=0.4)
app.include_router(reactive.router)
app.mount("/vendor", StaticFiles(directory=Path(__file__).parents[2] / "example_app" / "static" / "vendor"))

items: dict[int, dict[str, Any]] = {}
state: dict[str, Any] = {"rings": 0, "over": False, "jitter": False, "slowness": 0.0}
gates: dict[str, anyio.Event] = {}
marks: list[str | None] = []


async def through(gate: str) -> None:
    if gate in gates:
        await gates[gate].wait()
    if state["jitter"]:
        await anyio.sleep(random.uniform(0, 0.1))


async def everything(request: Request, client: str) -> Any:
    found = {"items": [dict(item) for item in items.values()], "rings": state["rings"], "client": client}
    await through("updates" if is_update(request) else "visits")
    if is_update(request):
        await anyio.sleep(state["slowness"])
    return {**found, "htmx": int(client.removeprefix("htmx")), "text": "", "flash": "", "errors": ""}


@app.get("/items/{client}")
@reactive.page("items.html", scope="items")
async def show(request: Request, client: str, extension: bool = False) -> Any:
    if state["over"]:
        return Response("over", status_code=403)
    return {**await everything(request, client), "extension": extension}


@app.get("/pages/{client}")
@reactive.page("pages.html", scope="items")
async def show_page(request: Request, client: str, number: int = 0) -> Any:
    found = await everything(request, client)
    return {**found, "number": number, "shown": found["items"][2 * number : 2 * number + 2]}


@app.get("/tour/{client}/{name}")
@reactive.page("tour.html", scope="items")
async def show_stop(request: Request, client: str, name: str) -> Any:
    return {**await everything(request, client), "name": name, "other": "there" if name == "here" else "here"}


@app.post("/mark")
async def mark(request: Request) -> Response:
    marks.append(reactive.origin(request))
    return Response(status_code=204)


async def add(text: str) -> dict[str, Any]:
    number = max(items, default=0) + 1
    items[number] = {"id": number, "text": text}
    await reactive.emit("items", "items", "shown")
    return items[number]


@app.post("/items")
@reactive.html
async def create(request: Request, text: Annotated[str, Form()]) -> Any:
    if text == "bad":
        form = Fragment("items.html", "form", text=text)
        response = reactive.response(request, ValidationError(form, errors="this is bad"))
        response.headers["HX-Retarget"] = "#add"
        return response
    await add(text)
    shown = [dict(item) for item in items.values()]
    await through("answers")
    return OOB(
        Fragment("items.html", "items", items=shown, flash=f"{text} was added"),
        Fragment("items.html", "form", target="add", text=""),
        Fragment("items.html", "total", items=shown),
    )


@app.post("/items/quick")
@reactive.html
async def create_quickly(text: Annotated[str, Form()]) -> Action:
    await add(text)
    await through("answers")
    return Action(trigger="toast")


@app.get("/items/{number}/edit")
@reactive.html
async def edit(number: int) -> Any:
    if number not in items:
        return Response(status_code=404)
    return Fragment("parts.html", "edit", item=items[number])


@app.get("/items/{number}/row")
@reactive.html
async def one(number: int) -> Any:
    if number not in items:
        return ""
    return Fragment("parts.html", "one", item=items[number])


@app.put("/items/{number}")
@reactive.html
async def change(number: int, text: Annotated[str, Form()]) -> Any:
    if number not in items:
        return ""
    items[number]["text"] = text
    await reactive.emit("items", "items", "shown")
    item = dict(items[number])
    await through("answers")
    return Fragment("parts.html", "one", item=item)


@app.post("/items/{number}/ring")
@reactive.html
async def ring(number: int) -> Action:
    state["rings"] += 1
    if number in items:
        items[number]["text"] += "!"
    await reactive.emit("items", "items", "rings")
    await through("answers")
    return Action(trigger={"toast": f"rang {number}"})


@app.get("/morphed")
@reactive.html
async def morphed(outer: bool = False) -> str:
    inside = '<input id="kept"><b>1</b><button hx-get="/morphed" hx-target="#morphed" id="inside">Inside</button>'
    return f'<div id="morphed" class="outer">{inside}</div>' if outer else inside


# What the tests decide


@app.post("/test/reset")
async def reset(texts: str = "one,two", jitter: bool = False, slowness: float = 0) -> None:
    items.clear()
    items.update({number: {"id": number, "text": text} for number, text in enumerate(texts.split(","), 1)})
    state.update(rings=0, over=False, jitter=jitter, slowness=slowness)
    marks.clear()
    for gate in list(gates):
        gates.pop(gate).set()
    await reactive.emit("items", "*")


@app.post("/test/close/{gate}")
async def close(gate: str) -> None:
    gates.setdefault(gate, anyio.Event())


@app.post("/test/open/{gate}")
async def open_gate(gate: str) -> None:
    gates.pop(gate).set()


@app.post("/test/add")
async def add_from_elsewhere(text: str) -> None:
    await add(text)


@app.post("/test/text")
async def set_text(number: int, text: str) -> None:
    if number in items:
        items[number]["text"] = text
    await reactive.emit("items", "items", "shown")


@app.post("/test/remove")
async def remove(number: int) -> None:
    items.pop(number, None)
    await reactive.emit("items", "items")


@app.post("/test/over")
async def over() -> None:
    state["over"] = True
    await reactive.emit("items", "items")


@app.get("/test/state")
async def found() -> HTMLResponse:
    return HTMLResponse(json.dumps({"connected": len(reactive.presence("items")), "marks": marks}))
