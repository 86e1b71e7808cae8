"""From what is in a statement to the facts that an execution reads.

A row of a table matters if it takes part in a combination of rows that the statement keeps. So what a term says of a
column holds for each row that matters, where the term holds for all such combinations:

- Terms of WHERE, and of the ON clauses of inner joins, hold for all tables outside outer joins.
- A row on the right side of a LEFT JOIN matters if it matches: the terms of ON hold. It may also matter because it
  matches, so that a combination with NULLs is gone; then the terms of WHERE that name columns of the right side do not
  hold for it. The other terms do.
- A row on the left side may match nothing, so terms of ON do not hold for it.
- If a term that is false for NULL names a column of the right side, a LEFT JOIN is an inner join.
- In a FULL JOIN, only terms that name neither side hold.
- A subquery in FROM passes on what its own terms say of its columns. That holds for its rows wherever they are joined,
  except that a column may be NULL instead; then it equals nothing.
- The terms of a SELECT hold within its subqueries too, except within those in FROM, which are evaluated before.

Aggregates, windows, DISTINCT and LIMIT see the kept combinations only, so they change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import CTE, Alias, Column, FromClause, Join, Label, Subquery, Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import BindParameter, TableClause
from sqlalchemy.sql.selectable import FromGrouping, SelectStatementGrouping

from ..._core.facts import note_condition
from .predicates import Among, Equal, Place, Term, place_of, terms
from .recorder import Recording, SelectRecord
from .shapes import ConditionShape, FactShape, condition_shape

__all__ = ["fact_shapes"]

Names = Mapping[BindParameter[Any], str]


def fact_shapes(recording: Recording) -> Iterator[FactShape]:
    """Yield what a statement reads, one shape for each table in a FROM clause."""
    records = {id(each.original): each for each in recording.all_selects()}
    yield from (FactShape(table.name, ()) for table in recording.tables)
    for entry in recording.selects:
        yield from _Analysis(records, recording.names, recording.restated).of_select(entry, ())


class _Analysis:
    def __init__(self, records: Mapping[int, SelectRecord], names: Names, restated: Collection[str]) -> None:
        self._records = records
        self._names = names
        self._restated = restated

    def of_select(self, entry: SelectRecord, around: Iterable[Term]) -> Iterator[FactShape]:
        """Yield what a SELECT reads, where terms hold for the rows of the SELECT around it."""
        if entry.select is None or entry.froms is None:
            yield from (FactShape(table.name, ()) for table in entry.tables)
            for child in entry.children:
                yield from self.of_select(child, ())
            return
        sources = {leaf for each in entry.froms for leaf in _leaves(each)}
        outer = tuple(each for each in around if not _mentions(each, sources))
        passed_on = (term for each in sources for term in self._passed_on(each))
        where = (*outer, *terms(entry.select.whereclause, self._names), *passed_on)
        yield from _of_tables(entry, [leaf for each in entry.froms for leaf in _with_terms(each, where, self._names)])
        within_from = {id(each) for source in entry.froms for each in visitors.iterate(source)}
        inner = (*where, *_terms_of_joins(entry.froms, self._names))
        for child in entry.children:
            yield from self.of_select(child, outer if id(child.original) in within_from else inner)

    def _passed_on(self, source: FromClause) -> Iterator[Term]:
        """Yield what holds for the columns of a subquery in FROM, unless they are NULL."""
        entry = self._records.get(id(_selected_in(source)))
        if entry is None or entry.select is None or entry.froms is None:
            return
        if isinstance(source, CTE) and source.name in self._restated:
            return
        holding = (*terms(entry.select.whereclause, self._names), *_terms_of_joins(entry.froms, self._names))
        values: dict[Place, list[Among]] = {}
        for place, among in _values(holding):
            values.setdefault(place, []).append(among)
        for column in source.columns:
            if (inner := _place_within(column)) is not None:
                place = Place(source, column.name, inner.kind)
                yield from (Among(place, each.values, or_null=True) for each in values.get(inner, ()))


def _selected_in(source: FromClause) -> object:
    """Return what a subquery or common table expression selects."""
    element = source.element if isinstance(source, (CTE, Subquery)) else None
    return element.element if isinstance(element, SelectStatementGrouping) else element


def _place_within(column: Any) -> Place | None:
    """Return the column of which a subquery's column is the copy."""
    copied: Sequence[Any] = getattr(column, "_proxies", ())
    places = {place_of(each.element if isinstance(each, Label) else each) for each in copied}
    return places.pop() if len(places) == 1 else None


def _of_tables(entry: SelectRecord, leaves: Iterable[tuple[FromClause, tuple[Term, ...]]]) -> Iterator[FactShape]:
    visited = Counter(table.name for table in entry.tables)
    for source, holding in leaves:
        if (table := _table(source)) is not None:
            visited[table.name] -= 1
            yield FactShape(table.name, tuple(_conditions(source, table, holding)))
    yield from (FactShape(name, ()) for name, more in visited.items() if more > 0)


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
        right = set(_leaves(source.right))
        if source.isouter and not any(_refuses_nulls(each, right) for each in holding):
            yield from _with_terms(source.left, holding, names)
            yield from _with_terms(source.right, (*_without(holding, right), *on), names)
        else:
            yield from _with_terms(source.left, (*holding, *on), names)
            yield from _with_terms(source.right, (*holding, *on), names)


def _terms_of_joins(sources: Iterable[FromClause], names: Names) -> Iterator[Term]:
    """Yield the terms of ON clauses that hold for all combinations that elements of FROM yield."""
    for source in sources:
        if isinstance(source, FromGrouping):
            yield from _terms_of_joins((source.element,), names)
        elif isinstance(source, Join) and not source.full:
            yield from _terms_of_joins((source.left,), names)
            if not source.isouter:
                yield from _terms_of_joins((source.right,), names)
                yield from terms(source.onclause, names)


def _without(holding: Iterable[Term], sources: set[FromClause]) -> tuple[Term, ...]:
    return tuple(each for each in holding if not _mentions(each, sources))


def _mentions(term: Term, sources: set[FromClause]) -> bool:
    places = (term.place,) if isinstance(term, Among) else (term.one, term.other)
    return any(place.source in sources for place in places)


def _refuses_nulls(term: Term, sources: set[FromClause]) -> bool:
    """Return whether a term is false if the columns of some elements of FROM are NULL."""
    if isinstance(term, Among) and (term.or_null or None in term.values):
        return False
    return _mentions(term, sources)


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
            note_condition(table.name, column.name)
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
