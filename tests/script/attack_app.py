"""A page whose live blocks and answers show what a test has set."""

from __future__ import annotations

import json
from typing import Any

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from jinja2 import DictLoader, Environment
from starlette.responses import Response

from starlette_reactive import Reactive, is_update

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ name }}</title><link rel="icon" href="data:,">
<meta name="htmx-config" content='{{ config }}'>{{ live_scripts(htmx=htmx) }}</head><body>
<main id="main">{{ static|safe }}
<div id="list">{% block list %}{{ list|safe }}
<p id="inner">{% block inner %}{{ inner|safe }}{% endblock %}</p>{% endblock %}</div>
{% block root %}{% if root %}<div id="root">{{ root|safe }}</div>{% endif %}{% endblock %}
<b id="name">{% block label %}{{ name }} {{ label }}{% endblock %}</b>
<div {{ live() }}></div></main></body></html>"""
START = {"list": "", "inner": "", "root": "root", "label": "", "static": "", "config": "{}"}

app = FastAPI()
reactive = Reactive(Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="a secret for tests")
app.include_router(reactive.router)
shown: dict[str, str] = dict(START)
answers: dict[str, Any] = {}
gates: dict[str, anyio.Event] = {}


@app.get("/page/{client}/{name}")
@reactive.page("page.html", scope="page")
async def show(request: Request, client: str, name: str) -> dict[str, Any]:
    found = {**shown, "name": name, "htmx": int(client.removeprefix("htmx"))}
    if is_update(request) and "updates" in gates:
        await gates["updates"].wait()
    return found


@app.api_route("/answer", methods=["GET", "POST"])
async def answer(request: Request) -> HTMLResponse:
    if "emit" in answers:
        await reactive.emit("page", *answers["emit"], origin=reactive.origin(request))
    found = HTMLResponse(answers.get("html", ""), headers=answers.get("headers", {}))
    if "answers" in gates:
        await gates["answers"].wait()
    return found


# What the tests decide


@app.post("/test/reset")
async def reset() -> None:
    shown.update(START)
    answers.clear()
    for gate in list(gates):
        gates.pop(gate).set()


@app.post("/test/show")
async def change(request: Request) -> None:
    values = await request.json()
    shown.update(values)
    await reactive.emit("page", *values)


@app.post("/test/answer")
async def set_answer(request: Request) -> None:
    answers.clear()
    answers.update(await request.json())


@app.post("/test/close/{gate}")
async def close(gate: str) -> None:
    gates[gate] = anyio.Event()


@app.post("/test/open/{gate}")
async def open_gate(gate: str) -> None:
    gates.pop(gate).set()


@app.get("/test/state")
async def state() -> Response:
    return Response(json.dumps({"connected": len(reactive.presence("page"))}), media_type="application/json")


@app.post("/test/emit-as")
async def emit_as(request: Request) -> None:
    """Show something else, as a change of the tab with a mark."""
    values = await request.json()
    mark = values.pop("mark")
    shown.update(values)
    await reactive.emit("page", *values, origin=mark)
