"""Endpoints that return a context builder: the stream of a template's blocks, without a page of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import Response

from .._bus.bus import ReactiveBus
from .._clients import CLOSE_EVENT
from .._streams.live_response import LiveStream
from .._streams.stream import reactive_stream
from .browser_session import BrowserSession, name_of_session
from .cookie_watch import CookieWatch, Watched, digest_of
from .cookies import cookie_header
from .endpoints import Call
from .held_answer import held_answer
from .scopes import format_scope

__all__ = ["stream_responder"]


def stream_responder(
    bus: ReactiveBus,
    template_name: str,
    scope_format: str,
    sessions: BrowserSession,
    watch: CookieWatch,
    options: Mapping[str, Any],
) -> Callable[[Call], Awaitable[Response]]:
    """Return what answers a call with the stream of a template's blocks.

    Args:
        bus: The event bus.
        template_name: The template.
        scope_format: The scope, with the endpoint's parameters in braces.
        sessions: Recognises the mark of a request.
        watch: Notices that a browser has other cookies.
        options: Further arguments of :func:`reactive_stream`.
    """

    async def respond(call: Call) -> Response:
        builder = await call.run()
        if isinstance(builder, Response):
            return builder
        scope = format_scope(scope_format, call.values, what="the stream", template_name=template_name)
        defaults = {
            "scope": scope,
            "context_builder": builder,
            "close_event": CLOSE_EVENT,
            "origin": sessions.origin(call.request),
        }
        response = reactive_stream(bus, **{**defaults, **options})
        session = sessions.of(call.request)
        if session is not None and isinstance(response, LiveStream):
            name = name_of_session(session)
            stream = Watched(name, digest_of(cookie_header(call.request.scope)))
            if (held := held_answer(call.request.scope, watch)) is not None:
                held.stream = stream
            await watch.listen()
            response.belong_to(name, watch.joining(stream, alone=True))
        return response

    return respond
