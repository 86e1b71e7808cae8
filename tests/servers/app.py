"""The application that each server runs: a stream with short intervals, and a report of its state."""

from __future__ import annotations

from typing import Any

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starlette_reactive import ChangeEvent, ConnectionInfo, DependencyIndex, ReactiveBus, reactive_stream

env = Environment(loader=DictLoader({"page.html": "{% block text %}{{ text }}{% endblock %}"}), autoescape=True)
bus = ReactiveBus()
index = DependencyIndex()
index.register_template(env, "page.html")
state = {"text": ""}
left: list[str] = []


async def context() -> dict[str, Any]:
    return state


async def stream(_: Request) -> Response:
    return reactive_stream(
        bus,
        scope="s",
        index=index,
        context_builder=context,
        share="all",
        connection=ConnectionInfo("somebody"),
        on_disconnect=lambda scope, _: left.append(scope),
        heartbeat_interval=0.5,
        send_timeout=3.0,
    )


async def emit(request: Request) -> Response:
    text, size = request.query_params["text"], int(request.query_params.get("size", "0"))
    state["text"] = text + "." * size
    await bus.emit(ChangeEvent("s", {"text"}))
    return JSONResponse({})


async def counts(_: Request) -> Response:
    return JSONResponse({"subscribers": bus.subscriber_count, "present": len(bus.presence("s")), "left": len(left)})


app = Starlette(routes=[Route("/stream", stream), Route("/emit", emit), Route("/counts", counts)])
