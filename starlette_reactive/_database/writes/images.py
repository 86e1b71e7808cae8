"""What one execution of a statement changes, from its plan, its parameters and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import InvalidRequestError

from .cascades import Rows, any_rows, with_consequences
from .changes import Changes, Image, Values
from .old_rows import OldRows
from .plans import Plan, Source, Verb, values_in
from .tables import kinds_of, values_of

__all__ = ["changes_of"]

Parameters = Sequence[Mapping[str, Any]]


def changes_of(plan: Plan, parameters: Parameters, old: OldRows | None, result: CursorResult[Any] | None) -> Changes:
    """Return what a statement has changed, or may have.

    Args:
        plan: Its plan.
        parameters: Its sets of parameters.
        old: What its rows were before, if they were read.
        result: Its result. ``None`` if it has failed, or is not known to have succeeded.
    """
    count = -1 if result is None else _count(result)
    if count == 0 and plan.verb in (Verb.UPDATE, Verb.DELETE) and len(parameters) == 1:
        return Changes()
    if plan.verb is Verb.REPLACE:
        rows = [*any_rows(plan.table)]
    else:
        rows = [_rows(plan, parameters, _verified(old, count), result)]
    return with_consequences([*rows, *(each for table in plan.others for each in any_rows(table))])


def _count(result: CursorResult[Any]) -> int:
    """Return how many rows a statement has changed. -1 if that is not known."""
    compiled: Any = result.context.compiled
    if compiled.effective_returning or not result.supports_sane_rowcount():
        return -1
    count = result.rowcount
    return count if isinstance(count, int) else -1


def _verified(old: OldRows | None, count: int) -> Image:
    """Return the old rows' image. Rows that were not found may have been inserted since."""
    if old is None or (old.found < old.wanted and not 0 <= count <= old.found):
        return {}
    return old.image


def _rows(plan: Plan, parameters: Parameters, old: Image, result: CursorResult[Any] | None) -> Rows:
    kinds = kinds_of(plan.table)
    assigned = {name: _values(plan, name, plan.assigned[name], parameters) for name in kinds if name in plan.assigned}
    if plan.verb is Verb.INSERT:
        image = {**dict.fromkeys(kinds), **_without_null_keys(plan, assigned)}
        return Rows(plan.table, None, image if result is None else {**image, **_generated(plan, image, result)})
    if plan.verb is Verb.UPSERT:
        image = {**dict.fromkeys(kinds), **assigned}
        return Rows(plan.table, image, image, frozenset(column.name for column in plan.table.columns))
    before: dict[str, Values] = {
        name: _values(plan, name, plan.matched[name], parameters) if name in plan.matched else old.get(name)
        for name in kinds
    }
    after = None if plan.verb is Verb.DELETE else {**before, **assigned}
    return Rows(plan.table, before, after, frozenset(plan.assigned))


def _values(plan: Plan, column: str, source: Source | None, parameters: Parameters) -> Values:
    if source is None:
        return None
    try:
        return values_of(kinds_of(plan.table)[column], values_in(source, parameters))
    except (KeyError, TypeError):
        return None


def _without_null_keys(plan: Plan, assigned: Mapping[str, Values]) -> dict[str, Values]:
    """Return the values of new rows. A primary key that is NULL is one that the database makes."""
    keys = {column.name for column in plan.table.primary_key}
    return {name: values for name, values in assigned.items() if name not in keys or None not in (values or ())}


def _generated(plan: Plan, image: Image, result: CursorResult[Any]) -> Image:
    """Return the values that the database has given to new rows, as far as SQLAlchemy has asked for them."""
    missing = [name for name, values in image.items() if values is None]
    if not missing or not plan.returns_keys:
        return {}
    try:
        keys: list[Any] = result.inserted_primary_key_rows
        others: Sequence[Any] = result.returned_defaults_rows or ()
    except InvalidRequestError:  # the application asks for rows itself
        return {}
    count = len(result.context.compiled_parameters)
    found: dict[str, list[Any]] = {}
    for position, column in enumerate(plan.table.primary_key if len(keys) == count else ()):
        found[column.name] = [row[position] for row in keys]
    mappings = [row._mapping for row in others]  # noqa: SLF001 - it is public
    for column in plan.table.columns if len(others) == count else ():
        if column in mappings[0]:
            found.setdefault(column.name, [mapping[column] for mapping in mappings])
    kinds = kinds_of(plan.table)
    values = {name: values_of(kinds[name], found[name]) for name in missing if name in found}
    return _without_null_keys(plan, values)
