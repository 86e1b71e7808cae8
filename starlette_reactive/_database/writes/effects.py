"""What a statement that is about to be executed changes, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Select, Table
from sqlalchemy.engine import Connection, CursorResult, ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase

from ..reads.views import Views
from .cascades import any_rows, with_consequences
from .changes import Changes
from .images import changes_of
from .old_rows import read_old_rows
from .plans import plan_of
from .texts import Effect, effect_of
from .work import Statement, work_of

__all__ = ["is_plain_select", "statement_of"]

_TRANSACTIONAL = frozenset(("postgresql", "sqlite", "mssql"))
"""Dialects on which a definition does not commit."""


def is_plain_select(compiled: Any) -> bool:
    """Return whether a statement is a SELECT that nothing else is part of."""
    if not isinstance(compiled, SQLCompiler) or compiled.ctes:
        return False
    return isinstance(compiled.statement, (Select, CompoundSelect))


def statement_of(connection: Connection, context: ExecutionContext, text: str, views: Views) -> Statement | None:
    """Return what is known of a statement before its execution. ``None`` if it changes nothing.

    Args:
        connection: The connection that will execute it.
        context: Its context.
        text: Its text.
        views: The views of the database.
    """
    compiled = context.compiled
    if is_plain_select(compiled):
        return None
    element = compiled.statement if isinstance(compiled, SQLCompiler) else None
    if isinstance(compiled, SQLCompiler):
        if isinstance(element, (Select, CompoundSelect)):
            return _of_parts(connection, context, compiled, views)
        if isinstance(element, UpdateBase):
            return _of_rows(connection, context, compiled, views)
    return _of_text(connection, context, text)


def _of_text(connection: Connection, context: Any, text: str) -> Statement | None:
    effect = effect_of(text)
    is_definition = context.isddl and effect is not Effect.NOTHING
    commits = effect in (Effect.COMMIT, Effect.COMMIT_OF_OTHERS) or (
        is_definition and connection.dialect.name not in _TRANSACTIONAL
    )
    is_unknown = effect in (Effect.WRITE, Effect.COMMIT_OF_OTHERS)
    if not commits and not is_unknown:
        return None
    changes = Changes(is_unknown=is_unknown)
    return Statement(context, lambda _result: changes, commits)


def _of_parts(
    connection: Connection, context: ExecutionContext, compiled: SQLCompiler, views: Views
) -> Statement | None:
    written = _changes_of_parts(compiled)
    if not written:
        return None

    def changes(result: CursorResult[Any] | None) -> Changes:
        _add_tables_of_views(written, _tables_of_parts(compiled), views, None if result is None else connection)
        return written

    return Statement(context, changes)


def _of_rows(
    connection: Connection, context: ExecutionContext, compiled: SQLCompiler, views: Views
) -> Statement | None:
    work = work_of(connection)
    if work is None or work.is_paused or (work.statement is not None and work.statement.context is context):
        return None
    plan = plan_of(compiled)
    if plan is None:
        return Statement(context, lambda _result: Changes(is_unknown=True))
    with work.paused():
        old = read_old_rows(connection, plan, _parameters(context), context.execution_options)

    def changes(result: CursorResult[Any] | None) -> Changes:
        written = changes_of(plan, _parameters(context), old, result)
        if compiled.ctes:
            written.merge(_changes_of_parts(compiled))
        # The number of changed rows says nothing if the table is a view, because a trigger may do something else.
        tables = [plan.table, *_tables_of_parts(compiled)]
        _add_tables_of_views(written, tables, views, None if result is None else connection)
        return written

    return Statement(context, changes)


def _add_tables_of_views(
    changes: Changes, tables: Iterable[Table], views: Views, connection: Connection | None
) -> None:
    """Add the tables that change with those of several tables that are views. Without a connection, nobody is asked."""
    undeclared = []
    for table in tables:
        for name in views.tables(table.name) or ():
            changes.add_all(name)
        if connection is not None and views.tables(table.name) is None:
            undeclared.append((connection.schema_for_object(table), table.name))
    if connection is not None and undeclared and (work := work_of(connection)) is not None:
        with work.paused():
            changes.is_unknown = changes.is_unknown or views.first_undeclared(undeclared, connection) is not None


def _parameters(context: Any) -> Sequence[Mapping[str, Any]]:
    """Return the sets of parameters, with the lists of ``IN`` as they were before SQLAlchemy took them apart."""
    parts: Mapping[str, Sequence[str]] = context._expanded_parameters  # noqa: SLF001 - nothing else has them
    parameters: Sequence[Mapping[str, Any]] = context.compiled_parameters
    if not parts:
        return parameters
    return [
        {**each, **{name: [each[part] for part in parts[name]] for name in parts if each.keys() >= {*parts[name]}}}
        for each in parameters
    ]


def _changes_of_parts(compiled: SQLCompiler) -> Changes:
    """Return what the common table expressions of a statement change."""
    changes = Changes()
    for cte in compiled.ctes or ():
        element = cte.element
        if isinstance(element, UpdateBase):
            if isinstance(element.table, Table):
                changes.merge(with_consequences(any_rows(element.table)))
            else:
                changes.is_unknown = True
        elif not isinstance(element, (Select, CompoundSelect)):
            changes.is_unknown = changes.is_unknown or effect_of(f"WITH {compiled.string}") is Effect.WRITE
    return changes


def _tables_of_parts(compiled: SQLCompiler) -> Iterator[Table]:
    """Yield the tables that the common table expressions of a statement change."""
    for cte in compiled.ctes or ():
        if isinstance(cte.element, UpdateBase) and isinstance(cte.element.table, Table):
            yield cte.element.table
