"""Attacks on updates. What an attacker would gain: the blocks of a page that the application refuses to show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_reactive import Reactive
from starlette_reactive._streams import backoff

from ..pages.support import SECRET, request, stream, view
from ..support import Connection, environment, eventually

ENV = environment(
    page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>',
    other='<p id="title">{% block title %}other {{ title }}{% endblock %}</p><div {{ live() }}></div>',
)
CONFIDENTIAL = "confidential"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.01)


@pytest.fixture
def reactive() -> Reactive:
    return Reactive(ENV, secret=SECRET)


class SignIn:
    """Lets the endpoint run, and then answers a sign-in page with status 200 to those who are signed out."""

    signed_out = False
    refused = 0


class PlainSignIn(SignIn):
    """As plain ASGI middleware."""

    def __init__(self, app: ASGIApp, gate: SignIn) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._gate.signed_out or scope["path"].startswith("/_reactive"):
            await self._app(scope, receive, send)
            return

        async def discard(message: Message) -> None:
            pass

        await self._app(scope, receive, discard)
        self._gate.refused += 1
        await HTMLResponse("Sign in")(scope, receive, send)


def dispatching(gate: SignIn) -> Middleware:
    async def dispatch(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        if not gate.signed_out or request.url.path.startswith("/_reactive"):
            return response
        gate.refused += 1
        return HTMLResponse("Sign in")

    return Middleware(BaseHTTPMiddleware, dispatch=dispatch)


def sent(connection: Connection) -> str:
    return b"".join(connection.chunks).decode()


@pytest.mark.parametrize("kind", ["plain", "dispatch"])
async def test_an_answer_that_replaces_the_pages_own_sends_no_block(
    reactive: Reactive, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = SignIn()
    title = "public"

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        return {"title": title}

    middleware = dispatching(gate) if kind == "dispatch" else Middleware(PlainSignIn, gate=gate)
    app = Starlette(routes=[*reactive.routes, Route("/", page)], middleware=[middleware])
    async with view(app, "/") as connection:
        gate.signed_out, title = True, CONFIDENTIAL
        await reactive.emit("all", "title")
        await eventually(lambda: gate.refused >= 2)  # it is tried again, with the same answer
        assert CONFIDENTIAL not in sent(connection)
        assert "answered 200, which replaced the answer of the page" in caplog.text

        gate.signed_out, title = False, "public again"
        await eventually(lambda: "public again" in sent(connection))


async def test_an_update_that_is_routed_to_another_page_renders_neither(
    reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    is_admin = True
    runs: list[str] = []

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        runs.append("page")
        return {"title": "mine"}

    @reactive.page("other.html", scope="all")
    async def other(request: Request) -> dict[str, Any]:
        runs.append("other")
        return {"title": CONFIDENTIAL}

    class Rewrite:
        """Routes by role, as a proxy with ``X-Original-URL`` does."""

        def __init__(self, app: ASGIApp) -> None:
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == "/" and is_admin:
                scope = {**scope, "path": "/other", "raw_path": b"/other"}
            await self._app(scope, receive, send)

    app = Starlette(
        routes=[*reactive.routes, Route("/", page), Route("/other", other)], middleware=[Middleware(Rewrite)]
    )
    is_admin = False
    seen = await request(app, "/")
    async with stream(app, seen.url) as connection:
        is_admin = True
        runs.clear()
        await reactive.emit("all", "title")
        await eventually(lambda: "was not rendered for '/': the application answered 409" in caplog.text)
        assert CONFIDENTIAL not in sent(connection)
        assert runs == []


async def test_the_pages_of_get_and_post_on_one_path_do_not_answer_for_each_other(
    reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        return {"title": CONFIDENTIAL}

    @reactive.page("other.html", scope="all")
    async def result(request: Request) -> dict[str, Any]:
        return {"title": "a result"}

    routes = [Route("/", page), Route("/", result, methods=["POST"])]
    app = Starlette(routes=[*reactive.routes, *routes])
    seen = await request(app, "/", method="POST")
    async with stream(app, seen.url, wait=False) as connection:
        await reactive.emit("all", "title")
        await eventually(lambda: "answered 409" in caplog.text)
        assert CONFIDENTIAL not in sent(connection)
