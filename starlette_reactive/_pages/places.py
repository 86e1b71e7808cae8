"""Places: how many updates run at once, and how they are shared out.

Updates run in the event loop that answers ordinary requests, so their number is bounded. No page, user or address may
hold more than its share of the places, so updates that hang leave places to all others. Those that wait are served in
turns of pages: the pages with a waiting update take one place each, in a circle. They are served at the pace of the
event loop: updates that only compute would otherwise begin all at once, and requests would wait for all of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from anyio.lowlevel import RunVar

from .._core.loops import EventLoop, Signal, current_loop
from .deadlines import Deadlines

__all__ = ["MAX_UPDATES", "PAGE_SHARE", "USER_SHARE", "Claim", "Places", "places_of_loop"]

MAX_UPDATES = 16
"""How many updates run at once in an event loop. Others wait, so that a change cannot crowd out ordinary requests."""
PAGE_SHARE = 8
"""How many of them may be of one page, and how many of one address."""
USER_SHARE = 4
"""How many of them may be of one user."""


_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """What an update counts for.

    Args:
        page: The key of the page.
        user: The viewer's user id. ``None`` if the update belongs to no user.
        address: The viewer's address. ``None`` if the update belongs to nobody.
        for_others: Whether it serves a group. Those have a share of their own, which those of viewers cannot use up.
    """

    page: str
    user: str | None = None
    address: str | None = None
    for_others: bool = field(default=False, kw_only=True)

    queue: str = field(init=False)
    """What is served in turns with others."""
    shares: tuple[tuple[_Key, int], ...] = field(init=False)
    """What the update counts for, each with its limit."""

    def __post_init__(self) -> None:
        queue = f"{self.page} for others" if self.for_others else self.page
        page = (("page", queue), PAGE_SHARE)
        user = () if self.user is None else ((("user", self.user), USER_SHARE),)
        address = () if self.address is None else ((("address", self.address), PAGE_SHARE),)
        object.__setattr__(self, "queue", queue)
        object.__setattr__(self, "shares", (page, *user, *address))


@dataclass(eq=False, slots=True)
class _Waiting:
    claim: Claim
    called: Signal
    expired: bool = False


class Places:
    """The places of one event loop. Not thread-safe.

    An update whose page has used up its share waits in the queue of its page. One whose user or address has is set
    aside until that user or address gives a place back, so that it does not hold up those behind it.

    Args:
        total: How many there are.
    """

    def __init__(self, total: int = MAX_UPDATES) -> None:
        self.loop: EventLoop = current_loop()
        self.deadlines: Deadlines = Deadlines()
        self._total = total
        self._taken = 0
        self._is_granting = False
        self._held: dict[_Key, int] = {}
        self._queues: dict[str, deque[_Waiting]] = {}  # by page, the next to be served first
        self._set_aside: dict[_Key, deque[_Waiting]] = {}

    def take_now(self, claim: Claim) -> bool:
        """Take a place if one is free and nobody waits for it. Return whether it was."""
        if self._queues or self._taken >= self._total or self._full_share(claim) is not None:
            return False
        self._hold(claim)
        return True

    async def take(self, claim: Claim, timeout: float) -> bool:
        """Take a place as soon as one is free. Return ``False`` if none is free within ``timeout`` seconds."""
        waiting = _Waiting(claim, Signal(self.loop))
        self._queues.setdefault(claim.queue, deque()).append(waiting)
        self._grant()  # the others that wait may all have used up their shares
        deadline = self.deadlines.watch(timeout, lambda: self._expire(waiting))
        try:
            await waiting.called.wait()
        except BaseException:
            if not waiting.called.is_set:
                self._forget(waiting)
            elif not waiting.expired:
                self.give_back(claim)
            raise
        finally:
            self.deadlines.forget(deadline)
        return not waiting.expired

    def give_back(self, claim: Claim) -> None:
        """Give a place back."""
        self._taken -= 1
        for key, _ in claim.shares:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
        if self._queues or self._set_aside:
            self._call_back(claim)

    def _full_share(self, claim: Claim) -> _Key | None:
        for key, limit in claim.shares:
            if self._held.get(key, 0) >= limit:
                return key
        return None

    def _hold(self, claim: Claim) -> None:
        self._taken += 1
        for key, _ in claim.shares:
            self._held[key] = self._held.get(key, 0) + 1

    def _grant(self) -> None:
        if self._queues and self._taken < self._total and not self._is_granting:
            self._is_granting = True
            self.loop.pace.begin(self, self._grant_one)

    def _grant_one(self) -> None:
        self._is_granting = False
        waiting = self._next() if self._taken < self._total else None
        if waiting is None:
            return
        page = waiting.claim.queue
        if page in self._queues:
            self._queues[page] = self._queues.pop(page)  # its next turn comes after all others
        self._hold(waiting.claim)
        waiting.called.set()
        self._grant()

    def _next(self) -> _Waiting | None:
        for page in list(self._queues):
            while page in self._queues and self._held.get(("page", page), 0) < PAGE_SHARE:
                waiting = self._queues[page].popleft()
                if not self._queues[page]:
                    del self._queues[page]
                full = self._full_share(waiting.claim)
                if full is None:
                    return waiting
                self._set_aside.setdefault(full, deque()).append(waiting)
        return None

    def _call_back(self, claim: Claim) -> None:
        """Let those wait in their queues again who were set aside for what an update no longer holds."""
        for key, limit in claim.shares:
            set_aside = self._set_aside.get(key, ())
            for _ in range(min(len(set_aside), limit - self._held.get(key, 0))):
                waiting = self._set_aside[key].popleft()
                self._queues.setdefault(waiting.claim.queue, deque()).appendleft(waiting)
            if key in self._set_aside and not self._set_aside[key]:
                del self._set_aside[key]
        self._grant()

    def _expire(self, waiting: _Waiting) -> None:
        if not waiting.called.is_set:
            waiting.expired = True
            waiting.called.set()
            self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        _remove(self._queues, waiting)
        _remove(self._set_aside, waiting)
        self._call_back(waiting.claim)


_K = TypeVar("_K")


def _remove(queues: dict[_K, deque[_Waiting]], waiting: _Waiting) -> None:
    for key in [key for key, queue in queues.items() if waiting in queue]:
        queues[key].remove(waiting)
        if not queues[key]:
            del queues[key]


_places: RunVar[Places] = RunVar("starlette_reactive_places")


def places_of_loop() -> Places:
    """Return the places of the running event loop."""
    places = _places.get(None)
    if places is None:
        places = Places()
        _places.set(places)
    return places
