"""An application for browser tests with a signed cookie that holds a cart, and with a token that can be used once."""

from __future__ import annotations

import itertools
from typing import Any

from fastapi import Depends, HTTPException, Request, Response
from starlette.middleware.sessions import SessionMiddleware

from starlette_reactive import ReactiveMiddleware

from .browser_clients import SCRIPTS, WIRES, live_app

CONTENT = """<p id="title">{% block title %}{{ title }}{% endblock %}</p>
<p id="cart">{% block cart %}{{ cart }} in cart{% endblock %}</p>"""

app, reactive = live_app(CONTENT)
app.add_middleware(SessionMiddleware, secret_key="a key for tests")
app.add_middleware(ReactiveMiddleware, reactive=reactive)

state: dict[str, Any] = {"title": "nothing", "valid": "", "refresh": "", "thefts": 0}
numbers = itertools.count(1)


def renew(response: Response) -> None:
    state["valid"], state["refresh"] = f"access-{next(numbers)}", f"refresh-{next(numbers)}"
    response.set_cookie("access", state["valid"], httponly=True)
    response.set_cookie("refresh", state["refresh"], httponly=True)


def authenticate(request: Request, response: Response) -> None:
    if "user" not in request.session:
        raise HTTPException(401)
    if request.cookies.get("access") == state["valid"]:
        return
    if request.cookies.get("refresh") != state["refresh"]:
        state["thefts"] += 1
        raise HTTPException(401)
    renew(response)


def declare(client: str, wire: str) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return {"title": state["title"], "cart": request.session.get("cart", 0), "scripts": SCRIPTS[client]}

    page.__name__ = client
    live = reactive.page("page.html", scope="all", wire=wire)(page)
    app.get(f"/{client}", dependencies=[Depends(authenticate)])(live)


for client, wire in WIRES.items():
    declare(client, wire)


@app.post("/sign-in")
async def sign_in(request: Request, response: Response) -> None:
    request.session["user"] = "ada"
    renew(response)


@app.post("/sign-out")
async def sign_out(request: Request) -> None:
    request.session.clear()


@app.post("/add")
async def add(request: Request) -> None:
    request.session["cart"] = request.session.get("cart", 0) + 1
    await reactive.emit("all", "cart")


@app.post("/publish")
async def publish(title: str, *, expire: bool = False) -> None:
    if expire:
        state["valid"] = ""
    state["title"] = title
    await reactive.emit("all", "title")


@app.get("/state")
async def read_state() -> dict[str, Any]:
    return {**state, "connected": len(reactive.presence("all"))}
