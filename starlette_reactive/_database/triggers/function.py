"""The trigger function of a table, which emits the paths of the rows that a statement has changed.

A function runs once for a statement, with its old and new rows as *transition tables*. It emits for each column of the
primary key and of a foreign key the values of the changed rows, and :data:`UNNAMED` for all other columns. An UPDATE
emits the rows that differ. They are found by their primary key: a key that has other values now, or none, differs.

No write must ever fail because of a trigger. So the function runs with its owner's rights, compares rows by
their bytes and keys by their text where a type may have no operators, and fails for nothing that a table may contain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Boolean, Column, Date, Enum, Integer, Table, Uuid

from ..._core.emit_filters import UPDATE_MARK
from ..._core.facts import COMMITS, UNNAMED, column_path, table_path, table_scope
from .quoting import literal, name

__all__ = ["MAX_VALUES", "function_body"]

MAX_VALUES: Final = 200
"""The values of one column that are named. If there are more, the column stands for any value."""

_AS_TEXT: Final = (Integer, Boolean, Date)
"""Types whose text needs no escaping."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A column whose values are named.

    Args:
        column: The column's name.
        is_escaped: Whether its text needs escaping.
        is_date: Whether its text depends on settings of the session.
    """

    column: str
    is_escaped: bool = False
    is_date: bool = False

    def text(self, row: str) -> str:
        """Return the text of its value in a row."""
        value = f"{row}.{name(self.column)}"
        return f"to_char({value}, 'YYYY-MM-DD')" if self.is_date else f"{value}::text"

    def paths(self, number: int) -> str:
        """Return a query of the array of its paths in the changed rows.

        Args:
            number: Which column of the changed rows has its values.
        """
        value = _ESCAPED if self.is_escaped else "value"
        prefix = literal(f"{column_path(self.column)}=")
        return (
            f"(select case when count(*) > {MAX_VALUES} then array[{literal(column_path(self.column))}]\n"
            f"            else array_agg({prefix} || coalesce({value}, '')) end\n"
            f"            from (select distinct k{number} as value from changed limit {MAX_VALUES + 1}) as known)"
        )


_ESCAPED = r"""
            case when value = '' then chr(37) when value collate "C" ~ '^[A-Za-z0-9_~-]*$' then value else (
                select string_agg(
                    case when letter collate "C" ~ '[A-Za-z0-9_~-]' then letter
                    else regexp_replace(
                        upper(encode(convert_to(letter, 'UTF8'), 'hex')), '(..)', chr(37) || '\1', 'g') end,
                    '' order by place)
                from regexp_split_to_table(value, '') with ordinality as split(letter, place)
            ) end""".strip()
"""The text ``value``, escaped as in :func:`value_path`."""


def function_body(table: Table) -> str:
    """Return the body of the trigger function of a table, in PL/pgSQL."""
    keys = [each for column in _key_columns(table) if (each := _key_of(column)) is not None]
    unnamed = [column.name for column in _key_columns(table) if _key_of(column) is None]
    constant = ", ".join(literal(path) for path in (*map(column_path, unnamed), UNNAMED))
    paths = "\n        || ".join((f"array[{constant}]", *(key.paths(number) for number, key in enumerate(keys))))
    branches = (
        ("INSERT", _all("new_rows", keys)),
        ("DELETE", _all("old_rows", keys)),
        ("UPDATE", _changed(table, keys)),
    )
    return f"""
#variable_conflict use_column
declare
    origin text := nullif(current_setting('reactive.origin', true), '');
    paths text[];
begin
    if origin = {literal(UPDATE_MARK)} then
        return null;
    end if;
    if tg_op = 'TRUNCATE' then
        paths := '{{*}}';
{"".join(_branch(operation, changed, paths) for operation, changed in branches)}    end if;
    if paths is not null then
        perform reactive.rx_emit({literal(table_scope(table.name))}, paths, origin),
            reactive.rx_emit({literal(COMMITS)}, array[{literal(table_path(table.name))}], origin);
    end if;
    return null;
end """


def _branch(operation: str, changed: str, paths: str) -> str:
    return f"""    elsif tg_op = '{operation}' then
        paths := (
        with {changed}
        select {paths}
        where exists (select from changed)
        );
"""


def _all(rows: str, keys: Sequence[_Key]) -> str:
    return f"changed as materialized (select {_texts('each', keys)} from {rows} as each)"


def _changed(table: Table, keys: Sequence[_Key]) -> str:
    """Return the common table expressions of the rows that an UPDATE changes, before and after it."""
    primary = list(table.primary_key.columns)
    both = "select {} from old_rows as each {} union all select {} from new_rows as each {}"
    if not primary:
        differ = "where exists (select one::text from old_rows as one except all select one::text from new_rows as one)"
        texts = _texts("each", keys)
        return f"changed as materialized ({both.format(texts, differ, texts, differ)})"
    first = name(primary[0].name)
    join = " and ".join(f"{_comparable('before', column)} = {_comparable('after', column)}" for column in primary)
    return f"""different as materialized (
            select before.{first} is not null as was, after.{first} is not null as is_now,
                {_texts("before", keys, "b")}, {_texts("after", keys, "a")}
            from old_rows as before full join new_rows as after on {join}
            where (before.* operator(pg_catalog.*<>) after.*) is not false
        ), changed as materialized (
            select {_columns("b", keys)} from different where was
            union all
            select {_columns("a", keys)} from different where is_now
        )"""


def _texts(row: str, keys: Sequence[_Key], prefix: str = "k") -> str:
    texts = [f"{key.text(row)} as {prefix}{number}" for number, key in enumerate(keys)]
    return ", ".join(texts) or f"1 as {prefix}"


def _columns(prefix: str, keys: Sequence[_Key]) -> str:
    return ", ".join(f"{prefix}{number} as k{number}" for number in range(len(keys))) or f"{prefix} as k"


def _comparable(row: str, column: Column[object]) -> str:
    """Return a column of a primary key as PostgreSQL's own types, whose operators are always found."""
    cast = "" if isinstance(column.type, _AS_TEXT) or _is_native_uuid(column) else "::text"
    return f"{row}.{name(column.name)}{cast}"


def _key_columns(table: Table) -> Sequence[Column[object]]:
    return [column for column in table.columns if column.primary_key or column.foreign_keys]


def _key_of(column: Column[object]) -> _Key | None:
    """Return the column if its values are named. ``None`` if only the column is."""
    if isinstance(column.type, Enum):
        return _Key(column.name, is_escaped=True)
    if isinstance(column.type, _AS_TEXT) or _is_native_uuid(column):
        return _Key(column.name, is_date=isinstance(column.type, Date))
    return None


def _is_native_uuid(column: Column[object]) -> bool:
    return isinstance(column.type, Uuid) and column.type.native_uuid
