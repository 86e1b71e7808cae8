"""The application that each server runs: streams with short intervals, and a report of their state."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from queue import SimpleQueue
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_reactive import ChangeEvent, ConnectionInfo, DependencyIndex, EventStream, ReactiveBus, reactive_stream

env = Environment(loader=DictLoader({"page.html": "{% block text %}{{ text }}{% endblock %}"}), autoescape=True)
bus = ReactiveBus()
index = DependencyIndex()
index.register_template(env, "page.html")
state = {"text": ""}
left: list[str] = []
plain_items: SimpleQueue[str] = SimpleQueue()


async def context() -> dict[str, Any]:
    return state


async def stream(request: Request) -> Response:
    return reactive_stream(
        bus,
        scope="s",
        index=index,
        context_builder=context,
        share="all",
        connection=ConnectionInfo("somebody"),
        on_disconnect=lambda scope, _: left.append(scope),
        heartbeat_interval=0.5,
        send_timeout=None if "patient" in request.query_params else 3.0,
    )


async def generated(_: Request) -> Response:
    async def generate() -> AsyncIterator[str]:
        with bus.subscribe("s") as events:
            async for _ in events:
                yield state["text"]

    return EventStream(generate(), heartbeat_interval=0.5)


def plain(_: Request) -> Response:
    return EventStream(iter(plain_items.get, ""), heartbeat_interval=0.5)


async def emit(request: Request) -> Response:
    text, size = request.query_params["text"], int(request.query_params.get("size", "0"))
    state["text"] = text + "." * size
    await bus.emit(ChangeEvent("s", {"text"}))
    return JSONResponse({})


async def counts(_: Request) -> Response:
    return JSONResponse({"subscribers": bus.subscriber_count, "present": len(bus.presence("s")), "left": len(left)})


async def hang(_: Request) -> Response:
    """Block the event loop until the process is killed."""
    time.sleep(600)  # noqa: ASYNC251 - this is the fault
    return JSONResponse({})


class PassOn:
    """Middleware that wraps ``receive`` and ``send``, as many do, and copies the ASGI scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pass_on_received() -> Message:
            return await receive()

        async def pass_on_sent(message: Message) -> None:
            await send(message)

        await self._app(dict(scope), pass_on_received, pass_on_sent)


async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


class ProcessHeader:
    """Middleware that names the process that answers in a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-process"] = str(os.getpid())
            await send(message)

        await self._app(scope, receive, send_with_header)


streams = [Route("/stream", stream), Route("/generated", generated), Route("/plain", plain)]
app = Starlette(
    routes=[
        *streams,
        Mount("/wrapped", routes=streams, middleware=[Middleware(PassOn), Middleware(BaseHTTPMiddleware, pass_on)]),
        Route("/emit", emit),
        Route("/counts", counts),
        Route("/hang", hang),
    ],
    middleware=[Middleware(ProcessHeader)],
)
