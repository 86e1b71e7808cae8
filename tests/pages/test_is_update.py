"""``is_update`` tells updates from a browser's own requests, wherever an application may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi import Request as FastRequest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, is_update
from tests.support import environment

from .support import PAGE, SECRET, view

ENV = environment(
    page=PAGE, shared='<ul id="list">{% block list %}{{ items }}{% endblock %}</ul><div {{ live() }}></div>'
)
PURE, DISPATCHED, DEPENDENCY, CONNECTION, ENDPOINT = "pure ASGI", "dispatch", "dependency", "connection", "endpoint"
VISIT, STREAM, UPDATE = ("/", False), ("/_reactive/live", False), ("/", True)
ADMISSION = UPDATE  # the run that admits the viewer

Answers = dict[str, list[tuple[str, bool]]]


@pytest.fixture
def reactive() -> Reactive:
    return Reactive(ENV, secret=SECRET)


@pytest.fixture
def answers() -> Answers:
    """What each place was told, by path."""
    return {}


class Pure:
    """Plain ASGI middleware, which has the ASGI scope alone."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self.app, self.answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.answers.setdefault(PURE, []).append((scope["path"], is_update(scope)))
        await self.app({**scope, "copied": True}, receive, send)


def middleware_of(answers: Answers) -> list[Middleware]:
    async def dispatch(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        answers.setdefault(DISPATCHED, []).append((request.url.path, is_update(request)))
        return await call_next(request)

    return [Middleware(Pure, answers=answers), Middleware(BaseHTTPMiddleware, dispatch=dispatch)]


async def visit_and_update(app: ASGIApp, reactive: Reactive, path: str = "/") -> None:
    """Visit a page, whose stream is authorised by a first update, and cause a second one."""
    async with view(app, path) as connection:
        await reactive.emit("all", "items")
        await connection.next_update()


async def test_it_tells_updates_from_visits_with_starlette(reactive: Reactive, answers: Answers) -> None:
    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        answers.setdefault(ENDPOINT, []).append((request.url.path, is_update(request)))
        return {"title": "", "items": []}

    app = Starlette(routes=[*reactive.routes, Route("/", page)], middleware=middleware_of(answers))
    await visit_and_update(app, reactive)
    assert answers == {
        PURE: [VISIT, STREAM, UPDATE, UPDATE],
        DISPATCHED: [VISIT, STREAM, UPDATE, UPDATE],
        ENDPOINT: [VISIT, UPDATE, UPDATE],
    }


async def test_it_tells_updates_from_visits_with_fastapi(reactive: Reactive, answers: Answers) -> None:
    def asked(request: FastRequest) -> None:
        answers.setdefault(DEPENDENCY, []).append((request.url.path, is_update(request)))

    def connected(connection: HTTPConnection, _: Annotated[None, Depends(asked)]) -> bool:
        answers.setdefault(CONNECTION, []).append((connection.url.path, is_update(connection)))
        return is_update(connection)

    app = FastAPI(middleware=middleware_of(answers))
    app.include_router(reactive.router)

    async def page(request: FastRequest, update: Annotated[bool, Depends(connected)]) -> dict[str, Any]:
        answers.setdefault(ENDPOINT, []).append((request.url.path, is_update(request)))
        return {"title": "", "items": [update]}

    connected.__annotations__["_"] = Annotated[None, Depends(asked)]
    page.__annotations__["update"] = Annotated[bool, Depends(connected)]  # as it would be outside a function
    app.get("/")(reactive.page("page.html", scope="all")(page))
    async with view(app, "/") as connection:
        await reactive.emit("all", "items")
        assert "<li>True</li>" in ((await connection.next_update()).data or "")
    assert answers == {
        PURE: [VISIT, STREAM, UPDATE, UPDATE],
        DISPATCHED: [VISIT, STREAM, UPDATE, UPDATE],
        DEPENDENCY: [VISIT, UPDATE, UPDATE],
        CONNECTION: [VISIT, UPDATE, UPDATE],
        ENDPOINT: [VISIT, UPDATE, UPDATE],
    }


async def test_it_holds_in_a_mounted_application(reactive: Reactive, answers: Answers) -> None:
    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        return {"title": "", "items": []}

    inner = Starlette(routes=[Route("/", page)], middleware=middleware_of(answers))
    await visit_and_update(Starlette(routes=[*reactive.routes, Mount("/in", inner)]), reactive, "/in/")
    seen = [("/in/", False), ("/in/", True), ("/in/", True)]
    assert answers == {PURE: seen, DISPATCHED: seen}


async def test_the_run_of_a_shared_page_is_an_update(reactive: Reactive, answers: Answers) -> None:
    @reactive.page("shared.html", scope="all", shared=True)
    async def page(request: Request) -> dict[str, Any]:
        return {"items": []}

    app = Starlette(routes=[*reactive.routes, Route("/", page)], middleware=middleware_of(answers))
    await visit_and_update(app, reactive)
    assert answers == {PURE: [VISIT, STREAM, UPDATE, UPDATE], DISPATCHED: [VISIT, STREAM, UPDATE, UPDATE]}


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_it_answers_for_every_kind_of_asgi_scope(kind: str) -> None:
    assert is_update({"type": kind}) is False


def test_anything_else_is_refused_with_what_to_pass() -> None:
    with pytest.raises(TypeError, match="takes a Request or an ASGI scope, not Response: pass the request itself"):
        is_update(Response())  # type: ignore[arg-type]
