"""What people write today for signed-in viewers: FastAPI and sse-starlette, a context and a render for each viewer.

They look at the session when a stream opens, and not again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from jinja2_fragments import render_block
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

from .. import members
from .queues import Queues

__all__ = ["Fragments", "PartialTemplate"]


class PartialTemplate(Queues):
    """The list is a template of its own, which the page includes."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.board = members.Board()
        self.templates = Jinja2Templates(options["templates"])
        super().__init__(options)

    def application(self) -> ASGIApp:
        app = FastAPI(middleware=[Middleware(SessionMiddleware, secret_key=members.SECRET)])
        app.get("/sign-in/{name}")(members.sign_in)
        app.get("/board")(self._page)
        app.get("/stream")(self._rendered_stream)
        return app

    async def _page(self, request: Request) -> Response:
        context = self.board.context(members.name_of(request))
        return self.templates.TemplateResponse(request, members.PLAIN_PAGE, context)

    async def _rendered_stream(self, request: Request) -> Response:
        return EventSourceResponse(self._rendered(members.name_of(request)), ping=600)

    async def _rendered(self, name: str) -> AsyncIterator[ServerSentEvent]:
        async for number in self.received(None):
            if number is None:
                yield ServerSentEvent(comment="")
            else:
                yield ServerSentEvent(self.render(self.board.context(name)), event="tasks")

    def render(self, context: dict[str, Any]) -> str:
        """Return the list's HTML."""
        return self.templates.get_template(members.LIST).render(context)

    def emit(self, number: int) -> None:
        self.board.change(number)
        super().emit(number)

    def items(self, number: int) -> list[Any]:
        return [number]


class Fragments(PartialTemplate):
    """The list is a block of the page, rendered with jinja2-fragments."""

    def render(self, context: dict[str, Any]) -> str:
        return render_block(self.templates.env, members.PLAIN_PAGE, "tasks", **context)
