"""An application with compressed streams, for each client: a long text that changes as a whole, and a short one."""

from __future__ import annotations

import random
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive
from tests.pages.browser_clients import ROOT, SCRIPTS

PAGE = """<!doctype html>
<html lang="en"><head><title>Compressed</title><link rel="icon" href="data:,">
{% if client == "script" %}{{ live_scripts(htmx=2) }}{% endif %}
{% for script in scripts %}<script src="{{ script }}"></script>{% endfor %}
</head><body {{ live_origin() }}>
<p id="number">{% block number %}{{ number }}{% endblock %}</p>
<p id="text">{% block text %}{{ number }} {{ text }} {{ number }}{% endblock %}</p>
<div {{ live() }}></div>
</body></html>"""

app = FastAPI()
reactive = Reactive(Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="a secret for tests")
app.include_router(reactive.router)
app.mount("/vendor", StaticFiles(directory=ROOT / "example_app" / "static" / "vendor"))
state: dict[str, Any] = {"number": 0, "text": ""}


@app.get("/connected")
async def connected() -> int:
    return len(reactive.presence("all"))


@app.get("/{client}")
@reactive.page("page.html", scope="all", shared=True)
async def page(client: str) -> dict[str, Any]:
    return {**state, "client": client, "scripts": SCRIPTS.get(client, [])}


@app.post("/change")
async def change(length: int = 0) -> int:
    letters = random.Random(state["number"])
    state["number"] += 1
    state["text"] = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))
    await reactive.emit("all", "number", "text")
    return int(state["number"])
