"""Tracking: an engine, or the engines of a session factory, of which pages are live by what they read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session, SessionTransaction

from .._core.events import ChangeEvent
from .factories import session_class_of
from .origins import listen_to_sessions
from .reads import watch_reads
from .triggers import pass_origin
from .writes import watch_writes

__all__ = ["Tracking", "track"]


def track(
    target: Any,
    emit: Callable[[ChangeEvent], None],
    *,
    views: Mapping[str, Iterable[str]] | None = None,
    writes: bool = True,
) -> Tracking:
    """Record what is read through an engine, and emit what is written through it.

    Args:
        target: An engine, synchronous or asynchronous, or what makes sessions: a ``sessionmaker``, an
            ``async_sessionmaker``, a scoped session of one, or a subclass of ``Session``. The engines of its sessions
            are tracked, and those that it is given later too.
        emit: Emits an event after a commit, in the thread or task that commits.
        views: The tables of each view.
        writes: Whether to emit what is written. Without, triggers of the database do, and know the origin of a write.

    Raises:
        TypeError: ``target`` is none of these.
    """
    tracking = Tracking(emit, {name: tuple(tables) for name, tables in (views or {}).items()}, writes=writes)
    engine = _engine_of(target)
    if engine is not None:
        tracking.add(engine)
        return tracking
    session_class = session_class_of(target, "track")
    for bind in _binds_of(target):
        tracking.add(bind)
    tracking.follow(session_class)
    return tracking


class Tracking:
    """What is tracked. Returned by :func:`track`.

    Args:
        emit: Emits an event after a commit.
        views: The tables of each view.
        writes: Whether to emit what is written.
    """

    def __init__(
        self, emit: Callable[[ChangeEvent], None], views: Mapping[str, tuple[str, ...]], *, writes: bool = True
    ) -> None:
        self._emit = emit
        self._views = views
        self._writes = writes
        self._stops: dict[Engine, list[Callable[[], None]]] = {}
        self._stop_following: Callable[[], None] | None = None

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines that are tracked by now."""
        return tuple(self._stops)

    def add(self, engine: Engine) -> None:
        """Track an engine. Idempotent."""
        if engine not in self._stops:
            writes = watch_writes(engine, self._emit, self._views) if self._writes else pass_origin(engine)
            self._stops[engine] = [_watch_reads_once(engine, self._views), writes]

    def follow(self, session_class: type[Session]) -> None:
        """Track each engine that sessions of a class use."""
        listen_to_sessions()  # now: SQLAlchemy takes no listener of sessions while it calls one

        def begin(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
            self.add(connection.engine)

        event.listen(session_class, "after_begin", begin, insert=True)
        self._stop_following = lambda: event.remove(session_class, "after_begin", begin)

    def stop(self) -> None:
        """Track no more. What is written in open transactions is not emitted. Idempotent."""
        if self._stop_following is not None:
            self._stop_following()
            self._stop_following = None
        while self._stops:
            _, stops = self._stops.popitem()
            for stop in stops:
                stop()

    def __repr__(self) -> str:
        engines = ", ".join(str(each.url) for each in self._stops) or "no engine yet"
        return f"<Tracking of {engines}>"


class _Reading:
    """The record of what is read through an engine, for everybody who tracks it with the same views.

    Args:
        stop: Ends it.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._users = 0

    def join(self) -> Callable[[], None]:
        """Use it. Return a function that ends the use, and the record with the last one."""
        self._users += 1

        def leave() -> None:
            self._users -= 1
            if not self._users:
                self._stop()

        return leave


_readings: WeakKeyDictionary[Engine, dict[Any, ref[_Reading]]] = WeakKeyDictionary()


def _watch_reads_once(engine: Engine, views: Mapping[str, tuple[str, ...]]) -> Callable[[], None]:
    """Record what is read through an engine, unless that is done already. Return a function that stops."""
    known = _readings.setdefault(engine, {})
    key = tuple(sorted(views.items()))
    reading = known[key]() if key in known else None
    if reading is None:

        def stop() -> None:
            del known[key]
            stop_watching()

        stop_watching = watch_reads(engine, views)
        reading = _Reading(stop)
        known[key] = ref(reading)
    return reading.join()


def _engine_of(target: Any) -> Engine | None:
    """Return the engine of an engine or connection. ``None`` if it is neither."""
    target = getattr(target, "sync_engine", target)
    if isinstance(target, Connection):
        return target.engine
    return target if isinstance(target, Engine) else None


def _binds_of(factory: Any) -> Iterable[Engine]:
    """Yield the engines that a factory names."""
    maker = factory
    with suppress(AttributeError):
        maker = maker.session_factory
    options = getattr(maker, "kw", {})
    for each in (options.get("bind"), *(options.get("binds") or {}).values()):
        engine = _engine_of(each)
        if engine is not None:
            yield engine
