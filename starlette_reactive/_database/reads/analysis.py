"""From what is in a statement to the facts that an execution reads.

A row of a table matters if it takes part in a combination of rows that the statement keeps. So what a term says of a
column holds for each row that matters, where the term holds for all such combinations:

- Terms of WHERE, and of the ON clauses of inner joins, hold for all tables outside outer joins.
- A row on the right side of a LEFT JOIN matters if it matches: the terms of ON hold. It may also matter because it
  matches, so that a combination with NULLs is gone; then the terms of WHERE that name columns of the right side do not
  hold for it. The other terms do.
- A row on the left side may match nothing, so terms of ON do not hold for it.
- In a FULL JOIN, only terms that name neither side hold.
- The terms of a SELECT hold within its subqueries too, except within those in FROM, which are evaluated before.

Aggregates, windows, DISTINCT and LIMIT see the kept combinations only, so they change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Alias, Column, FromClause, Join, Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import BindParameter, TableClause
from sqlalchemy.sql.selectable import FromGrouping

from .predicates import Among, Equal, Place, Term, terms
from .recorder import Recording, SelectRecord
from .shapes import ConditionShape, FactShape, condition_shape

__all__ = ["fact_shapes"]

Names = Mapping[BindParameter[Any], str]


def fact_shapes(recording: Recording) -> Iterator[FactShape]:
    """Yield what a statement reads, one shape for each table in a FROM clause."""
    yield from (FactShape(table.name, ()) for table in recording.tables)
    for entry in recording.selects:
        yield from _of_select(entry, (), recording.names)


def _of_select(entry: SelectRecord, around: tuple[Term, ...], names: Names) -> Iterator[FactShape]:
    if entry.select is None or entry.froms is None:
        yield from (FactShape(table.name, ()) for table in entry.tables)
        for child in entry.children:
            yield from _of_select(child, (), names)
        return
    sources = {leaf for each in entry.froms for leaf in _leaves(each)}
    around = tuple(each for each in around if not _mentions(each, sources))
    where = (*around, *terms(entry.select.whereclause, names))
    leaves = [leaf for each in entry.froms for leaf in _with_terms(each, where, names)]
    found = {table.name for source, _ in leaves if (table := _table(source)) is not None}
    yield from (FactShape(table.name, ()) for table in entry.tables if table.name not in found)
    for source, holding in leaves:
        if (table := _table(source)) is not None:
            yield FactShape(table.name, tuple(_conditions(source, table, holding)))
    within_from = {id(each) for source in entry.froms for each in visitors.iterate(source)}
    inner = (*where, *(term for each in entry.froms for term in _terms_of_joins(each, names)))
    for child in entry.children:
        yield from _of_select(child, around if id(child.original) in within_from else inner, names)


def _leaves(source: FromClause) -> Iterator[FromClause]:
    if isinstance(source, Join):
        yield from _leaves(source.left)
        yield from _leaves(source.right)
    elif isinstance(source, FromGrouping):
        yield from _leaves(source.element)
    else:
        yield source


def _with_terms(
    source: FromClause, holding: tuple[Term, ...], names: Names
) -> Iterator[tuple[FromClause, tuple[Term, ...]]]:
    """Yield the leaves of an element of FROM, with the terms that hold for the rows of each that matter."""
    if isinstance(source, FromGrouping):
        yield from _with_terms(source.element, holding, names)
    elif not isinstance(source, Join):
        yield source, holding
    elif source.full:
        left = _without(holding, {*_leaves(source.left), *_leaves(source.right)})
        yield from _with_terms(source.left, left, names)
        yield from _with_terms(source.right, left, names)
    else:
        on = tuple(terms(source.onclause, names))
        if source.isouter:
            yield from _with_terms(source.left, holding, names)
            yield from _with_terms(source.right, (*_without(holding, set(_leaves(source.right))), *on), names)
        else:
            yield from _with_terms(source.left, (*holding, *on), names)
            yield from _with_terms(source.right, (*holding, *on), names)


def _terms_of_joins(source: FromClause, names: Names) -> Iterator[Term]:
    """Yield the terms of ON clauses that hold for all combinations that an element of FROM yields."""
    if isinstance(source, FromGrouping):
        yield from _terms_of_joins(source.element, names)
    elif isinstance(source, Join) and not source.full:
        yield from _terms_of_joins(source.left, names)
        if not source.isouter:
            yield from _terms_of_joins(source.right, names)
            yield from terms(source.onclause, names)


def _without(holding: Iterable[Term], sources: set[FromClause]) -> tuple[Term, ...]:
    return tuple(each for each in holding if not _mentions(each, sources))


def _mentions(term: Term, sources: set[FromClause]) -> bool:
    places = (term.place,) if isinstance(term, Among) else (term.one, term.other)
    return any(place.source in sources for place in places)


def _table(source: FromClause) -> TableClause | None:
    if isinstance(source, Alias):
        return _table(source.element)
    return source if isinstance(source, TableClause) else None


def _conditions(source: FromClause, table: TableClause, holding: Iterable[Term]) -> Iterator[ConditionShape]:
    if not isinstance(table, Table):
        return
    columns: dict[str, Column[Any]] = {column.name: column for column in table.columns}
    for place, among in _values(holding):
        if place.source == source and (column := columns.get(place.column)) is not None:
            is_key = column.primary_key or bool(column.foreign_keys)
            yield condition_shape(column.name, among.values, is_key=is_key)


def _values(holding: Iterable[Term]) -> Iterator[tuple[Place, Among]]:
    """Yield each column with the values that it may have, by itself or because it equals another one."""
    groups: dict[Place, set[Place]] = {}
    found = list(holding)
    for term in found:
        if isinstance(term, Equal):
            joined = groups.get(term.one, {term.one}) | groups.get(term.other, {term.other})
            groups.update(dict.fromkeys(joined, joined))
    for term in found:
        if isinstance(term, Among):
            for place in groups.get(term.place, {term.place}):
                yield place, term
