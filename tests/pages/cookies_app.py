"""An application for browser tests with a signed cookie that holds a cart, and with a token that can be used once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment
from starlette.middleware.sessions import SessionMiddleware

from starlette_reactive import Reactive, ReactiveMiddleware

from .browser_app import SCRIPTS

ROOT = Path(__file__).parents[2]

PAGE = """<!doctype html>
<html lang="en"><head>
<meta charset="utf-8"><title>Cookies</title><link rel="icon" href="data:,">
{% for script in scripts %}<script src="{{ script }}"></script>{% endfor %}
</head>
<body {{ live_origin() }}>
<p id="title">{% block title %}{{ title }}{% endblock %}</p>
<p id="cart">{% block cart %}{{ cart }} in cart{% endblock %}</p>
{% if scripts[0].startswith("/tests-vendor") %}<turbo-stream-source {{ live() }}></turbo-stream-source>
{% else %}<div {{ live() }}></div>{% endif %}
</body></html>"""

app = FastAPI()
reactive = Reactive(Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="a secret for tests")
app.include_router(reactive.router)
app.mount("/vendor", StaticFiles(directory=ROOT / "example_app" / "static" / "vendor"))
app.mount("/tests-vendor", StaticFiles(directory=ROOT / "tests" / "vendor"))
app.add_middleware(SessionMiddleware, secret_key="a key for tests")
app.add_middleware(ReactiveMiddleware, reactive=reactive)

state: dict[str, Any] = {"title": "nothing", "valid": "", "refresh": "", "thefts": 0, "streams": 0}
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


for client, wire in {"htmx2": "htmx", "htmx4": "htmx", "turbo": "turbo"}.items():
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
