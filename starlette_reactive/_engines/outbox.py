"""What waits for an engine to accept it, merged so that it stays small however long the engine is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .._core.events import ChangeEvent
from .._core.paths import ALL

__all__ = ["SCOPE_LIMIT", "Letter", "Outbox"]

SCOPE_LIMIT = 100_000
"""How many scopes may wait."""
_PATH_LIMIT = 256  # paths of a letter, beyond which it says that everything changed
_LETTER_LIMIT = 64  # letters of a scope, beyond which they become one for everybody

_Address = tuple[str | None, frozenset[str] | None]


@dataclass(slots=True)
class Letter:
    """What is sent of a scope to an audience, for one origin."""

    event: ChangeEvent
    accepted: list[Callable[[], None]] = field(default_factory=list)


class Outbox:
    """Events that wait, as one letter for each scope, origin and audience. Not safe for threads."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[_Address, Letter]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether more scopes wait than are kept."""
        return len(self._scopes) >= SCOPE_LIMIT

    def put(self, event: ChangeEvent, accepted: list[Callable[[], None]]) -> None:
        """Let an event wait behind those that do."""
        letters = self._scopes.setdefault(event.scope, {})
        address = (event.origin, event.audience)
        waiting = letters.get(address)
        if waiting is not None:
            paths = waiting.event.changed_paths | event.changed_paths
            waiting.event = ChangeEvent(event.scope, paths if len(paths) <= _PATH_LIMIT else (ALL,), *address)
            waiting.accepted += accepted
            return
        letters[address] = Letter(event, list(accepted))
        self._count += 1
        if len(letters) > _LETTER_LIMIT:
            self._scopes[event.scope] = {(None, None): _for_everybody(event.scope, list(letters.values()))}
            self._count -= len(letters) - 1

    def take(self, limit: int) -> list[Letter]:
        """Take the letters that wait longest, of whole scopes, until there are so many."""
        taken: list[Letter] = []
        while self._scopes and len(taken) < limit:
            taken.extend(self._scopes.pop(next(iter(self._scopes))).values())
        self._count -= len(taken)
        return taken

    def put_back(self, letters: list[Letter]) -> None:
        """Let letters wait again that could not be sent."""
        newer, self._scopes, self._count = self._scopes, {}, 0
        for letter in letters:
            self.put(letter.event, letter.accepted)
        for waiting in newer.values():
            for letter in waiting.values():
                self.put(letter.event, letter.accepted)


def _for_everybody(scope: str, letters: list[Letter]) -> Letter:
    accepted = [each for letter in letters for each in letter.accepted]
    paths = frozenset().union(*(letter.event.changed_paths for letter in letters))
    return Letter(ChangeEvent(scope, paths if len(paths) <= _PATH_LIMIT else (ALL,)), accepted)
