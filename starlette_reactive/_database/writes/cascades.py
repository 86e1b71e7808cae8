"""Which other rows a database changes by itself: the actions of foreign keys, as the metadata declares them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import ForeignKeyConstraint, Table
from sqlalchemy.exc import InvalidRequestError, NoReferencedTableError

from .changes import Changes, Image, Values
from .tables import kinds_of

__all__ = ["Rows", "any_rows", "referred_columns", "with_consequences"]

_ACTIONS: Final = frozenset(("CASCADE", "SET NULL", "SET DEFAULT"))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that change.

    Args:
        table: Their table.
        before: Their values before. ``None`` if they are new.
        after: Their values after. ``None`` if they are deleted.
        assigned: The columns that may differ.
    """

    table: Table
    before: Image | None
    after: Image | None
    assigned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key with an action.

    Args:
        table: The table that has it.
        columns: Its columns, each with the column that it refers to.
        ondelete: What happens if the row is deleted that it refers to.
        onupdate: What happens if the column changes that it refers to.
    """

    table: Table
    columns: tuple[tuple[str, str], ...]
    ondelete: str
    onupdate: str


_references: WeakKeyDictionary[Table, tuple[int, tuple[_Reference, ...]]] = WeakKeyDictionary()


def any_rows(table: Table) -> Iterator[Rows]:
    """Yield rows of a table that may be any, as deleted ones and as changed ones."""
    image: dict[str, Values] = dict.fromkeys(kinds_of(table))
    yield Rows(table, image, None)
    yield Rows(table, image, image, frozenset(column.name for column in table.columns))


def referred_columns(table: Table) -> frozenset[str]:
    """Return the names of the columns that foreign keys with an action refer to."""
    return frozenset(name for each in _references_to(table) for _, name in each.columns)


def with_consequences(rows: Iterable[Rows]) -> Changes:
    """Return the changes of rows, and of all rows that change with them."""
    changes = Changes()
    seen: dict[tuple[str, bool], Changes] = {}
    todo = deque(rows)
    while todo:
        each = todo.popleft()
        _add(changes, each)
        references = _references_to(each.table)
        if references and _add(seen.setdefault((each.table.key, each.after is None), Changes()), each):
            todo.extend(_consequences(references, each))
    return changes


def _add(changes: Changes, rows: Rows) -> bool:
    """Add rows to changes. Return whether they have made a difference."""
    before = changes.tables.get(rows.table.name)
    for image in (rows.before, rows.after):
        if image is not None:
            changes.add(rows.table.name, image)
    return changes.tables[rows.table.name] != before


def _consequences(references: Iterable[_Reference], rows: Rows) -> Iterator[Rows]:
    if rows.before is None:
        return
    for each in references:
        action = each.onupdate
        if rows.after is None:
            action = each.ondelete
        elif rows.assigned.isdisjoint(name for _, name in each.columns):
            continue
        if action in _ACTIONS:
            yield _rows_of(each, action, rows)


def _rows_of(reference: _Reference, action: str, rows: Rows) -> Rows:
    before = _referring(reference, rows, rows.before)
    assigned = frozenset(name for name, _ in reference.columns)
    if action == "CASCADE":
        after = None if rows.after is None else _referring(reference, rows, rows.after)
    else:
        value: Values = frozenset((None,)) if action == "SET NULL" else None
        after = {**before, **{name: value for name in assigned if name in before}}
    return Rows(reference.table, before, after, assigned)


def _referring(reference: _Reference, rows: Rows, image: Image | None) -> Image:
    """Return the image of rows that refer to others with an image."""
    own, referred = kinds_of(reference.table), kinds_of(rows.table)
    result: dict[str, Values] = dict.fromkeys(own)
    for name, target in reference.columns:
        if name in own and target in referred and own[name] == referred[target]:
            result[name] = (image or {}).get(target)
    return result


def _references_to(table: Table) -> tuple[_Reference, ...]:
    count = len(table.metadata.tables)
    known, references = _references.get(table, (-1, ()))
    if known != count:  # tables are added while models are imported
        references = tuple(_find_references(table))
        _references[table] = count, references
    return references


def _find_references(table: Table) -> Iterator[_Reference]:
    for other in table.metadata.tables.values():
        for constraint in other.foreign_key_constraints:
            actions = [str(each or "").upper() for each in (constraint.ondelete, constraint.onupdate)]
            if not _ACTIONS.isdisjoint(actions) and (columns := _columns_of(constraint, table)):
                yield _Reference(other, columns, *actions)


def _columns_of(constraint: ForeignKeyConstraint, table: Table) -> tuple[tuple[str, str], ...]:
    columns = []
    for each in constraint.elements:
        try:
            target: Any = each.column
        except (NoReferencedTableError, InvalidRequestError):
            return ()
        if target.table.key != table.key:
            return ()
        columns.append((each.parent.name, target.name))
    return tuple(columns)
