"""Random statements over a small schema, run before and after random writes of single rows.

If a statement's result differs, the row before and after the write must meet the facts that the statement has read.
``python -m tests.database.reads.random_statements --cases 20000`` runs more of them than the suite.
"""

from __future__ import annotations

import argparse
import enum
import random
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    Enum,
    ForeignKey,
    FromClause,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    create_engine,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    not_,
    null,
    or_,
    select,
    true,
    union,
    union_all,
    update,
)
from sqlalchemy.exc import OperationalError, SAWarning
from sqlalchemy.sql.expression import CompoundSelect

from starlette_reactive._core.facts import Facts, table_scope, value_path
from starlette_reactive._core.reads import Reads, reading
from starlette_reactive._database.reads import watch_reads
from starlette_reactive._database.values import kind_of, kind_of_type

METADATA = MetaData()


class State(enum.Enum):
    OPEN = "open"
    DONE = "done"


BOARD = Table(
    "board",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("owner_id", Integer),
    Column("archived", Boolean),
    Column("name", String),
)
TASK = Table(
    "task",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("board_id", ForeignKey("board.id")),
    Column("parent_id", ForeignKey("task.id")),
    Column("state", Enum(State)),
    Column("done", Boolean),
    Column("due", Date),
    Column("title", String),
)
LABEL = Table(
    "label",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("task_id", ForeignKey("task.id")),
    Column("state", Enum(State)),
    Column("due", Date),
)
TABLES = (BOARD, TASK, LABEL)
NUMBERS = {"id", "owner_id", "board_id", "parent_id", "task_id"}
DAYS = (date(2024, 2, 28), date(2024, 2, 29))


@dataclass
class Outcome:
    """What cases have shown.

    Args:
        changed: The writes that changed a result.
        met: The writes that met the facts.
        tried: The writes.
        refused: The statements that SQLite refused.
        missed: A description of each that changed a result and met no fact.
    """

    changed: int = 0
    met: int = 0
    tried: int = 0
    refused: int = 0
    missed: list[str] = field(default_factory=list)


