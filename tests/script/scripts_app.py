"""A page with scripts and with elements that load something in its live block."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Scripts</title><link rel="icon" href="data:,">
{{ live_scripts(htmx=htmx) }}
<script>window.runs = []</script></head>
<body><main id="all">{% block all %}<p class="count">{{ count }}</p><script>runs.push("first")</script>
<i hx-get="/loaded/first" hx-trigger="load" hx-swap="none"></i>
{% if count > 0 %}<script>runs.push("second")</script>
<i hx-get="/loaded/second" hx-trigger="load" hx-swap="none"></i>{% endif %}{% endblock %}</main>
<div {{ live() }}></div></body></html>"""

app = FastAPI()
reactive = Reactive(Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="a secret for tests")
app.include_router(reactive.router)
state = {"count": 0}
loaded: list[str] = []


@app.get("/pages/{htmx}")
@reactive.page("page.html", scope="all")
async def show(htmx: int) -> dict[str, Any]:
    return {**state, "htmx": htmx}


@app.get("/loaded/{name}", status_code=204)
async def load(name: str) -> None:
    loaded.append(name)


@app.post("/count")
async def count() -> list[str]:
    state["count"] += 1
    await reactive.emit("all", "count")
    return loaded
