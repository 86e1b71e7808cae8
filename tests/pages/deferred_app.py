"""An application whose page defers a value, for each client. The value comes when the test lets it."""

from __future__ import annotations

from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive
from tests.pages.browser_clients import ROOT, SCRIPTS

PAGE = """<!doctype html>
<html lang="en"><head><title>Deferred</title><link rel="icon" href="data:,">
{% if client == "script" %}{{ live_scripts(htmx=2) }}{% endif %}
{% for script in scripts %}<script src="{{ script }}"></script>{% endfor %}
</head><body {{ live_origin() }}>
<p id="title">{% block title %}Title {{ title }}{% endblock %}</p>
<section id="revenue">{% block revenue %}{% if revenue is deferred %}Please wait.
<noscript><a href="{{ complete_url() }}">Show the revenue</a></noscript>
{% else %}<b>{{ revenue.total }}</b>{% endif %}{% endblock %}</section>
<div {{ live() }}></div>
</body></html>"""

app = FastAPI()
reactive = Reactive(Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="a secret for tests")
app.include_router(reactive.router)
app.mount("/vendor", StaticFiles(directory=ROOT / "example_app" / "static" / "vendor"))
state: dict[str, Any] = {"title": 0, "total": 0, "ready": anyio.Event()}


async def revenue() -> dict[str, int]:
    await state["ready"].wait()
    return {"total": state["total"]}


@app.get("/pages/{client}")
@reactive.page("page.html", scope="all", deferred=["revenue"])
async def page(client: str) -> dict[str, Any]:
    return {"title": state["title"], "revenue": revenue, "client": client, "scripts": SCRIPTS.get(client, [])}


@app.post("/hold")
async def hold() -> None:
    state["ready"] = anyio.Event()


@app.post("/release")
async def release() -> None:
    state["ready"].set()


@app.post("/change")
async def change(total: int) -> None:
    state["total"] = total
    await reactive.emit("all", "revenue.total")
