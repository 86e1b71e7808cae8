"""Which class of sessions a factory makes, so that its sessions can be told from all others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session, scoped_session, sessionmaker

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import async_sessionmaker

__all__ = ["watched_class"]

_classes: WeakKeyDictionary[async_sessionmaker[Any], type[Session]] = WeakKeyDictionary()
"""The class made for each asynchronous factory; the sessions of several hooks on one factory are of one class."""


def watched_class(factory: Any) -> type[Session]:
    """Return the class that the sessions of this factory, and of no other, are of.

    An asynchronous factory is configured to have such a class behind its sessions, from the next session on.

    Raises:
        TypeError: ``factory`` is none.
    """
    if "sqlalchemy.ext.asyncio" in sys.modules:  # it needs greenlet, which a synchronous application may not have
        from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker  # noqa: PLC0415

        if isinstance(factory, async_scoped_session):
            factory = factory.session_factory
        if isinstance(factory, async_sessionmaker):
            return _class_behind(factory)
    if isinstance(factory, scoped_session):
        factory = factory.session_factory
    if isinstance(factory, sessionmaker):
        return factory.class_
    if isinstance(factory, type) and issubclass(factory, Session):
        return factory
    raise TypeError(
        f"emit_on_commit takes what makes the sessions: a sessionmaker, an async_sessionmaker, a scoped_session of "
        f"one, or a subclass of Session, not {factory!r}"
    )


def _class_behind(factory: async_sessionmaker[Any]) -> type[Session]:
    maker: Any = factory.kw.get("sync_session_class") or factory.class_.sync_session_class
    watched = _classes.get(factory)
    if watched is None or watched is not getattr(maker, "class_", maker):
        # A subclass or a copy: the class or the sessionmaker may stand behind other factories too.
        if isinstance(maker, sessionmaker):
            maker = sessionmaker(class_=maker.class_, **maker.kw)
            watched = maker.class_
        else:
            maker = watched = type(maker.__name__, (maker,), {})
        factory.configure(sync_session_class=maker)
        _classes[factory] = watched
    return watched
