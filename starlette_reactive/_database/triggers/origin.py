"""The origin of an application's own writes, for the triggers of its database.

Triggers emit for everybody who writes, so they cannot know which page has sent the request. Before the first write of a
transaction, the setting ``reactive.origin`` of the transaction names the page. Like the writes, it ends with the
transaction, and is undone with a savepoint: then the writes after it are those of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from sqlalchemy import event, text
from sqlalchemy.engine import Connection, Engine, RootTransaction

from ..._core.emit_filters import UPDATE_MARK, emit_filter
from ..._core.events import ChangeEvent
from ..._core.facts import COMMITS
from ..._core.origins import with_default_origin
from ..._core.paths import ALL
from ..._core.reads import untracked

__all__ = ["pass_origin"]

_READS = re.compile(r"\s*(select|show|explain|savepoint|release|rollback|set)\b", re.IGNORECASE)

_SET_ORIGIN = text("select set_config('reactive.origin', :origin, true)")


def pass_origin(engine: Engine) -> Callable[[], None]:
    """Let the database's triggers know the page that sent the request, in each transaction that writes.

    Args:
        engine: The engine. Nothing happens in databases other than PostgreSQL.

    Returns:
        A function that stops it.
    """
    passed = WeakSet[RootTransaction]()

    def executing(
        connection: Connection, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
    ) -> None:
        transaction = connection.get_transaction()
        if connection.dialect.name != "postgresql" or transaction is None or transaction in passed:
            return
        if context is not None and _may_write(context, statement):
            passed.add(transaction)
            _set_origin(connection)

    event.listen(engine, "before_cursor_execute", executing)
    return lambda: event.remove(engine, "before_cursor_execute", executing)


def _may_write(context: Any, statement: str) -> bool:
    return bool(context.isinsert or context.isupdate or context.isdelete) or not _READS.match(statement)


def _set_origin(connection: Connection) -> None:
    origin = _origin()
    if origin is not None:
        with untracked():
            connection.execute(_SET_ORIGIN, {"origin": origin})


def _origin() -> str | None:
    """Return the origin of what is emitted here: that of :data:`UPDATE_MARK` alone emits nothing."""
    emitted = with_default_origin(ChangeEvent(COMMITS, {ALL}))
    allowed = emit_filter.get()
    if allowed is None:
        return emitted.origin
    filtered = allowed(emitted)
    return UPDATE_MARK if filtered is None else filtered.origin