class Statements:
    """Makes random statements.

    Args:
        chance: The source of chance.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._tables = chance.sample(TABLES, chance.choice([1, 2, 2, 3]))
        self._names = chance.choice([NUMBERS, NUMBERS, {"id", "board_id", "owner_id", "done", "archived"}, None])

    def statement(self) -> Select[Any] | CompoundSelect[Any]:
        if self._chance.random() < 0.5:
            return self._joined()
        if self._chance.random() < 0.1:
            one, other = self._select(1).subquery(), self._select(1).subquery()
            for column in other.columns:
                if type(column.type) is type((first := self._some_column(one)).type):
                    return self._chance.choice([union, union_all])(select(first), select(column))
        return self._select(2)

    def _joined(self) -> Select[Any]:
        """Return a statement of joins and conditions on numbers, of which many matter."""
        sources = [self._numbers()]
        joined = sources[0]
        for _ in range(self._chance.choice([1, 1, 2])):
            other = self._numbers()
            on = [self._number(sources) == self._number([other])]
            if self._chance.random() < 0.3:
                on.append(self._condition_on_numbers([*sources, other]))
            kind = self._chance.choice(["inner", "left", "left", "full"])
            joined = joined.join(other, and_(*on), isouter=kind == "left", full=kind == "full")
            sources.append(other)
        where = [self._condition_on_numbers(sources) for _ in range(self._chance.choice([0, 1, 1, 2]))]
        if self._chance.random() < 0.3:
            inner = self._numbers()
            correlated = self._number([inner]) == self._number(sources)
            found = exists(select(literal(1)).select_from(inner).where(correlated, self._condition_on_numbers([inner])))
            where.append(self._chance.choice([found, not_(found)]))
        return select(self._number(sources), self._number(sources).label("other")).select_from(joined).where(*where)

    def _numbers(self) -> FromClause:
        table = self._chance.choice(self._tables).alias()
        if self._chance.random() < 0.7:
            return table
        inner = select(*self._columns_of(table, NUMBERS)).where(self._condition_on_numbers([table]))
        return inner.cte() if self._chance.random() < 0.5 else inner.subquery()

    def _number(self, sources: list[FromClause]) -> ColumnElement[Any]:
        return self._chance.choice(self._columns_of(self._chance.choice(sources), NUMBERS))

    def _condition_on_numbers(self, sources: list[FromClause]) -> ColumnElement[Any]:
        one, other = self._number(sources), self._number(sources)
        kind, value = self._chance.random(), self._chance.choice([1, 2])
        if kind < 0.4:
            return one == value
        if kind < 0.55:
            return one.is_(None)
        if kind < 0.7:
            return or_(one == value, self._chance.choice([one, other]).is_(None))
        if kind < 0.85:
            return one == other
        return self._chance.choice([one.in_([1, value]), one != value, and_(one == value, other == value)])

    def _select(self, depth: int, around: tuple[FromClause, ...] = ()) -> Select[Any]:
        from_, sources = self._from(depth)
        outer = tuple(each for each in around if not any(each is own for own in sources))
        where = [self._condition((*sources, *outer), depth) for _ in range(self._chance.choice([0, 1, 1, 2]))]
        if outer and self._chance.random() < 0.6:
            where.append(self._on(list(outer), sources, 0))
        if self._chance.random() < 0.2:
            group = self._some_column(self._chance.choice(sources))
            counted = self._some_column(self._chance.choice(sources))
            statement = select(group, func.count(), func.max(counted)).group_by(group)
            if self._chance.random() < 0.4:
                statement = statement.having(func.count() > self._chance.choice([0, 1, 2]))
        else:
            columns = [
                self._output(sources, depth).label(f"c{number}") for number in range(self._chance.choice([1, 2]))
            ]
            statement = select(*columns)
        statement = statement.select_from(from_).where(*where)
        if around:
            statement = statement.correlate(*outer) if outer else statement.correlate(None)
        if self._chance.random() < 0.15:
            statement = statement.distinct()
        if self._chance.random() < 0.2:
            statement = statement.order_by(*statement.selected_columns).limit(self._chance.choice([1, 2, 5]))
        return statement

    def _from(self, depth: int) -> tuple[FromClause, list[FromClause]]:
        first = self._source(depth)
        joined, sources = first, [first]
        for _ in range(self._chance.choice([0, 0, 1, 1, 2])):
            other = self._source(depth)
            if any(each is other for each in sources):
                continue
            nested, added = other, [other]
            if self._chance.random() < 0.15 and isinstance(third := self._source(depth).alias(), FromClause):
                nested = other.join(third, self._on([other], [third], depth), isouter=self._chance.random() < 0.4)
                added = [other, third]
            kind = self._chance.choice(["inner", "inner", "left", "left", "left", "full"])
            on = self._on(sources, added, depth)
            joined = joined.join(nested, on, isouter=kind == "left", full=kind == "full")
            sources += added
        return joined, sources

    def _on(self, left: list[FromClause], right: list[FromClause], depth: int) -> ColumnElement[Any]:
        pairs = [
            (one, other)
            for one in self._columns(left)
            for other in self._columns(right)
            if kind_of_type(one.type) == kind_of_type(other.type) and kind_of_type(one.type) is not None
        ]
        terms = [
            one == other for one, other in self._chance.sample(pairs, min(len(pairs), self._chance.choice([1, 1, 2])))
        ]
        if self._chance.random() < 0.4:
            terms.append(self._condition((*left, *right), depth))
        return and_(true(), *terms)

    def _source(self, depth: int) -> FromClause:
        if depth > 1 and self._chance.random() < 0.2:
            inner = self._select(depth - 1)
            return inner.cte() if self._chance.random() < 0.4 else inner.subquery()
        if depth > 1 and self._chance.random() < 0.1:
            return self._children()
        table = self._chance.choice(self._tables)
        return table if self._chance.random() < 0.6 else table.alias()

    def _children(self) -> FromClause:
        """Return tasks with the tasks below them."""
        child = TASK.alias()
        found = select(TASK.c.id, TASK.c.board_id).where(self._condition((TASK,), 0)).cte(recursive=True)
        below = select(child.c.id, child.c.board_id).where(child.c.parent_id == found.c.id)
        return found.union(below)

    def _columns(self, sources: list[FromClause] | tuple[FromClause, ...]) -> list[ColumnElement[Any]]:
        return [column for each in sources for column in self._columns_of(each)]

    def _columns_of(self, source: FromClause, only: set[str] | None = None) -> list[ColumnElement[Any]]:
        columns: list[ColumnElement[Any]] = list(source.columns)
        names = only or self._names
        return [each for each in columns if names is None or each.key in names] or columns

    def _some_column(self, source: FromClause) -> ColumnElement[Any]:
        return self._chance.choice(self._columns_of(source))

    def _output(self, sources: list[FromClause], depth: int) -> ColumnElement[Any]:
        column = self._some_column(self._chance.choice(sources))
        kind = self._chance.random()
        if kind < 0.1:
            return func.count().over(partition_by=column)
        if kind < 0.2:
            return func.coalesce(column, column)
        if kind < 0.25:
            return case((self._condition(tuple(sources), 0), 1), else_=0)
        if kind < 0.4 and depth > 0:
            inner = self._select(depth - 1, tuple(sources))
            return self._scalar(inner)
        return column

    def _scalar(self, inner: Select[Any]) -> ColumnElement[Any]:
        return inner.with_only_columns(func.count()).order_by(None).limit(None).scalar_subquery()

    def _condition(self, sources: tuple[FromClause, ...], depth: int) -> ColumnElement[Any]:
        kind = self._chance.random()
        if kind < 0.1:
            return or_(self._condition(sources, depth), self._condition(sources, depth))
        if kind < 0.15:
            return and_(self._condition(sources, depth), self._condition(sources, depth))
        if kind < 0.2:
            return not_(self._condition(sources, depth))
        if kind < 0.3 and depth > 0:
            return exists(self._select(depth - 1, sources).with_only_columns(literal(1)).order_by(None))
        if kind < 0.35 and depth > 0:
            column = self._some_column(self._chance.choice(sources))
            inner = self._select(depth - 1, sources)
            return column.in_(inner.with_only_columns(inner.selected_columns[0]))
        if kind < 0.5:
            return self._comparison_of_columns(sources)
        return self._comparison(self._some_column(self._chance.choice(sources)))

    def _comparison_of_columns(self, sources: tuple[FromClause, ...]) -> ColumnElement[Any]:
        columns = self._columns(sources)
        one = self._chance.choice(columns)
        others = [each for each in columns if type(each.type) is type(one.type)]
        other = self._chance.choice(others)
        return one == other if self._chance.random() < 0.8 else one.is_not_distinct_from(other)

    def _comparison(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        value = self.value_of(column)
        other = self.value_of(column)
        kind = self._chance.random()
        if isinstance(column.type, Boolean) and kind < 0.4:
            flags: list[ColumnElement[Any]] = [column, ~column, column.is_(True), column == false()]
            return self._chance.choice(flags)
        if kind < 0.6:
            return column == value if value is not None else column.is_(null())
        if kind < 0.65:
            return column.in_([value, other])
        if kind < 0.7:
            return or_(column == value, column == other)
        if kind < 0.75:
            parameter: BindParameter[Any] = bindparam(None, value, type_=column.type)
            return column.is_(null()) if value is None else and_(column == parameter)
        if kind < 0.8:
            return and_(column != value)
        if kind < 0.85:
            replaced: ColumnElement[Any] = func.coalesce(column, literal(value, column.type))
            return replaced == literal(other, column.type)
        if kind < 0.9:
            return column.is_(None)
        return column.is_not(None)

    def value_of(self, column: ColumnElement[Any]) -> Any:
        return self._chance.choice(_values(column))


def _values(column: ColumnElement[Any]) -> list[Any]:
    if isinstance(column.type, Enum):
        return [None, *State]
    if isinstance(column.type, Boolean):
        return [None, True, False]
    if isinstance(column.type, Date):
        return [None, *DAYS]
    if isinstance(column.type, Integer):
        return [None, 1, 1, 1, 2, 2, 3]
    return [None, "a", "b"]


class Rows:
    """The rows of the schema, in a database and in memory."""

    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self._connection = connection
        self._chance = chance
        self._rows: dict[Table, dict[int, dict[str, Any]]] = {table: {} for table in TABLES}
        for table in TABLES:
            for number in range(1, 6):
                self._insert(table, number)

    def write(self) -> tuple[Table, list[Mapping[str, Any]]]:
        """Write one row; return its table, and the row before and after."""
        table = self._chance.choice(TABLES)
        rows = self._rows[table]
        number = self._chance.randint(1, 6)
        if number not in rows:
            return table, [self._insert(table, number)]
        old = rows[number]
        if self._chance.random() < 0.4:
            self._connection.execute(delete(table).where(table.c.id == number))
            del rows[number]
            return table, [old]
        names = self._chance.sample(
            [each.name for each in table.c if each.name != "id"], self._chance.choice([1, 1, 2])
        )
        new = old | {name: self._chance.choice(_values(table.c[name])) for name in names}
        self._connection.execute(update(table).where(table.c.id == number).values(new))
        rows[number] = new
        return table, [old, new]

    def _insert(self, table: Table, number: int) -> dict[str, Any]:
        row = {each.name: self._chance.choice(_values(each)) for each in table.c} | {"id": number}
        self._connection.execute(insert(table).values(row))
        self._rows[table][number] = row
        return row


def paths_of(table: Table, rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the paths of rows as a commit names them."""
    for row in rows:
        for column in table.columns:
            kind, value = kind_of(column), row[column.name]
            if kind is not None:
                yield value_path(column.name, None if value is None else kind.text(value))


