"""Places: how many updates run at once, and how they are shared out.

Updates run in the event loop that answers ordinary requests, so their number is bounded. No page, user or address may
hold more than its share of the places, so updates that hang leave places to all others. Those that wait are served in
turns of pages: the pages with a waiting update take one place each, in a circle.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from dataclasses import dataclass

import anyio
from anyio.lowlevel import RunVar

__all__ = ["MAX_UPDATES", "PAGE_SHARE", "USER_SHARE", "Claim", "Places", "places_of_loop"]

MAX_UPDATES = 16
"""How many updates run at once in an event loop. Others wait, so that a change cannot crowd out ordinary requests."""
PAGE_SHARE = 8
"""How many of them may be of one page, and how many of one address."""
USER_SHARE = 4
"""How many of them may be of one user."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom an update belongs to.

    Args:
        page: The key of the page.
        user: The viewer's user id. ``None`` if the update belongs to no user.
        address: The viewer's address. ``None`` if the update belongs to nobody.
    """

    page: str
    user: str | None = None
    address: str | None = None

    def shares(self) -> tuple[tuple[tuple[str, str], int], ...]:
        """Return what the update counts for, each with its limit."""
        page = (("page", self.page), PAGE_SHARE)
        user = () if self.user is None else ((("user", self.user), USER_SHARE),)
        address = () if self.address is None else ((("address", self.address), PAGE_SHARE),)
        return (page, *user, *address)


class Places:
    """The places of one event loop. Not thread-safe.

    Args:
        total: How many there are.
    """

    def __init__(self, total: int = MAX_UPDATES) -> None:
        self._total = total
        self._taken = 0
        self._held: Counter[tuple[str, str]] = Counter()
        self._waiting: dict[str, deque[tuple[Claim, anyio.Event]]] = {}

    def take_now(self, claim: Claim) -> bool:
        """Take a place if one is free. Return whether it was."""
        if self._waiting or not self._is_free(claim):
            return False
        self._hold(claim)
        return True

    async def take(self, claim: Claim) -> None:
        """Take a place as soon as one is free."""
        granted = anyio.Event()
        entry = (claim, granted)
        self._waiting.setdefault(claim.page, deque()).append(entry)
        self._grant()  # the others that wait may all have used up their shares
        try:
            await granted.wait()
        except BaseException:
            if granted.is_set():
                self.give_back(claim)
            else:
                self._forget(entry)
            raise

    def give_back(self, claim: Claim) -> None:
        """Give a place back."""
        self._taken -= 1
        for key, _ in claim.shares():
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
        self._grant()

    def _is_free(self, claim: Claim) -> bool:
        return self._taken < self._total and all(self._held[key] < limit for key, limit in claim.shares())

    def _hold(self, claim: Claim) -> None:
        self._taken += 1
        self._held.update(key for key, _ in claim.shares())

    def _grant(self) -> None:
        while (found := self._next()) is not None:
            claim, granted = found
            self._forget(found)
            if claim.page in self._waiting:
                self._waiting[claim.page] = self._waiting.pop(claim.page)  # its next turn comes after all others
            self._hold(claim)
            granted.set()

    def _next(self) -> tuple[Claim, anyio.Event] | None:
        if self._taken >= self._total:
            return None
        waiting = itertools.chain.from_iterable(self._waiting.values())
        return next((entry for entry in waiting if self._is_free(entry[0])), None)

    def _forget(self, entry: tuple[Claim, anyio.Event]) -> None:
        page = entry[0].page
        self._waiting[page].remove(entry)
        if not self._waiting[page]:
            del self._waiting[page]


_places: RunVar[Places] = RunVar("starlette_reactive_places")


def places_of_loop() -> Places:
    """Return the places of the running event loop."""
    places = _places.get(None)
    if places is None:
        places = Places()
        _places.set(places)
    return places
