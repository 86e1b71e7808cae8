"""Updates: running a page's endpoint again, as a request through the whole application, to render its blocks.

So dependencies open and close for each update, middleware runs, and authorisation is checked again; between updates
nothing is held open. The blocks are rendered where the endpoint returns, while its dependencies are still open. The
application's answer decides the rest: a redirect, 401, 403 or 404 ends the streams, because the page no longer exists
for the viewer. The blocks are used only if the answer is the one that the update's own page made, which carries a token
of the update; middleware that replaces it has refused the viewer. Any other answer is a failure, which is tried again.
"""

from __future__ import annotations

import contextvars
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import anyio
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from .._core.blocks import BlockRef
from .._core.counts import Counts
from .._core.emit_filters import emit_filter
from .._core.errors import ReactiveError, StreamEndedError
from .._core.loops import Signal
from .._streams.rendering import Rendered
from .changes import ChangesOfUpdate
from .cookies import set_cookies_of
from .places import Claim, Places
from .share import Key
from .update_state import UpdateState, raise_update_error
from .varying import Varying

__all__ = ["CANCEL_GRACE", "REFUSALS", "UPDATE", "Update", "UpdateRunner", "update_of", "update_scope"]

CANCEL_GRACE = 1.0
"""Seconds that a cancelled update has to end."""

UPDATE = "starlette_reactive.update"
"""The key of the :class:`Update` in the ASGI scope of its request."""
# RFC 9110, section 7.6.1, and others of their kind. What the stream's Connection header names is carried, as the page's
# own request had it too: a viewer who names a header that a proxy adds must not remove it from updates.
_HOP_BY_HOP = {
    b"connection",
    b"http2-settings",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"trailers",
    b"transfer-encoding",
    b"upgrade",
}
# The request for the page itself has none of these. htmx 4 sends the tab's mark, the origin, with the stream's request.
_OF_STREAMS = {b"datastar-request", b"last-event-id", b"reactive-origin"}
_NOT_CARRIED = frozenset({*_HOP_BY_HOP, *_OF_STREAMS, b"accept", b"expect", b"host", b"range"})
_NOT_CARRIED_PREFIXES = (b"content-", b"hx-", b"if-")
REFUSALS = frozenset({401, 403, 404, *range(300, 400)})
"""The statuses that say that the page does not exist for the viewer."""


TOKEN_HEADER = b"reactive-update"
"""The header by which an answer shows that the update's own page made it."""


@dataclass(slots=True)
class Update:
    """One update of a page.

    Args:
        page: The key of the page. No other page answers the update.
        blocks: The blocks to render. They are read when the endpoint has returned.
        token: What the page's own answer carries. It is unique to the update.
        user: The id of the user that the request belongs to.
        key: The key of the viewer, if the page is shared by key.
        request: The page's own request, if the page is shared by key.
        varying: The values that vary by nature. ``None`` if nothing is compared.
        rendered: The result.
        set_cookies: The ``Set-Cookie`` headers of the answer.
        has_begun: Whether the application was called, so it may have read what changes later.
    """

    page: str
    blocks: list[BlockRef]
    token: bytes = field(default_factory=lambda: secrets.token_hex(16).encode())
    user: str | None = None
    key: Key | None = None
    request: Request | None = None
    varying: Varying | None = None
    rendered: Rendered | None = None
    set_cookies: list[str] = field(default_factory=list)
    has_begun: bool = False

    def response(self, rendered: Rendered) -> Response:
        """Return the answer of the update's page, and keep what it rendered."""
        self.rendered = rendered
        response = Response(status_code=204)
        response.raw_headers.append((TOKEN_HEADER, self.token))
        return response


def update_of(connection: HTTPConnection) -> Update | None:
    """Return the update that a request is; ``None`` for a browser's own request."""
    found = connection.scope.get(UPDATE)
    return found if isinstance(found, Update) else None


def update_scope(
    stream_scope: Scope,
    *,
    raw_path: str,
    query: str,
    root_path: str,
    host: str,
    scheme: str,
    shared: bool,
    state_names: Iterable[str] = (),
) -> Scope:
    """Return the ASGI scope of a page's updates: a GET request for the same path and query.

    Args:
        stream_scope: The ASGI scope of the stream's request. Its server is kept and, unless the page is shared, its
            client and headers.
        raw_path: The page's path, percent-encoded.
        query: The page's raw query.
        root_path: The page's root path.
        host: The page's host, as in its ``Host`` header.
        scheme: The page's scheme.
        shared: Whether the run belongs to no viewer.
        state_names: The lifespan state to keep. Nothing else of the state is kept, because middleware stores there who
            the viewer is, and must determine that again for each update.
    """
    carried = {name: stream_scope[name] for name in ("asgi", "http_version", "server") if name in stream_scope}
    if not shared and "client" in stream_scope:
        carried["client"] = stream_scope["client"]
    own_headers = [] if shared else [pair for pair in stream_scope["headers"] if _is_carried(pair[0])]
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
        "state": UpdateState(stream_scope.get("state", {}), state_names),
        "extensions": {},
    }


def _is_carried(name: bytes) -> bool:
    return name not in _NOT_CARRIED and not name.startswith(_NOT_CARRIED_PREFIXES)


