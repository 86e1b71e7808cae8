"""Applications for the tests of the testing tools."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from starlette_reactive import EventStream, Reactive
from starlette_reactive.testing import LivePage
from tests.support import environment

PAGE = """<!doctype html>
<html><head><title>Board</title>{{% block scripts %}}{scripts}{{% endblock %}}</head>
<body {{{{ live_origin() }}}}>
<div {{{{ live() }}}}></div>
<p id="count">{{% block count %}}{{{{ tasks | length }}}} open{{% endblock %}}</p>
<ul id="list">{{% block list %}}{{% for task in tasks %}}<li>{{{{ task }}}}</li>{{% endfor %}}{{% endblock %}}</ul>
<p id="broken">{{% block broken %}}{{{{ 1 // divisor }}}}{{% endblock %}}</p>
</body></html>"""


@dataclass
class Board:
    """A board with a live page."""

    reactive: Reactive
    app: Starlette = field(default_factory=Starlette)
    tasks: list[str] = field(default_factory=list)
    divisor: int = 1
    started: int = 0
    stopped: int = 0

    async def add(self, task: str, *, origin: str | None = None) -> None:
        self.tasks.append(task)
        await self.reactive.emit("board:1", "tasks", origin=origin)


def board(*, scripts: str = "", debug: bool = False) -> Board:
    """Return a board whose page is ``/boards/1``."""
    reactive = Reactive(environment(board=PAGE.format(scripts=scripts)), secret="a secret for tests", debug=debug)
    made = Board(reactive)

    @reactive.page("board.html", scope="board:{board_id}", user=lambda request: request.cookies.get("user"))
    async def show(request: Request) -> dict[str, Any]:
        return {"tasks": list(made.tasks), "divisor": made.divisor}

    async def sign_in(request: Request) -> Response:
        response = RedirectResponse("/boards/1", 303)
        response.set_cookie("user", request.query_params["as"])
        return response

    async def add(request: Request) -> Response:
        await made.add((await request.body()).decode(), origin=reactive.origin(request))
        return JSONResponse({"added": True}, headers={"HX-Trigger": "added"})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        made.started += 1
        async with reactive.lifespan(app):
            yield {"greeting": "hello"}
        made.stopped += 1

    made.app = Starlette(
        routes=[
            *reactive.routes,
            Route("/boards/{board_id}", show),
            Route("/sign-in", sign_in),
            Route("/tasks", add, methods=["POST"]),
            Route("/greeting", lambda request: PlainTextResponse(request.state.greeting)),
        ],
        lifespan=lifespan,
    )
    return made


def streaming(*items: Any, endless: bool = True, **options: Any) -> Starlette:
    """Return an application whose ``/stream`` sends these items, and raises those that are exceptions."""

    async def generate() -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
            yield item
        if endless:
            await anyio.sleep_forever()

    async def stream(request: Request) -> Response:
        return EventStream(generate(), **options)

    async def page(request: Request) -> Response:
        return HTMLResponse(
            '<body hx-ext="sse" sse-connect="/stream" sse-close="bye">'
            '<p id="count" sse-swap="count" hx-target="this" hx-swap="innerHTML">0</p>'
        )

    return Starlette(
        routes=[
            Route("/stream", stream),
            Route("/page", page),
            Route("/plain", lambda request: HTMLResponse("<p>no stream</p>")),
            Route("/gone", lambda request: PlainTextResponse("it is gone", 410)),
        ]
    )


async def leave_for_three_days(page: LivePage, made: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go offline until the live URL of a board's page has expired, and see that the page becomes current again."""
    await made.add("x")
    await page.expect("#count", "1 open")
    page.go_offline()
    monday = time.time() + 3 * 86_400
    monkeypatch.setattr(time, "time", lambda: monday)
    await made.add("y")
    await page.go_online()
    await page.expect("#count", "2 open")
