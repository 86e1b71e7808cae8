"""Listens to an engine, and adds what each statement reads to the record of the run that executes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler

from ..._core.facts import Fact, Facts
from ..._core.reads import Read, current_reads
from .analysis import fact_shapes
from .fragments import is_harmless_statement, without_literals
from .recorder import Recording, record
from .shapes import StatementShape
from .views import Views

__all__ = ["watch_reads"]

_EXPANDED = re.compile(r"__\[POSTCOMPILE_([^\]~]+)[^\]]*\]")


def watch_reads(engine: Engine, views: Mapping[str, Iterable[str]] | None = None) -> Callable[[], None]:
    """Add what each statement that an engine executes reads to :func:`current_reads`.

    Connections that are open already are not watched.

    Args:
        engine: The engine; of an asynchronous one, its ``sync_engine``.
        views: The tables that views and materialized views read, by the view's name.

    Returns:
        A function that stops it.
    """
    watcher = _Watcher(Views(views or {}))
    event.listen(engine, "before_cursor_execute", watcher.on_execute)
    return lambda: event.remove(engine, "before_cursor_execute", watcher.on_execute)


class _Watcher:
    def __init__(self, views: Views) -> None:
        self._views = views
        self._shapes: WeakKeyDictionary[SQLCompiler, StatementShape] = WeakKeyDictionary()

    def on_execute(
        self, connection: Connection, _cursor: Any, text: str, _values: Any, context: Any, _many: bool
    ) -> None:
        reads = current_reads()
        if reads is None:
            return
        compiled = getattr(context, "compiled", None)
        if compiled is None:
            if (read := _read_of_text(text, connection.dialect.name)) is not None:
                reads.add(read)
            return
        if not isinstance(compiled, SQLCompiler):
            return
        shape = self._shapes.get(compiled)
        if shape is None:
            shape = self._shapes[compiled] = self._shape(compiled, connection)
        if shape.is_empty:
            return
        expanded = getattr(context, "_expanded_parameters", {})
        for values in context.compiled_parameters:
            reads.add(shape.read(values, expanded))

    def _shape(self, compiled: SQLCompiler, connection: Connection) -> StatementShape:
        text = without_literals(_EXPANDED.sub(r":\1", compiled.string))
        try:
            recording = record(compiled)
            shapes = list(dict.fromkeys(fact_shapes(recording)))
        except Exception as error:  # noqa: BLE001 - a statement that cannot be analysed reads everything
            return StatementShape(text, unknown=f"cannot be analysed: {error!r}")
        unknown = recording.unknown or self._undeclared_view(recording, connection)
        if unknown is not None:
            return StatementShape(text, unknown=unknown)
        whole = {each.table for each in shapes if not each.conditions}
        whole.update(*(self._views.tables(each.table) or () for each in shapes))
        variable = tuple(each for each in shapes if each.table not in whole)
        return StatementShape(text, [Fact(each) for each in whole], variable)

    def _undeclared_view(self, recording: Recording, connection: Connection) -> str | None:
        names = [(connection.schema_for_object(cast("Table", each)), each.name) for each in recording.all_tables()]
        try:
            view = self._views.first_undeclared(names, connection)
        except SQLAlchemyError as error:
            return f"may read views, which cannot be listed: {error!r}"
        if view is None:
            return None
        return f'reads the view {view}; name its tables with views={{"{view}": ["…"]}}'


@lru_cache(maxsize=512)
def _read_of_text(text: str, dialect: str) -> Read | None:
    if is_harmless_statement(text, dialect):
        return None
    facts = Facts(everything=True)
    return Read(facts, without_literals(text), "is text")
