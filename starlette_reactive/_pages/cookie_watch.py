"""Which streams were opened with cookies that their browser no longer has.

A stream goes on with the cookies that it was opened with. Where an answer to another request of the same browser
changes them, the browser has to connect again before the stream's next update. The middleware reports such answers
here, and they reach the streams of all processes: through the engine, as events of a scope of their own.

The browser may connect before the answer has reached it, over another connection. It is then refused for a moment, a
few times at most, because a browser may also refuse a cookie.
"""

from __future__ import annotations

import contextvars
import functools
import hashlib
import math
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from .._bus.hub import Hub
from .._bus.subscription import Subscriber, Subscription
from .._core.events import RESERVED, ChangeEvent
from .._core.loops import spawn
from .._core.paths import ALL
from .._streams.group import Group
from .._streams.viewer import Viewer

__all__ = ["CookieWatch", "Watched", "digest_of"]

SCOPE = RESERVED + "cookies"
_RETRIES = 6  # of a tab that comes back with cookies that its browser should no longer have
_TAB_COUNT = 1_000  # of one browser whose retries are counted
_FIRST_PAUSE = 0.3  # seconds, doubled with each retry: nineteen in all
_KEPT_SECONDS, _KEPT_COUNT = 60.0, 10_000  # of cookies that are out of date: answers do not take longer
_REPORT = re.compile("([^-]+)-([^-]+)-([^-]+)-([0-9]{0,9})")
_SLACK = 1.0  # seconds for what a time loses between two processes


def digest_of(cookies: str) -> str:
    """Return what stands for the cookies of a request where they must not be revealed."""
    return hashlib.sha256(cookies.encode("latin-1")).hexdigest()[:32]


@dataclass(eq=False, slots=True)
class Watched:
    """An open stream.

    Args:
        session: The name of its browser's session.
        cookies: The digest of the cookies that its browser would send now, as far as the stream knows.
        tab: The mark of its page. Empty if it has none.
        outdate: Called when the browser has other cookies, with the monotonic time since when updates with older ones
            have to be repeated: infinity if none have to, ``None`` if that is not known. It is called in any thread,
            and must not raise or block.
    """

    session: str
    cookies: str
    tab: str = ""
    outdate: Callable[[float | None], object] = lambda _: None


@dataclass(slots=True)
class _Outdated:
    since: float
    retries: dict[str, int]  # by tab


