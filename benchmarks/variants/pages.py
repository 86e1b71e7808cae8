"""Pages of this package for signed-in people, with FastAPI and with Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

from starlette_reactive import Reactive, ReactiveMiddleware

from .. import members

__all__ = ["Private", "PrivateStarlette", "Rows", "Share", "ShareAsync", "Shared"]

_SCOPE = "board"


class Private:
    """A private page with FastAPI: an update of its own for each viewer."""

    protocol: Callable[[], asyncio.Protocol] | None = None
    template: ClassVar[str] = members.PAGE
    sharing: ClassVar[dict[str, Any]] = {}

    def __init__(self, options: dict[str, Any]) -> None:
        self.board = members.Board()
        self.reactive = Reactive(
            Jinja2Templates(options["templates"]), secret=members.SECRET, viewer_names=["me"], heartbeat=600
        )
        self.page = self.reactive.page(self.template, scope=_SCOPE, user=members.name_of, **self.sharing)
        self.middleware = [
            Middleware(ReactiveMiddleware, reactive=self.reactive),
            Middleware(SessionMiddleware, secret_key=members.SECRET),
        ]
        self.app: ASGIApp | None = self.application()
        self.commands: dict[str, Callable[..., Any]] = {"note": self._note, "runs": lambda: self.board.reads}

    def application(self) -> ASGIApp:
        app = FastAPI(middleware=self.middleware)
        app.include_router(self.reactive.router)
        app.get("/sign-in/{name}")(members.sign_in)
        app.get("/board")(self.page(self.endpoint()))
        return app

    def endpoint(self) -> Callable[..., Any]:
        """Return the page's endpoint."""

        async def show(name: str = Depends(_name)) -> dict[str, Any]:
            return self.board.context(name)

        return show

    def emit(self, number: int) -> None:
        self.board.change(number)
        self.reactive.emit_sync(_SCOPE, "tasks")

    def _note(self, name: str, number: str) -> None:
        self.board.note(name, int(number))
        self.reactive.emit_sync(_SCOPE, "me", audience={name})


class PrivateStarlette(Private):
    """The same with Starlette."""

    def application(self) -> ASGIApp:
        routes = [
            *self.reactive.routes,
            Route("/sign-in/{name}", members.sign_in),
            Route("/board", self.page(self._show)),
        ]
        return Starlette(routes=routes, middleware=self.middleware, lifespan=self.reactive.lifespan)

    async def _show(self, request: Request) -> dict[str, Any]:
        return self.board.context(members.name_of(request))


class Share(Private):
    """``share=`` with a plain function: an update for each team."""

    sharing: ClassVar[dict[str, Any]] = {"share": members.team_of}


async def _team(request: Request) -> str:
    return members.team_of(request)


class ShareAsync(Private):
    """``share=`` with a coroutine function."""

    sharing: ClassVar[dict[str, Any]] = {"share": _team}


class Shared(Private):
    """``shared=True``, without the line for the member: one update for everybody."""

    template = members.SHARED_PAGE
    sharing: ClassVar[dict[str, Any]] = {"shared": True}

    def endpoint(self) -> Callable[..., Any]:
        async def show() -> dict[str, Any]:
            return {"team": "everybody", "tasks": self.board.tasks()}

        return show


class Rows(Shared):
    """``shared=True``, with a list of so many rows."""

    template = members.ROWS_PAGE

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.board = members.Board(options["rows"])


async def _name(request: Request) -> str:
    return members.name_of(request)
