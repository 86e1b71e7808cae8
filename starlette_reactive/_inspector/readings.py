"""What a group has read: of the change log, to be matched with events, and from databases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from .._core.events import ChangeEvent
from .._core.facts import UNNAMED, Fact
from .._core.reads import Read
from .._streams.trace import TracedReading

__all__ = ["ReadRow", "RecordedReading", "read_rows"]


class RecordedReading:
    """What a group read in the change log, and which of these changes no recorded event has claimed."""

    def __init__(self, at: float, reading: TracedReading) -> None:
        self.at = at
        self.traced = reading
        changes = [each.change for each in reading.changes or ()]
        self._changes = {(each.scope, each.audience, each.path) for each in changes}
        self._unclaimed = set(self._changes)

    def contains(self, event: ChangeEvent) -> bool:
        """Return whether all changes of an event were read."""
        return _keys_of(event) <= self._changes

    def contains_unclaimed(self, event: ChangeEvent) -> bool:
        """Return whether all changes of an event were read and none is claimed."""
        return _keys_of(event) <= self._unclaimed

    def claim(self, event: ChangeEvent) -> None:
        """Assign these changes to an event."""
        self._unclaimed -= _keys_of(event)


def _keys_of(event: ChangeEvent) -> set[tuple[str, frozenset[str] | None, str]]:
    return {(event.scope, event.audience, path) for path in event.changed_paths}


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A statement that runs of a page have executed.

    Args:
        page: The page's template.
        statement: The statement.
        rows: The rows that it has read, in words.
        why: Why it may have read others, too. ``None`` if it has not.
    """

    page: str
    statement: str
    rows: Sequence[str]
    why: str | None


def read_rows(page: str, entries: Iterable[Read]) -> list[ReadRow]:
    """Return what runs of a page have read."""
    return [
        ReadRow(
            page,
            read.statement,
            ["any table"] if read.facts.everything else sorted(map(_in_words, read.facts.facts)),
            read.unknown,
        )
        for read in entries
    ]


def _in_words(fact: Fact) -> str:
    conditions = sorted(_condition_in_words(each) for each in fact.conditions)
    return f"{fact.table} where {' and '.join(conditions)}" if conditions else f"all rows of {fact.table}"


def _condition_in_words(condition: Iterable[str]) -> str:
    pairs = sorted(path.partition("=")[::2] for path in condition if "=" in path)
    columns = {unquote(path) for path in condition if "=" not in path and path != UNNAMED}
    values = [unquote(value) or "NULL" for _, value in pairs]
    column = ", ".join(sorted(columns))
    return f"{column} = {values[0]}" if len(values) == 1 else f"{column} in ({', '.join(values)})"