@dataclass(frozen=True, slots=True)
class UpdateRunner:
    """Runs the updates of one stream, or of those that share their renders.

    Args:
        app: The application: what the server calls.
        asgi_scope: The ASGI scope of the updates, from :func:`update_scope`.
        claim: What the updates count for.
        timeout: Seconds that an update may run, and seconds that it may wait for a place before.
        counts: Counts updates that wait or time out.
        places: The places of the event loop.
    """

    app: ASGIApp
    asgi_scope: Mapping[str, Any]
    claim: Claim
    timeout: float
    counts: Counts
    places: Places

    def update_of(self, blocks: Iterable[BlockRef]) -> Update:
        """Return an update of blocks, to be run."""
        return Update(self.claim.page, list(blocks))

    async def run(self, update: Update, asgi_scope: Mapping[str, Any] | None = None) -> Rendered:
        """Run the page's request through the application, and return what the page rendered.

        Args:
            update: The update. Cookies that the answer sets are added to it, whatever the answer is.
            asgi_scope: The ASGI scope of the update, if it is another one than that of the runner.

        Raises:
            StreamEndedError: The application answered that the page does not exist, or no longer exists, for this
                viewer.
            ReactiveError: The application answered without running the page, failed after it, or took too long.
        """
        if not self.places.take_now(self.claim):
            await self._wait_for_place()
        answer = await self._exchange(update, self.asgi_scope if asgi_scope is None else asgi_scope)
        update.set_cookies = answer.set_cookies
        # The answer decides, not what was rendered: middleware may refuse the viewer after the endpoint has run.
        if answer.status in REFUSALS:
            raise StreamEndedError(f"the page {self._path!r} answered {answer.status}")
        if update.rendered is not None and answer.token == update.token and 200 <= answer.status < 300:
            return update.rendered
        what = f"the application answered {answer.status}"
        if update.rendered is not None and answer.token is None:
            what += ", which replaced the answer of the page"
        raise ReactiveError(f"the page {update.page} was not rendered for {self._path!r}: {what}")

    @property
    def _path(self) -> str:
        return str(self.asgi_scope["path"])

    async def _wait_for_place(self) -> None:
        with self.counts.waiting():
            if await self.places.take(self.claim, self.timeout):
                return
        raise self._timed_out(
            f"no place was free for an update of the page {self.claim.page} within {self.timeout:g} s: other updates "
            "of this page, user or address take too long; find out what they wait for"
        )

    def _timed_out(self, message: str) -> ReactiveError:
        self.counts.time_out()
        return ReactiveError(message)

    async def _exchange(self, update: Update, replayed: Mapping[str, Any]) -> _Exchange:
        """Run the request in a task of its own, as a server does, so that context variables that it sets end with it.

        As with a task group, which costs twice as much, the task has ended when this function returns or raises, and
        cancelling this function cancels the task. But a task that cannot be cancelled, such as a worker thread that
        hangs, is left behind after :data:`CANCEL_GRACE`. It holds its place until it ends.
        """
        asgi_scope = {**replayed, "state": replayed["state"].copy(), UPDATE: update}
        exchange = _Exchange()
        failure: Exception | None = None
        loop, deadlines = self.places.loop, self.places.deadlines
        cancel_scope, ended, is_complete = anyio.CancelScope(), Signal(loop), False

        async def run() -> None:
            nonlocal failure, is_complete
            try:
                with cancel_scope:
                    update.has_begun = True
                    await self.app(asgi_scope, exchange.receive, exchange.send)
                    is_complete = True
            except Exception as error:  # noqa: BLE001 - raised below, in the waiting task
                failure = error
            finally:
                self.places.give_back(self.claim)
                ended.set()

        context = contextvars.copy_context()
        context.run(emit_filter.set, ChangesOfUpdate(self.claim.page))
        loop.spawn(run, name=f"starlette-reactive update {self._path}", context=context)

        def expire() -> None:
            cancel_scope.cancel()
            deadlines.watch(CANCEL_GRACE, ended.set)

        deadline = deadlines.watch(self.timeout, expire)
        try:
            await ended.wait()
        except anyio.get_cancelled_exc_class():
            cancel_scope.cancel()
            with anyio.move_on_after(CANCEL_GRACE, shield=True):
                await ended.wait()
            raise
        finally:
            deadlines.forget(deadline)
        if cancel_scope.cancel_called:
            raise self._timed_out(
                f"the page {self.claim.page} was not rendered for {self._path!r} within {self.timeout:g} s: set a "
                "timeout on what its endpoint, dependencies or middleware wait for, or raise update_timeout="
            )
        if failure is not None:
            raise_update_error(failure, self.claim.page)
        if not is_complete:
            raise ReactiveError(f"the update of the page {self._path!r} was cancelled by the application")
        return exchange


class _Exchange:
    """The server's side of one request: no body, no disconnect before the response is complete, and the answer."""

    __slots__ = ("_complete", "_disconnect", "_requested", "set_cookies", "status", "token")

    def __init__(self) -> None:
        self.status = 0
        self.set_cookies: list[str] = []
        self.token: bytes | None = None
        self._requested = False
        self._complete = False
        self._disconnect: anyio.Event | None = None  # only for an application that listens for it

    async def receive(self) -> Message:
        if not self._requested:
            self._requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self._complete:
            self._disconnect = self._disconnect or anyio.Event()
            await self._disconnect.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.set_cookies = set_cookies_of(message)
            self.token = next((value for name, value in message.get("headers", ()) if name == TOKEN_HEADER), None)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            self._complete = True
            if self._disconnect is not None:
                self._disconnect.set()
