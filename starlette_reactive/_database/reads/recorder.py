"""Compiles a statement a second time, and records what is in it.

The compiler knows what a statement really selects from: it has applied the options and criteria of the ORM, it has
resolved which FROM elements a subquery has and which it correlates, and it passes each table, function and piece of
text. A recorder is a subclass of the dialect's own compiler that writes this down. It runs once for each shape of
statement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from sqlalchemy import ClauseElement, FromClause, Select
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import BindParameter, TableClause

from .fragments import is_harmless_fragment, is_harmless_statement, is_pure

__all__ = ["Recording", "SelectRecord", "record"]


@dataclass(eq=False, slots=True)
class SelectRecord:
    """One SELECT in a statement, as it is compiled.

    Args:
        original: What the statement contains.
        parent: The SELECT around it. ``None`` for one that stands alone, such as that of a common table expression.
        select: What the ORM has made of it.
        froms: The elements of its FROM clause. ``None`` if they are not known.
        tables: The tables that it selects from directly.
        children: The SELECTs in it.
    """

    original: object
    parent: SelectRecord | None
    select: Select[Any] | None = None
    froms: Sequence[FromClause] | None = None
    tables: list[TableClause] = field(default_factory=list)
    children: list[SelectRecord] = field(default_factory=list)

    def all_selects(self) -> Iterator[SelectRecord]:
        """Yield it and all SELECTs in it."""
        yield self
        for each in self.children:
            yield from each.all_selects()


@dataclass(eq=False, slots=True)
class Recording:
    """What is in a statement.

    Args:
        selects: Its SELECTs that have no SELECT around them.
        tables: The tables outside any SELECT that it reads.
        unknown: Why it may read anything. ``None`` if it does not.
        names: The names of its parameters.
        restated: The names of the common table expressions that are not what they select first, such as recursive ones.
    """

    selects: list[SelectRecord] = field(default_factory=list)
    tables: list[TableClause] = field(default_factory=list)
    unknown: str | None = None
    names: Mapping[BindParameter[Any], str] = field(default_factory=dict)
    restated: set[str] = field(default_factory=set)

    def all_tables(self) -> Iterator[TableClause]:
        """Yield all tables that it reads."""
        yield from self.tables
        yield from (table for each in self.all_selects() for table in each.tables)

    def all_selects(self) -> Iterator[SelectRecord]:
        """Yield all its SELECTs."""
        for each in self.selects:
            yield from each.all_selects()


def record(compiled: SQLCompiler) -> Recording:
    """Return what is in a compiled statement."""
    statement = compiled.statement
    recorder = _recorder(cast("Hashable", type(compiled)))(
        compiled.dialect,
        statement,
        cache_key=compiled.cache_key,
        column_keys=compiled.column_keys,
        for_executemany=compiled.for_executemany,
        schema_translate_map=getattr(compiled, "schema_translate_map", None),
    )
    recording: Recording = recorder.recording
    recording.names = recorder.bind_names
    if not _is_equal(recorder, compiled):
        recording.unknown = recording.unknown or "is compiled differently each time"
    return recording


def _is_equal(one: SQLCompiler, other: SQLCompiler) -> bool:
    return (
        one.string == other.string
        and one.positiontup == other.positiontup
        and sorted(one.bind_names.values()) == sorted(other.bind_names.values())
    )


@cache
def _recorder(compiler: Any) -> type[Any]:
    return type(f"Recording{compiler.__name__}", (_Recorder, compiler), {})


class _Recorder(SQLCompiler):
    """A compiler that records what it compiles. The methods have the signatures of SQLAlchemy's."""

    def __init__(self, dialect: Any, statement: Any, **options: Any) -> None:
        self.recording = Recording()
        self._records: list[SelectRecord | None] = []
        self._watch_for_constructs(statement)
        super().__init__(dialect, statement, **options)

    def visit_select(self, select_stmt: Any, *args: Any, **kwargs: Any) -> Any:
        parent = self._records[-1] if self._records else None
        entry = SelectRecord(select_stmt, parent)
        (parent.children if parent else self.recording.selects).append(entry)
        with self._inside(entry):
            return super().visit_select(select_stmt, *args, **kwargs)  # type: ignore[no-untyped-call]

    def _setup_select_stack(self, select: Any, *args: Any, **kwargs: Any) -> Any:
        froms = super()._setup_select_stack(select, *args, **kwargs)  # type: ignore[no-untyped-call]
        if entry := self._records[-1] if self._records else None:
            entry.select, entry.froms = select, froms
        self._watch_for_constructs(select)
        return froms

    def visit_cte(self, cte: Any, *args: Any, **kwargs: Any) -> Any:
        if cte.recursive or getattr(cte, "_restates", None) is not None:
            self.recording.restated.add(cte.name)
        with self._inside(None):
            return super().visit_cte(cte, *args, **kwargs)

    def visit_table(self, table: Any, *args: Any, **kwargs: Any) -> Any:
        is_written = kwargs.get("iscrud") and len(self.stack) <= 1
        if kwargs.get("asfrom") and not is_written:
            entry = self._records[-1] if self._records else None
            (entry.tables if entry else self.recording.tables).append(table)
        return super().visit_table(table, *args, **kwargs)  # type: ignore[no-untyped-call]

    def visit_textclause(self, textclause: Any, *args: Any, **kwargs: Any) -> Any:
        is_harmless = is_harmless_fragment if self.stack else is_harmless_statement
        if kwargs.get("asfrom") or not is_harmless(textclause.text, self.dialect.name):
            self._is_unknown("has text() in it")
        return super().visit_textclause(textclause, *args, **kwargs)  # type: ignore[no-untyped-call]

    def visit_tstring(self, tstring: Any, *args: Any, **kwargs: Any) -> Any:
        self._is_unknown("has tstring() in it")
        return super().visit_tstring(tstring, *args, **kwargs)  # type: ignore[no-untyped-call]

    def visit_column(self, column: Any, *args: Any, **kwargs: Any) -> Any:
        if column.is_literal and not is_harmless_fragment(column.name, self.dialect.name):
            self._is_unknown("has literal_column() in it")
        return super().visit_column(column, *args, **kwargs)

    def visit_function(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        packages = [each for each in func.packagenames if each != "pg_catalog"]
        if packages or not is_pure(func.name, self.dialect.name):
            self._is_unknown(f"calls {'.'.join([*func.packagenames, func.name])}(), which may read anything")
        return super().visit_function(func, *args, **kwargs)

    def visit_sequence(self, sequence: Any, *args: Any, **kwargs: Any) -> Any:
        self._is_unknown(f"reads the sequence {sequence.name}")
        return super().visit_sequence(sequence, *args, **kwargs)  # type: ignore[no-untyped-call]

    def get_statement_hint_text(self, hint_texts: Any) -> Any:
        if not all(is_harmless_fragment(each, self.dialect.name) for each in hint_texts):
            self._is_unknown("has a hint in it")
        return super().get_statement_hint_text(hint_texts)  # type: ignore[no-untyped-call]

    @contextmanager
    def _inside(self, entry: SelectRecord | None) -> Iterator[None]:
        self._records.append(entry)
        try:
            yield
        finally:
            self._records.pop()

    def _watch_for_constructs(self, statement: ClauseElement) -> None:
        for element in visitors.iterate(statement):
            if hasattr(type(element), "_compiler_dispatcher"):
                self._is_unknown(f"contains {type(element).__name__}, whose SQL is the application's own")

    def _is_unknown(self, reason: str) -> None:
        self.recording.unknown = self.recording.unknown or reason