def run_cases(seed: int, cases: int, writes: int) -> Outcome:
    """Run random statements before and after random writes."""
    outcome = Outcome()
    engine = create_engine("sqlite://")
    watch_reads(engine)
    with warnings.catch_warnings(), engine.connect() as connection:
        warnings.simplefilter("ignore", SAWarning)
        METADATA.create_all(connection)
        for number in range(cases):
            try:
                _run_case(connection, random.Random(f"{seed}/{number}"), writes, outcome, f"{seed}/{number}")
            except OperationalError:  # SQLite refuses some of them
                outcome.refused += 1
    engine.dispose()
    return outcome


def _run_case(connection: Connection, chance: random.Random, writes: int, outcome: Outcome, name: str) -> None:
    for table in TABLES:
        connection.execute(delete(table))
    statement = Statements(chance).statement()
    rows = Rows(connection, chance)
    facts, before = _execute(connection, statement)
    for _ in range(writes):
        table, images = rows.write()
        is_met = facts.are_met_by({table_scope(table.name): set(paths_of(table, images))})
        new_facts, after = _execute(connection, statement)
        outcome.tried += 1
        outcome.met += is_met
        outcome.changed += before != after
        if before != after and not is_met:
            outcome.missed.append(f"{name}: {table.name} {images}\n{statement}\n{facts}\n{before}\n{after}")
        facts, before = new_facts, after


def _execute(connection: Connection, statement: Any) -> tuple[Facts, list[str]]:
    reads = Reads()
    with reading(reads):
        result = sorted(map(repr, connection.execute(statement).all()))
    return reads.facts, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--writes", type=int, default=12)
    options = parser.parse_args()
    outcome = run_cases(options.seed, options.cases, options.writes)
    print(f"{outcome.tried} writes, {outcome.changed} changed a result, {outcome.met} met the facts")
    print(f"{outcome.refused} statements refused")
    print(f"{len(outcome.missed)} missed")
    print(*outcome.missed[:3], sep="\n\n")


if __name__ == "__main__":
    main()
