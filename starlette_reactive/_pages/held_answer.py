"""The answer to a stream's request, which the middleware holds back until the application has admitted the viewer.

Only so can it carry the cookies that the application sets meanwhile: those that other middleware adds to it, and those
of the run that admits the viewer.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from starlette.types import Message, Scope

from .cookie_watch import CookieWatch, Watched
from .cookies import set_cookies_of

__all__ = ["HeldAnswer", "held_answer", "hold_answer"]

_HELD = "starlette_reactive.held_answers"  # in the ASGI scope of a browser's request
_PATIENCE = 2.0  # seconds; middleware that compresses everything holds an answer back until its first bytes


class HeldAnswer:
    """The start of an answer that may be held back."""

    def __init__(self) -> None:
        self.stream: Watched | None = None
        """The stream that the answer is for, if cookies matter to it."""
        self.waits: bool = False
        """Whether the answer is held back until its first bytes."""
        self.has_reached_streams: bool = False
        """Whether the request has passed what guards the route of the streams."""
        self.end_turn: Callable[[], object] = lambda: None
        """Lets the browser's next stream connect."""
        self.kept: list[str] = []
        """The ``Set-Cookie`` headers of earlier updates, to send with it."""
        self.keep: Callable[[list[str]], object] = lambda _: None
        """Keeps ``Set-Cookie`` headers that it could not carry."""
        self._more: list[str] = []
        self._has_begun = False
        self._start: Message | None = None
        self._started = anyio.Event()

    async def set_cookies(self) -> list[str]:
        """Wait for the answer to begin, and return the ``Set-Cookie`` headers that it has by then."""
        with anyio.move_on_after(_PATIENCE):
            await self._started.wait()
        return [] if self._start is None else set_cookies_of(self._start)

    def hold(self, start: Message) -> None:
        """Hold back the message that starts the answer."""
        self._start = start
        self._started.set()

    def add(self, set_cookies: list[str]) -> None:
        """Send further ``Set-Cookie`` headers with it, or keep them if it is too late."""
        if self._has_begun:
            self.keep(set_cookies)
        else:
            self._more += set_cookies

    def release(self) -> Message | None:
        """Return the message that was held back with all cookies, once."""
        start, self._start = self._start, None
        if start is None:
            return None
        self._has_begun = True
        headers = list(start.get("headers", ()))
        if self.kept:  # no cache may give them to somebody else
            headers = [pair for pair in headers if pair[0].lower() != b"cache-control"]
            headers.append((b"cache-control", b"no-store"))
        return {**start, "headers": [*_headers(self.kept), *headers, *_headers(self._more)]}

    def end(self) -> None:
        """Keep the cookies of an answer that was not sent: its client has gone, or the application has failed."""
        if not self._has_begun:
            self._has_begun = True
            unsent = [*self.kept, *([] if self._start is None else set_cookies_of(self._start)), *self._more]
            if unsent:
                self.keep(unsent)


def _headers(set_cookies: list[str]) -> list[tuple[bytes, bytes]]:
    return [(b"set-cookie", cookie.encode("latin-1")) for cookie in set_cookies]


def hold_answer(asgi_scope: Scope, watch: CookieWatch) -> HeldAnswer:
    """Return a new answer to a request, for the middleware of the ``Reactive`` object that a watch belongs to."""
    held = HeldAnswer()
    asgi_scope[_HELD] = {**asgi_scope.get(_HELD, {}), watch: held}
    return held


def held_answer(asgi_scope: Scope, watch: CookieWatch) -> HeldAnswer | None:
    """Return the answer to a request, if the middleware is there to hold it back."""
    answers: dict[CookieWatch, HeldAnswer] = asgi_scope.get(_HELD, {})
    return answers.get(watch)
