"""ReactiveMiddleware: keeps the cookies of open streams current."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._streams.event_ids import restart_frame
from .._streams.response import EventStream
from .cookie_watch import digest_of
from .cookies import cookie_header, cookies_after, set_cookies_of, with_cookie_header
from .held_answer import held_answer, hold_answer
from .turns import Turn, turns_of_loop
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
    changes them, the browser connects again before the stream's next update, so that updates are for the person who
    is signed in now, and a viewer who has signed out receives nothing more. Cookies that the application sets while a
    stream connects reach the browser with the stream's own answer. If something refuses a stream before it reaches its
    route, such as middleware that redirects to a sign-in page, the stream ends for good.

    A browser is recognised by the cookie of the ``Reactive`` object, or by the mark of its page.

    Args:
        app: The application.
        reactive: The ``Reactive`` object whose streams are kept current.
    """

    def __init__(self, app: ASGIApp, reactive: _HasSite) -> None:
        self.app = app
        self._site = reactive._site  # noqa: SLF001 - the door for the inner rooms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at the cookies of its answer."""
        if not self._concerns(scope):
            await self.app(scope, receive, send)
            return
        stream = self._site.stream_of(HTTPConnection(scope)) if scope["method"] == "GET" else None
        if stream is None:
            self._site.note_beginning(scope)
            answer = _Answer(self._site, scope, send)
            try:
                await self.app(scope, answer.listening(receive), answer.send)
            finally:
                answer.end()
            return
        client, closing, tab = stream
        session = self._site.sessions.name_for(HTTPConnection(scope))
        turn = None if session is None else await turns_of_loop().take(session)
        stream_answer = _StreamAnswer(self._site, scope, send, closing, turn)
        try:
            pause = None if stream_answer.brings_cookies or session is None else self._pause(session, scope, tab)
            if pause is not None and client.reconnects_after_end:
                await EventStream([restart_frame(pause)])(scope, receive, send)
            else:
                await self.app(scope, stream_answer.listening(receive), stream_answer.send)
        finally:
            stream_answer.end()
            if turn is not None:
                turn.end()

    def _concerns(self, scope: Scope) -> bool:
        """Return whether a request is a browser's, and no middleware for the same object is around this one."""
        if scope["type"] != "http" or UPDATE in scope:
            return False
        return held_answer(scope, self._site.cookies.watch) is None

    def _pause(self, session: str, scope: Scope, tab: str) -> float | None:
        return self._site.cookies.watch.pause_for(session, digest_of(cookie_header(scope)), tab)


class _Answer:
    """The answer to a request of a browser."""

    def __init__(self, site: Site, scope: Scope, send: Send) -> None:
        self._site = site
        self._scope = scope
        self._send = send
        self._began = time.monotonic()
        self._headers = scope["headers"]  # those that the browser has sent
        self._held = hold_answer(scope, site.cookies.watch)
        self._held.keep = self._keep
        if site.cookies.has_kept:
            self._take_kept()

    @property
    def brings_cookies(self) -> bool:
        """Whether the answer has cookies for the browser that an update has set."""
        return bool(self._held.kept)

    def _take_kept(self) -> None:
        """Give the request the cookies that an update has set meanwhile, and its answer too."""
        session, cookies = self._session(), cookie_header(self._scope)
        kept = [] if session is None else self._site.cookies.take_kept(session, cookies)
        if kept:
            after = cookies_after(cookies, kept, path=self._scope["path"])
            self._scope["headers"] = with_cookie_header(self._scope, after)["headers"]
            self._held.kept = kept

    def _keep(self, set_cookies: list[str]) -> None:
        """Keep cookies that the browser does not get with this answer."""
        session = self._session()
        if session is not None:
            self._site.cookies.keep(session, cookie_header({"headers": self._headers}), set_cookies)

    def listening(self, receive: Receive) -> Receive:
        """Return a function that receives messages, and notices that the client has gone."""

        async def listen() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.end()
            return message

        return listen

    def end(self) -> None:
        """Keep the cookies of an answer that nobody gets any more."""
        self._held.end()

    def _session(self) -> str | None:
        return self._site.sessions.name_for(HTTPConnection(self._scope))

    async def send(self, message: Message) -> None:
        """Send a message, unless it starts the answer to a stream: that is held back until the stream begins."""
        is_start = message["type"] == "http.response.start"
        if is_start:
            self._held.hold(message)
            if self._held.waits:
                return
        start = self._held.release()
        if start is not None:
            self._report(start)
            self._held.end_turn()
            await self._send(start)
        if not is_start:
            await self._send(message)

    def _report(self, start: Message) -> None:
        """Tell the streams of the browser what its cookies are now."""
        set_cookies = set_cookies_of(start, self._site.cookies.own)
        if not set_cookies:
            return
        before = cookie_header({"headers": self._headers})
        after = cookies_after(before, set_cookies, path=self._scope["path"])
        session = None if after == before else self._session()
        if session is None:
            return
        watch = self._site.cookies.watch
        own = self._held.stream
        # Streams whose answers set cookies would otherwise restart each other forever.
        since = self._began if own is None else math.inf
        watch.report(session, digest_of(before), digest_of(after), since, own)


class _StreamAnswer(_Answer):
    """The answer to the request of a stream.

    Args:
        closing: What keeps the browser from coming back.
        turn: Lets the browser's next stream connect, once the cookies of this stream are known.
    """

    def __init__(self, site: Site, scope: Scope, send: Send, closing: bytes, turn: Turn | None) -> None:
        super().__init__(site, scope, send)
        self._closing = closing
        if turn is not None:
            self._held.end_turn = turn.end
        self._is_refused = False

    async def send(self, message: Message) -> None:
        """Send a message. A refusal on the way to the route of the streams is replaced by what ends the stream."""
        if self._is_refused:
            return
        if message["type"] == "http.response.start" and self._refuses(message):
            self._is_refused = True
            cookies = [pair for pair in message.get("headers", ()) if pair[0].lower() == b"set-cookie"]
            await super().send({"type": message["type"], "status": 200, "headers": [*_STREAM_HEADERS, *cookies]})
            await super().send({"type": "http.response.body", "body": self._closing})
        else:
            await super().send(message)

    def _refuses(self, start: Message) -> bool:
        status = start["status"]
        return not self._held.has_reached_streams and (status in REFUSALS or 200 <= status < 300)
