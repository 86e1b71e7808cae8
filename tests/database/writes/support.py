"""What tests of writes share: the events of commits, and all rows of a database as facts name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Engine, Table, select

from starlette_reactive import ChangeEvent
from starlette_reactive._core.facts import Fact, condition, table_scope
from starlette_reactive._database.values import kind_of

from .models import Base

Row = tuple[str | None, ...]
"""The values of a row, in the order of the table's columns that carry values."""


class Emitted:
    """Collects emitted events."""

    def __init__(self) -> None:
        self.events: list[ChangeEvent] = []

    def emit(self, event: ChangeEvent) -> None:
        self.events.append(event)

    def take(self) -> list[ChangeEvent]:
        """Return the events since the last call."""
        events, self.events = self.events, []
        return events

    def paths(self) -> dict[str, set[str]]:
        """Return the changed paths by scope, of the events since the last call."""
        found: dict[str, set[str]] = {}
        for event in self.take():
            found.setdefault(event.scope, set()).update(event.changed_paths)
        return found

    def of(self, table: str) -> set[str]:
        """Return the changed paths of a table, of the events since the last call."""
        return self.paths().get(table_scope(table), set())


def value_columns(table: Table) -> list[str]:
    """Return the names of the columns that carry values."""
    return [column.name for column in table.columns if kind_of(column) is not None]


def all_rows(engine: Engine) -> dict[str, dict[object, tuple[Row, object]]]:
    """Return the rows of each table by primary key: what facts name of it, and all of it."""
    found: dict[str, dict[object, tuple[Row, object]]] = {}
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            rows = found[table.name] = {}
            kinds = {name: kind_of(table.c[name]) for name in value_columns(table)}
            for row in connection.execute(select(table)).mappings():
                image = tuple(
                    None if row[name] is None or kind is None else kind.text(row[name]) for name, kind in kinds.items()
                )
                key = tuple(row[column.name] for column in table.primary_key)
                rows[key] = image, tuple(row.values())
    return found


def missed(
    before: Mapping[str, Mapping[object, tuple[Row, object]]],
    after: Mapping[str, Mapping[object, tuple[Row, object]]],
    paths: Mapping[str, set[str]],
) -> Iterator[str]:
    """Yield facts about changed rows that the events of a commit do not meet."""
    if "db:*" in paths:
        return
    for table in Base.metadata.sorted_tables:
        old, new = before[table.name], after[table.name]
        for key in old.keys() | new.keys():
            if old.get(key) != new.get(key):
                for rows in (old, new):
                    if key in rows:
                        yield from _missed_facts(table, rows[key][0], paths.get(table_scope(table.name), set()))
                if table.name not in paths.get("db", set()):
                    yield f"{table.name} in the scope of all commits"


def _missed_facts(table: Table, row: Row, paths: set[str]) -> Iterator[str]:
    conditions = [condition(name, [value], is_key=True) for name, value in zip(value_columns(table), row, strict=True)]
    for each in (*([one] for one in conditions), conditions):
        if not paths or not Fact(table.name, frozenset(each)).is_met_by(paths):
            yield f"{table.name} {row}: {sorted(map(sorted, each))} by {sorted(paths)}"


def only(paths: Iterable[str], *columns: str) -> set[str]:
    """Return the paths of some columns."""
    return {path for path in paths if path.partition("=")[0] in columns}
