"""Running a page's endpoint again, as a request through the whole application, to render its blocks anew.

So dependencies open and close for each update, middleware runs, and authorisation is judged afresh; between updates
nothing is held open. The blocks are rendered where the endpoint returns, while its dependencies are still there. What
the application answers tells the rest: a redirect, 401, 403 or 404 ends the streams, for there is nothing to see here
any more; any other answer without rendered blocks is a failure, which is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import anyio
from anyio.lowlevel import RunVar
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Scope

from .._core.blocks import BlockRef
from .._core.errors import ReactiveError, StreamEndedError
from .._streams.rendering import Rendered

__all__ = ["MAX_UPDATES", "Replay", "replay_of", "replayed_scope", "run_again"]

MAX_UPDATES = 16
"""How many updates run at once in an event loop. Others wait, so that a change cannot crowd out ordinary requests."""

_KEY = "starlette_reactive._pages.replay"
_NOT_CARRIED = frozenset(
    {
        b"accept",
        b"connection",
        b"content-length",
        b"content-type",
        b"datastar-request",
        b"host",
        b"last-event-id",
        b"range",
        b"transfer-encoding",
    }
)
_NOT_CARRIED_PREFIXES = (b"hx-", b"if-")
_GONE = frozenset({401, 403, 404, *range(300, 400)})


@dataclass(slots=True)
class Replay:
    """Which blocks an update is to render, and what came of it."""

    blocks: list[BlockRef]
    rendered: Rendered | None = None


def replay_of(connection: HTTPConnection) -> Replay | None:
    """Return the update that a request is; ``None`` for a browser's own request."""
    found = connection.scope.get(_KEY)
    return found if isinstance(found, Replay) else None


def replayed_scope(
    stream: Scope,
    *,
    raw_path: str,
    query: str,
    root_path: str,
    host: str,
    scheme: str,
    shared: bool,
    state_names: Iterable[str] = (),
) -> Scope:
    """Return the ASGI scope of a GET request for a page again.

    Args:
        stream: The scope of the stream's request; its server is taken over and, unless the page is shared, its client
            and headers.
        raw_path: The page's path, percent-encoded.
        query: The page's raw query.
        root_path: The page's root path.
        host: The page's host, as in its ``Host`` header.
        scheme: The page's scheme.
        shared: Whether the run belongs to no viewer.
        state_names: What a lifespan put into the state. Nothing else of the state is taken over: middleware puts who
            the viewer is there, and is to find that out afresh for each update.
    """
    carried = {name: stream[name] for name in ("asgi", "http_version", "server") if name in stream}
    if not shared and "client" in stream:
        carried["client"] = stream["client"]
    own_headers = [] if shared else [pair for pair in stream["headers"] if _is_carried(pair[0])]
    state = stream.get("state", {})
    return {
        **carried,
        "type": "http",
        "method": "GET",
        "scheme": scheme,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": root_path,
        "headers": [(b"host", host.encode("latin-1")), *own_headers, (b"accept", b"text/html")],
        "state": {name: state[name] for name in state_names if name in state},
        "extensions": {},
    }


def _is_carried(name: bytes) -> bool:
    return name not in _NOT_CARRIED and not name.startswith(_NOT_CARRIED_PREFIXES)


async def run_again(app: ASGIApp, scope: Mapping[str, Any], blocks: Iterable[BlockRef]) -> Rendered:
    """Run a page's request through the application and return its blocks.

    Raises:
        StreamEndedError: The application answered that the page is not, or no longer, there for this viewer.
        ReactiveError: The application answered without running the page, or failed after it.
    """
    update = Replay(list(blocks))
    status = await _run_in_task(app, {**scope, "state": dict(scope["state"]), _KEY: update})
    # The answer counts, not what was rendered: middleware may judge the viewer after the endpoint has run.
    if status in _GONE:
        raise StreamEndedError(f"the page {scope['path']!r} answered {status}")
    if update.rendered is not None and 200 <= status < 300:
        return update.rendered
    raise ReactiveError(f"the page {scope['path']!r} was not rendered again: the application answered {status}")


_limiters: RunVar[anyio.CapacityLimiter] = RunVar("starlette_reactive_updates")


def _limiter() -> anyio.CapacityLimiter:
    """Return what bounds the updates that run at once: fewer than there are worker threads for plain endpoints."""
    limiter = _limiters.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(MAX_UPDATES)
        _limiters.set(limiter)
    return limiter


async def _run_in_task(app: ASGIApp, scope: Scope) -> int:
    """Run a request in a task of its own, as a server does: the context variables that it sets end with it."""
    outcome: list[int | Exception] = []

    async def run() -> None:
        try:
            outcome.append(await _run(app, scope))
        except Exception as error:  # noqa: BLE001 - raised below, without the task group's wrapping
            outcome.append(error)

    async with _limiter(), anyio.create_task_group() as tasks:
        tasks.start_soon(run)
    (result,) = outcome
    if isinstance(result, Exception):
        raise result
    return result


async def _run(app: ASGIApp, scope: Scope) -> int:
    status = 0
    complete = anyio.Event()
    requested = False

    async def receive() -> Message:
        nonlocal requested
        if not requested:
            requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            complete.set()

    await app(scope, receive, send)
    return status
