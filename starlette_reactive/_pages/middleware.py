"""ReactiveMiddleware: tells open streams of the cookies that the application sets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .cookie_watch import Watched, digest_of
from .cookies import cookie_header, cookies_after, set_cookies_of, with_cookie_header
from .held_answer import HELD, HeldAnswer
from .update import REFUSALS, UPDATE

if TYPE_CHECKING:
    from .site import Site

__all__ = ["ReactiveMiddleware"]


_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class _HasSite(Protocol):
    _site: Site


class ReactiveMiddleware:
    """Keeps the cookies of open streams current. Add it last, so that it is the outermost middleware.

    A stream goes on with the cookies that it was opened with. If an answer to another request of the same browser
    changes them, the browser connects again before the stream's next update, so that updates are for whoever the viewer
    is now, and a viewer who has signed out receives nothing more. Cookies that the application sets while a stream
    connects reach the browser with the stream's own answer.

    A browser is recognised by the cookie of the ``Reactive`` object, or by the mark of its page.

    Args:
        app: The application.
        reactive: The ``Reactive`` object whose streams are told.
    """

    def __init__(self, app: ASGIApp, reactive: _HasSite) -> None:
        self.app = app
        self._site = reactive._site  # noqa: SLF001 - the door for the inner rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at the cookies of its answer."""
        if scope["type"] != "http" or UPDATE in scope:
            await self.app(scope, receive, send)
            return
        began, before = time.monotonic(), cookie_header(scope)
        held = scope[HELD] = HeldAnswer()
        held.more = self._take_kept(scope, before)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                held.hold(message)
                if held.stream is not None:
                    return
            start = held.release()
            if start is not None:
                self._report(scope, before, start, began, held.stream)
                await send(start)
            if message["type"] != "http.response.start":
                await send(message)

        await self.app(scope, receive, self._closing(scope, answer, held) or answer)

    def _take_kept(self, scope: Scope, cookies: str) -> list[str]:
        """Give a request the cookies that an update has set meanwhile, and return them for its answer."""
        session = self._session(scope) if self._site.cookies.has_kept else None
        kept = [] if session is None else self._site.cookies.take_kept(session, cookies)
        if kept:
            scope["headers"] = with_cookie_header(scope, cookies_after(cookies, kept, path=scope["path"]))["headers"]
        return kept

    def _report(self, scope: Scope, before: str, start: Message, began: float, stream: Watched | None) -> None:
        set_cookies = set_cookies_of(start, self._site.cookies.own)
        after = cookies_after(before, set_cookies, path=scope["path"]) if set_cookies else before
        session = None if after == before else self._session(scope)
        if session is not None:
            self._site.cookies.watch.report(session, digest_of(before), digest_of(after), began, stream)

    def _session(self, scope: Scope) -> str | None:
        return self._site.sessions.name_for(HTTPConnection(scope))

    def _closing(self, scope: Scope, answer: Send, held: HeldAnswer) -> Send | None:
        """Return what ends a stream for good whose request is refused before it reaches the route of the streams.

        ``None`` if the request is not for a stream. A browser would try again and again what is answered otherwise.
        """
        closing = self._site.closing_frames(HTTPConnection(scope))
        if closing is None:
            return None
        is_refused = False

        async def close(message: Message) -> None:
            nonlocal is_refused
            if is_refused:
                return
            is_refused = (
                message["type"] == "http.response.start"
                and not held.has_reached_streams
                and (message["status"] in REFUSALS or 200 <= message["status"] < 300)
            )
            if is_refused:
                cookies = [pair for pair in message.get("headers", ()) if pair[0].lower() == b"set-cookie"]
                await answer({"type": message["type"], "status": 200, "headers": [*_STREAM_HEADERS, *cookies]})
                await answer({"type": "http.response.body", "body": closing})
            else:
                await answer(message)

        return close
