"""The ways to bring a change to its viewers that are compared, each a server of its own.

``VARIANTS`` serve the same page (:mod:`benchmarks.content`) and the stream of its changes at ``/stream``. ``SIGNED_IN``
serve the page of signed-in people (:mod:`benchmarks.members`) at ``/board`` after ``/sign-in/NAME``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import ASGIApp

__all__ = ["SIGNED_IN", "VARIANTS", "Variant"]


class Variant(Protocol):
    """A server: an ASGI application, or a bare protocol."""

    app: ASGIApp | None
    protocol: Callable[[], asyncio.Protocol] | None
    commands: dict[str, Callable[..., Any]]

    def emit(self, number: int) -> None:
        """Make a change, in the event loop."""


VARIANTS = {
    "floor": "benchmarks.variants.bare:Floor",
    "asgi": "benchmarks.variants.bare:AsgiFanOut",
    "reactive": "benchmarks.variants.reactive:Reactive",
    "reactive-origin": "benchmarks.variants.reactive:ReactiveOrigin",
    "reactive-engine": "benchmarks.variants.reactive:ReactiveEngine",
    "reactive-gzip": "benchmarks.variants.reactive:ReactiveGzip",
    "reactive-gzip-each": "benchmarks.variants.reactive:ReactiveGzipEach",
    "reactive-sql": "benchmarks.variants.reactive:ReactiveQuery",
    "starlette": "benchmarks.variants.queues:StreamingBytes",
    "sse": "benchmarks.variants.queues:SseBytes",
    "sse-encoded": "benchmarks.variants.queues:SseEncoded",
    "sse-middleware": "benchmarks.variants.queues:SseMiddleware",
    "per-viewer": "benchmarks.variants.queues:PerViewerRender",
    "per-viewer-sql": "benchmarks.variants.queues:PerViewerQuery",
    "datastar": "benchmarks.variants.queues:Datastar",
    "fastapi": "benchmarks.variants.fastapi_sse:FastApi",
    "django": "benchmarks.variants.django_sse:Django",
}
SIGNED_IN = {
    "private": "benchmarks.variants.pages:Private",
    "private-starlette": "benchmarks.variants.pages:PrivateStarlette",
    "share": "benchmarks.variants.pages:Share",
    "share-async": "benchmarks.variants.pages:ShareAsync",
    "shared": "benchmarks.variants.pages:Shared",
    "rows": "benchmarks.variants.pages:Rows",
    "sse-template": "benchmarks.variants.own_streams:PartialTemplate",
    "sse-fragments": "benchmarks.variants.own_streams:Fragments",
    "pyview": "benchmarks.variants.pyview_live:PyViewBoard",
}
"""Where each variant is; modules are imported by name, for each has its own dependencies."""
