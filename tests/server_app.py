"""An application for tests that need a real server."""

from __future__ import annotations

import threading
import time
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starlette_reactive import ChangeEvent, ConnectionInfo, DependencyIndex, EventStream, ReactiveBus, reactive_stream

env = Environment(loader=DictLoader({"page.html": "{% block number %}{{ number }}{% endblock %}"}), autoescape=True)
bus = ReactiveBus()
index = DependencyIndex()
index.register_template(env, "page.html")
state = {"number": 0}
left: list[str] = []


async def context() -> dict[str, Any]:
    return state


async def stream(request: Request) -> Response:
    query = request.query_params
    return reactive_stream(
        bus,
        scope="s",
        index=index,
        context_builder=context,
        share=query.get("share"),
        connection=ConnectionInfo(query.get("session", "anonymous")),
        on_disconnect=lambda scope, _: left.append(scope),
    )


async def ticks(_: Request) -> Response:
    async def generate() -> Any:
        with bus.subscribe("ticks") as events:
            async for event in events:
                yield min(event.changed_paths)

    return EventStream(generate())


async def emit(request: Request) -> Response:
    state["number"] = int(request.query_params["number"])
    await bus.emit(ChangeEvent("s", {"number"}))
    return JSONResponse(state)


def emit_from_a_thread(request: Request) -> Response:
    def later() -> None:
        time.sleep(0.3)  # until the loop sleeps
        state["number"] = int(request.query_params["number"])
        bus.emit_sync(ChangeEvent("s", {"number"}))

    threading.Thread(target=later).start()
    return JSONResponse(state)


async def counts(_: Request) -> Response:
    return JSONResponse({"subscribers": bus.subscriber_count, "present": len(bus.presence("s")), "left": len(left)})


app = Starlette(
    routes=[
        Route("/stream", stream),
        Route("/ticks", ticks),
        Route("/emit", emit),
        Route("/emit-from-a-thread", emit_from_a_thread),
        Route("/counts", counts),
    ]
)
