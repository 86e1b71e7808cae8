"""The migration that creates the triggers of the tables of some metadata, and whether a database has them.

Statement-level triggers fire for the table that a statement names. So each partition of a partitioned table has
triggers too, for those who write to it by its own name. A partition that is created later has none until the migration
is written and run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table, text
from sqlalchemy.engine import Connection

from .function import function_body
from .quoting import dollar_quoted, function_name, literal, qualified

__all__ = ["MissingTriggers", "drop_sql", "missing_triggers", "triggers_sql"]

_TRANSITIONS: Final = {
    "insert": " referencing new table as new_rows",
    "update": " referencing old table as old_rows new table as new_rows",
    "delete": " referencing old table as old_rows",
    "truncate": "",
}

_HEAD: Final = """-- Emits what statements change in some tables. Write it again when the keys of a table change.
do $rx$
begin
    if to_regprocedure('reactive.rx_emit(text,text[],text,text[])') is null then
        raise exception 'the schema "reactive" is missing'
            using hint = 'Run starlette_reactive.engines.POSTGRES_DDL first, or start the application once.';
    end if;
end $rx$;
"""


@dataclass(frozen=True, slots=True)
class MissingTriggers:
    """A table whose changes are not emitted as the migration would have them emitted.

    Args:
        table: The table, or a partition, with its schema if it is not on the search path.
        reason: What is wrong with it.
    """

    table: str
    reason: str


def triggers_sql(tables: Iterable[Table]) -> str:
    """Return the migration that creates the triggers of some tables, or replaces them. It may run again."""
    return "\n".join((_HEAD, *map(_create, tables)))


def drop_sql(tables: Iterable[Table]) -> str:
    """Return the migration that drops the triggers and functions of some tables. It may run again."""
    return "\n".join(f"drop function if exists {qualified(table, function_name(table))}() cascade;" for table in tables)


def missing_triggers(connection: Connection, tables: Iterable[Table]) -> Iterator[MissingTriggers]:
    """Yield the tables of a PostgreSQL database whose triggers are missing, disabled or outdated."""
    for table in tables:
        named = {"function": f"{qualified(table, function_name(table))}()", "name": qualified(table)}
        if connection.scalar(_IS_TABLE, named) is None:
            yield MissingTriggers(table.fullname, "does not exist")
        elif connection.scalar(_SOURCE, named) != function_body(table):
            exists = connection.scalar(_SOURCE, named) is not None
            yield MissingTriggers(table.fullname, "has outdated triggers" if exists else "has no triggers")
        else:
            for relation in connection.scalars(_WITHOUT_TRIGGERS, named):
                yield MissingTriggers(relation, "lacks a trigger, or it is disabled")


def _create(table: Table) -> str:
    function = f"{qualified(table, function_name(table))}()"
    return f"""
create or replace function {function} returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as {dollar_quoted(function_body(table))};
revoke execute on function {function} from public;
{_do(_create_triggers(table, function))}"""


def _create_triggers(table: Table, function: str) -> str:
    each = "".join(
        f"""
        execute 'drop trigger if exists reactive_{action} on ' || relation;
        execute 'create trigger reactive_{action} after {action} on ' || relation
            || {literal(f"{rows} execute function {function}")};"""
        for action, rows in _TRANSITIONS.items()
    )
    return f"""
declare
    relation regclass;
begin
    for relation in
        {_RELATIONS.format(table=literal(qualified(table)))}
    loop{each}
    end loop;
end """


_RELATIONS: Final = """select {table}::regclass
        union
        select tree.relid from pg_partition_tree({table}) as tree join pg_class on pg_class.oid = tree.relid
        where pg_class.relkind in ('r', 'p')"""
"""A query of a table and its partitions. Foreign tables cannot have such triggers."""

_IS_TABLE: Final = text("select to_regclass(:name)::text")
_SOURCE: Final = text("select prosrc from pg_proc where oid = to_regprocedure(:function)")
_WITHOUT_TRIGGERS: Final = text(
    f"""
    select relation::text from ({_RELATIONS.format(table="cast(:name as text)")}) as known(relation)
    where {len(_TRANSITIONS)} > (
        select count(*) from pg_trigger
        where tgrelid = relation and tgfoid = to_regprocedure(:function) and tgenabled in ('O', 'A')
    ) order by 1
    """
)


def _do(body: str) -> str:
    return f"do {dollar_quoted(body)};\n"
