"""PyView: Phoenix LiveView in Python. A view for each viewer in the server's memory, differences over a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pyview import LiveView, LiveViewSocket, PyView, is_connected  # type: ignore[import-untyped]
from pyview.events import InfoEvent  # type: ignore[import-untyped]
from pyview.live_socket import pub_sub_hub  # type: ignore[import-untyped]
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from .. import members

__all__ = ["PyViewBoard"]

_TOPIC = "board"


class _BoardView(LiveView[dict[str, Any]]):  # type: ignore[misc]
    """The page: its template is ``pyview_live.html``, which PyView finds beside this module."""

    board: members.Board

    async def mount(self, socket: LiveViewSocket[dict[str, Any]], session: dict[str, Any]) -> None:
        self._name = session["name"]
        socket.context = self.board.context(self._name)
        if is_connected(socket):
            await socket.subscribe(_TOPIC)

    async def handle_info(self, event: InfoEvent, socket: LiveViewSocket[dict[str, Any]]) -> None:  # noqa: ARG002
        socket.context = self.board.context(self._name)


class PyViewBoard:
    """A message to each view, which reads the tasks again and is rendered."""

    protocol: Callable[[], asyncio.Protocol] | None = None

    def __init__(self, options: dict[str, Any]) -> None:  # noqa: ARG002 - the signature of a variant
        self._board = _BoardView.board = members.Board()
        app = PyView(
            routes=[Route("/sign-in/{name}", members.sign_in)],
            middleware=[Middleware(SessionMiddleware, secret_key=members.SECRET)],
        )
        app.add_live_view("/board", _BoardView)
        self.app: ASGIApp | None = app
        self.commands: dict[str, Callable[..., Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, number: int) -> None:
        self._board.change(number)
        task = asyncio.get_running_loop().create_task(pub_sub_hub.send_all_on_topic_async(_TOPIC, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
