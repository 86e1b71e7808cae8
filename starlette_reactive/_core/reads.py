"""The record of what a run reads, and who adds to it: adapters to databases, and the application by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from .facts import Facts, bounded

__all__ = ["Read", "Reads", "current_reads", "reading", "untracked"]


@dataclass(frozen=True, slots=True)
class Read:
    """One statement that a run has executed, or one read that the application has named by hand.

    Args:
        facts: What it has read.
        statement: The statement's text without its values, for messages.
        unknown: Why not all that it reads is known, as the end of a sentence that begins with the statement. ``None``
            if it is known.
    """

    facts: Facts
    statement: str
    unknown: str | None = None


class Reads:
    """What one run reads. Any thread may add to it."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Read, None] = {}

    def add(self, read: Read) -> None:
        """Add a read."""
        self._entries[read] = None

    @property
    def entries(self) -> tuple[Read, ...]:
        """The reads in their order, each of them once."""
        return tuple(self._entries)

    @property
    def facts(self) -> Facts:
        """The facts of all reads. If there are many of one table, fewer and wider ones."""
        entries = self.entries
        return Facts(
            bounded(fact for read in entries for fact in read.facts.facts),
            everything=any(read.facts.everything for read in entries),
        )


_current: ContextVar[Reads | None] = ContextVar("starlette_reactive_reads", default=None)


def current_reads() -> Reads | None:
    """Return the record of the run in this context. ``None`` if nothing is recorded."""
    return _current.get()


@contextmanager
def reading(reads: Reads) -> Iterator[None]:
    """Record what is read in the block, and in what it calls."""
    token = _current.set(reads)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def untracked() -> Iterator[None]:
    """Record nothing of what is read in the block: a page does not become stale when it changes."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)
