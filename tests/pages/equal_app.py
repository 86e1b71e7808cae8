"""An application for browser tests that counts how often the endpoints of its pages run for updates."""

from __future__ import annotations

from fastapi import Request

from starlette_reactive import is_update

from .browser_clients import SCRIPTS, WIRES, live_app

app, reactive = live_app('<p id="number">{% block number %}{{ number }}{% endblock %}</p>')
state = {"number": 0, "runs": 0}


def declare(client: str, wire: str) -> None:
    async def page(request: Request) -> dict[str, object]:
        state["runs"] += is_update(request)
        return {"number": state["number"], "scripts": SCRIPTS[client]}

    page.__name__ = client
    app.get(f"/{client}")(reactive.page("page.html", scope="all", wire=wire)(page))


for client, wire in WIRES.items():
    declare(client, wire)


@app.post("/add")
async def add() -> None:
    state["number"] += 1
    await reactive.emit("all", "number")


@app.get("/state")
async def get_state() -> dict[str, int]:
    return {**state, "connected": len(reactive.presence("all"))}
