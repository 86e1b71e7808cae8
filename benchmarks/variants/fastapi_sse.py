"""FastAPI's own Server-Sent Events: a path operation that yields, a memory stream for each viewer."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.types import ASGIApp

from .. import content
from .queues import Queues

__all__ = ["FastApi"]


class FastApi(Queues):
    """``response_class=EventSourceResponse``, the HTML as ``raw_data``."""

    def application(self) -> ASGIApp:
        app = FastAPI()

        @app.get("/stream", response_class=EventSourceResponse)
        async def stream() -> AsyncIterable[ServerSentEvent]:
            async for html in self.received("opening"):
                yield ServerSentEvent(raw_data=html, event="b0")

        return app

    def items(self, number: int) -> list[Any]:
        return content.ready_html(number, self.blocks, self.rows)
