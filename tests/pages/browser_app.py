"""An application for browser tests: one page for each client."""

from __future__ import annotations

from typing import Any

import anyio
from fastapi import Form, Request, Response

from starlette_reactive import Fragment
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._streams.groups import end_streams

from .browser_clients import SCRIPTS, WIRES, live_app

CONTENT = """{% block banner %}<h1 id="banner" class="n{{ count }}">{{ count }} so far</h1>{% endblock %}
<div id="toasts" role="status" aria-live="polite"></div>
<p id="note">{% block note %}{{ note }}{% endblock %}</p>
<section id="inside">{% block inside %}<b class="count">{{ count }}</b>
  <form><input id="in" name="in" aria-label="Inside"></form>{% endblock %}</section>
<form id="outside" hx-post="/say" hx-swap="none"><input id="out" name="note" aria-label="Outside">
  <button>Say</button></form>
<section id="still">{% block still %}{{ unchanged }}
  <details id="more"><summary>More</summary>{{ unchanged }}</details>
  <video id="film" muted loop width="40" height="30"></video>{% endblock %}</section>"""

TOAST = """{% block toast %}<p class="toast">{{ text }} <button onclick="this.parentNode.remove()">Close</button></p>
{% endblock %}"""

app, reactive = live_app(CONTENT, toast=TOAST)
state: dict[str, Any] = {"count": 0, "note": "nothing", "over": False}
streams: list[str] = []


@app.middleware("http")
async def count_streams(request: Request, call_next: Any) -> Any:
    if request.url.path.endswith("/live"):
        streams.append(request.headers.get("last-event-id", ""))
    return await call_next(request)


def page_for(client: str, wire: str) -> None:
    async def page() -> Any:
        if state["over"]:
            return Response("error page", status_code=403)
        return {**state, "unchanged": "same", "scripts": SCRIPTS[client]}

    page.__name__ = client
    app.get(f"/{client}")(reactive.page("page.html", scope="all", wire=wire)(page))


for client, wire in WIRES.items():
    page_for(client, wire)


@app.post("/count")
async def count() -> dict[str, int]:
    state["count"] += 1
    await reactive.emit("all", "count")
    return {"count": state["count"]}


@app.post("/say")
async def say(request: Request, note: str = Form("")) -> Response:
    state["note"] = note
    await reactive.emit("all", "note", origin=reactive.origin(request))
    return Response(status_code=204, headers={"X-Origin": reactive.origin(request) or "none"})


@app.post("/tell")
async def tell(text: str) -> None:
    await reactive.notify("all", Fragment("toast.html", "toast", target="toasts", text=text))


@app.post("/restart")
async def restart(text: str) -> None:
    end_streams(hub_of(reactive.bus))
    while reactive.presence("all"):  # noqa: ASYNC110 - streams set no event when they have ended
        await anyio.sleep(0.01)
    await tell(text)


@app.post("/over")
async def over(value: bool) -> None:
    state["over"] = value
    await reactive.emit("all", "note")


@app.get("/streams")
async def opened() -> dict[str, int]:
    return {"opened": len(streams), "connected": len(reactive.presence("all"))}