class CookieWatch:
    """The streams of one Reactive object, by their browsers' sessions. Thread-safe, except for :meth:`listen`.

    Args:
        hub: The bus, whose engine connects the processes.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._process = secrets.token_hex(8)
        self._streams: dict[str, dict[Watched, None]] = {}
        self._outdated: OrderedDict[tuple[str, str], _Outdated] = OrderedDict()
        self._subscription: Subscription | None = None

    # Streams

    def add(self, stream: Watched) -> None:
        """Watch a stream, whose cookies may have been changed since its request was read."""
        with self._lock:
            self._streams.setdefault(stream.session, {})[stream] = None
            outdated = self._find(stream.session, stream.cookies, stream.tab)
            if outdated is not None:
                self._count_retry(outdated, stream.tab)
        if outdated is not None:
            stream.outdate(outdated.since)

    def joining(self, stream: Watched, *, alone: bool) -> Callable[[Group, Viewer], Callable[[], object]]:
        """Return what watches a stream from when its viewer joins a group.

        Args:
            stream: The stream.
            alone: Whether it begins again at once, while others of its group go on.
        """

        def join(group: Group, viewer: Viewer) -> Callable[[], object]:
            stream.outdate = functools.partial(group.restart_viewer, viewer) if alone else group.outdate
            self.add(stream)
            return functools.partial(self.remove, stream)

        return join

    def remove(self, stream: Watched) -> None:
        """Watch a stream no longer."""
        with self._lock:
            streams = self._streams.get(stream.session, {})
            streams.pop(stream, None)
            if not streams:
                self._streams.pop(stream.session, None)

    def count(self, session: str) -> int:
        """Return how many streams of a session are open."""
        return len(self._streams.get(session, ()))

    def _find(self, session: str, cookies: str, tab: str) -> _Outdated | None:
        found = self._outdated.get((session, cookies))
        if found is None or time.monotonic() - found.since >= _KEPT_SECONDS:
            return None
        return found if found.retries.get(tab, 0) < _RETRIES else None

    def _count_retry(self, outdated: _Outdated, tab: str) -> int:
        """Count that a tab comes back, and return how often it has come back before."""
        retries = outdated.retries
        count = retries.pop(tab, 0)
        retries[tab] = count + 1
        if len(retries) > _TAB_COUNT:
            del retries[next(iter(retries))]
        return count

    def is_outdated(self, stream: Watched) -> bool:
        """Return whether the browser of a stream has other cookies, as far as is known."""
        with self._lock:
            return self._find(stream.session, stream.cookies, stream.tab) is not None

    def pause_for(self, session: str, cookies: str, tab: str) -> float | None:
        """Return how many seconds a browser should wait whose request still has cookies that are out of date.

        ``None`` means that its cookies count.
        """
        with self._lock:
            outdated = self._find(session, cookies, tab)
            return None if outdated is None else _FIRST_PAUSE * 2.0 ** self._count_retry(outdated, tab)

    # Changes

    def report(self, session: str, before: str, after: str, began: float, own: Watched | None = None) -> None:
        """Record that an answer has changed the cookies of a browser.

        Args:
            session: The name of its session.
            before: The digest of the cookies of the request.
            after: The digest of what the browser has now.
            began: The monotonic time since when updates have to be repeated: when the request began, or infinity.
            own: The stream that the answer is for, which knows.
        """
        self._outdate(session, before, after, began, own)
        if self._hub.link is not None:
            age = "" if began == math.inf else math.ceil(time.monotonic() - began)
            event = ChangeEvent(SCOPE, {f"{session}-{before}-{after}-{age}"}, self._process)
            with self._hub.failures.logged("telling other processes that the cookies of a browser have changed"):
                self._hub.emitter.emit_sync(event)

    def _outdate(self, session: str, before: str, after: str, began: float, own: Watched | None = None) -> None:
        with self._lock:
            self._outdated.pop((session, after), None)
            known, now = self._outdated.pop((session, before), None), time.monotonic()
            # A browser may refuse what each answer sets.
            retries = {} if known is None or now - known.since >= _KEPT_SECONDS else known.retries
            self._outdated[session, before] = _Outdated(now, retries)
            while len(self._outdated) > _KEPT_COUNT:
                self._outdated.popitem(last=False)
            streams = [each for each in self._streams.get(session, ()) if each is not own and each.cookies != after]
        for stream in streams:
            stream.outdate(began)

    # Other processes

    async def listen(self) -> None:
        """Receive what other processes report, from now on and until the bus is closed."""
        if self._hub.link is None or (self._subscription is not None and not self._subscription.closed):
            return
        subscription = self._subscription = self._hub.subscribe(Subscriber(SCOPE, origin=self._process), None)
        spawn(lambda: self._receive(subscription), name="starlette-reactive cookies", context=contextvars.Context())
        await self._hub.ready(SCOPE)

    async def _receive(self, subscription: Subscription) -> None:
        with subscription:  # also if the loop ends before the bus
            async for event in subscription:
                for path in event.changed_paths:
                    self._take(path)

    def _take(self, path: str) -> None:
        if path == ALL:  # reports may have been lost
            with self._lock:
                streams = [stream for streams in self._streams.values() for stream in streams]
            for stream in streams:
                stream.outdate(None)
            return
        if report := _REPORT.fullmatch(path):
            session, before, after, age = report.groups()
            began = time.monotonic() - int(age) - _SLACK if age else math.inf
            self._outdate(session, before, after, began)
