"""Databases whose reads make pages live: the part of ``Reactive`` that tracks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from .._bus.bus import ReactiveBus
from .._core.errors import ReactiveError
from .._core.facts import Facts, fact_by_hand
from .._core.reads import Read, current_reads, untracked
from .browser_session import BrowserSession
from .notifying import Notifications

__all__ = ["Databases", "Tracking"]


class Databases:
    """The databases that are tracked."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    @property
    def are_tracked(self) -> bool:
        """Whether there are any."""
        return self._count > 0

    def add(self, stop: Callable[[], object]) -> Callable[[], None]:
        """Add a database. Return a function that removes it again.

        Args:
            stop: Called when it is removed.
        """
        self._count += 1
        is_tracked = True

        def remove() -> None:
            nonlocal is_tracked
            if is_tracked:
                is_tracked = False
                self._count -= 1
                stop()

        return remove


class Tracking(Notifications):
    """Emits changes, sends toasts, and makes pages live because of what they read.

    Args:
        bus: The event bus.
        sessions: Recognises browsers.
    """

    def __init__(self, bus: ReactiveBus, sessions: BrowserSession) -> None:
        super().__init__(bus, sessions)
        self._databases = Databases()

    def track(
        self, target: Any, *, views: Mapping[str, Iterable[str]] | None = None, writes: bool = True
    ) -> Callable[[], None]:
        """Make pages live because of what they read from a database: each commit updates those that have read the rows.

        What the updates of pages select with SQLAlchemy is recorded as facts, such as the rows of ``task`` with
        ``board_id=7``. What is committed through the engine is emitted, and meets the facts or not.

        Args:
            target: An engine, or what makes sessions: a ``sessionmaker``, a ``scoped_session`` or a subclass of
                ``Session``. Or their counterparts for asyncio.
            views: The tables that each view of the database reads, by its name.
            writes: Whether to emit what is committed through the engine. Pass ``False`` if the database's own triggers
                do that.

        Returns:
            A function that stops it.

        Raises:
            ReactiveError: SQLAlchemy is not installed.
            TypeError: ``target`` is none of these.
        """
        try:
            from .._database.tracking import track  # noqa: PLC0415 - SQLAlchemy is optional
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "sqlalchemy":
                raise
            raise ReactiveError(
                "reactive.track needs SQLAlchemy, which is not installed: install starlette-reactive[sqlalchemy]"
            ) from error
        return self._databases.add(track(target, self.bus.emit_sync, views=views, writes=writes).stop)

    @staticmethod
    def untracked() -> AbstractContextManager[None]:
        """Let what is read in a ``with`` block not count: the page does not run again when it changes."""
        return untracked()

    @staticmethod
    def reads(table: str, **columns: object) -> None:
        """Record by hand what a page reads, such as through a cache. In a visit, it does nothing.

        Args:
            table: The name of the table.
            **columns: The value that each row that is read has in a column, or a list of such values. Only columns of
                integers, booleans, UUIDs, enumerations and dates can be named. Without columns, all rows of the table
                are read.

        Raises:
            TypeError: A value has another type.
        """
        reads = current_reads()
        if reads is not None:
            reads.add(Read(Facts(frozenset((fact_by_hand(table, columns),))), f"reactive.reads({table!r})"))
