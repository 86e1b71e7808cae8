"""The class of a factory's sessions, which distinguishes them from all other sessions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session, scoped_session, sessionmaker

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import async_sessionmaker

__all__ = ["session_class_of"]

_classes: WeakKeyDictionary[async_sessionmaker[Any], type[Session]] = WeakKeyDictionary()
"""The class made for each asynchronous factory. Several hooks on one factory share it."""


def session_class_of(factory: Any, caller: str) -> type[Session]:
    """Return the class that only this factory's sessions have.

    An asynchronous factory is reconfigured: its next sessions have such a class as their synchronous session.

    Args:
        factory: What makes sessions.
        caller: The function that the application has called, for the error message.

    Raises:
        TypeError: ``factory`` does not make sessions.
    """
    if "sqlalchemy.ext.asyncio" in sys.modules:  # it needs greenlet, which a synchronous application may lack
        from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker  # noqa: PLC0415

        if isinstance(factory, async_scoped_session):
            factory = factory.session_factory
        if isinstance(factory, async_sessionmaker):
            return _sync_session_class_of(factory)
    if isinstance(factory, scoped_session):
        factory = factory.session_factory
    if isinstance(factory, sessionmaker):
        return factory.class_
    if isinstance(factory, type) and issubclass(factory, Session):
        return factory
    raise TypeError(
        f"{caller} takes a factory of sessions: a sessionmaker, an async_sessionmaker, a scoped_session of one, "
        f"or a subclass of Session, not {factory!r}"
    )


def _sync_session_class_of(factory: async_sessionmaker[Any]) -> type[Session]:
    maker: Any = factory.kw.get("sync_session_class") or factory.class_.sync_session_class
    watched = _classes.get(factory)
    if watched is None or watched is not getattr(maker, "class_", maker):
        # A subclass or a copy, because other factories may use the class or the sessionmaker too.
        if isinstance(maker, sessionmaker):
            maker = sessionmaker(class_=maker.class_, **maker.kw)
            watched = maker.class_
        else:
            maker = watched = type(maker.__name__, (maker,), {})
        factory.configure(sync_session_class=maker)
        _classes[factory] = watched
    return watched
