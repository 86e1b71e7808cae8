"""What triggers emit when somebody writes to the database without the application."""

from __future__ import annotations

import datetime
import uuid

import psycopg
import pytest
from sqlalchemy import Table

from starlette_reactive._core.facts import COMMITS, UNNAMED, column_path, table_path, table_scope, value_path
from starlette_reactive._database.triggers import drop_sql, triggers_sql
from starlette_reactive._engines.postgres.schema import DDL

from .conftest import Database
from .models import Colour, board, entry, legacy, long, measure, metadata, odd, page, paint, plain, slot, task

DAY, ROOM = "2026-11-29", "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
BOARDS = "insert into board values (1, 'a'), (2, 'b')"
TASKS = "insert into task values (1, 1, 'x', '{}'), (2, null, 'y', null)"


def change(table: Table, *paths: str) -> dict[str, set[str]]:
    return {table_scope(table.name): {UNNAMED, *paths}, COMMITS: {table_path(table.name)}}


def test_inserted_rows_are_named_by_their_keys(database: Database) -> None:
    assert database.emitted(BOARDS) == change(board, "id=1", "id=2")
    assert database.emitted(TASKS) == change(task, "id=1", "id=2", "board_id=1", "board_id=")


def test_an_update_names_the_rows_that_differ(database: Database) -> None:
    database.emitted(BOARDS, TASKS)
    assert database.emitted("update task set title = 'x'") == change(task, "id=2", "board_id=")
    assert database.emitted("update task set data = '[]' where id = 1") == change(task, "id=1", "board_id=1")


@pytest.mark.parametrize(
    "statement",
    ["update task set title = title", "update task set title = 'z' where false", "delete from task where id = 9"],
)
def test_a_statement_that_changes_nothing_emits_nothing(database: Database, statement: str) -> None:
    database.emitted(BOARDS, TASKS)
    assert database.emitted(statement) == {}


def test_a_moved_row_has_its_old_and_new_keys(database: Database) -> None:
    database.emitted(BOARDS, TASKS)
    moved = database.emitted("update task set board_id = 2 where id = 1")
    assert moved == change(task, "id=1", "board_id=1", "board_id=2")
    assert database.emitted("update task set id = 3 where id = 1") == change(task, "id=1", "id=3", "board_id=2")


def test_rows_that_swap_their_primary_keys_have_changed(database: Database) -> None:
    deferrable = "alter table page drop constraint page_pkey, add primary key (slug) deferrable"
    database.emitted(deferrable, "insert into page values ('a', 'x'), ('b', 'y')")
    swapped = database.emitted("update page set slug = case slug when 'a' then 'b' else 'a' end")
    assert swapped == change(page, "slug")


def test_deleted_rows_and_those_that_a_foreign_key_deletes_are_named(database: Database) -> None:
    database.emitted(BOARDS, TASKS)
    assert database.emitted("delete from board where id = 1") == {
        table_scope("board"): {UNNAMED, "id=1"},
        table_scope("task"): {UNNAMED, "id=1", "board_id=1"},
        COMMITS: {"board", "task"},
    }


def test_a_truncated_table_has_changed_as_a_whole(database: Database) -> None:
    database.emitted(BOARDS)
    assert database.emitted("truncate plain") == {table_scope("plain"): {"*"}, COMMITS: {"plain"}}


def test_an_upsert_names_inserted_and_updated_rows(database: Database) -> None:
    database.emitted(BOARDS)
    upsert = (
        "insert into board values (1, 'new'), (2, 'b'), (3, 'c') on conflict (id) do update set name = excluded.name"
    )
    assert database.emitted(upsert) == change(board, "id=1", "id=3")
    assert database.emitted("insert into board values (1, 'q') on conflict do nothing") == {}


def test_copied_rows_are_named(database: Database) -> None:
    database.clear()
    with psycopg.connect(database.url) as connection, connection.cursor().copy("copy board from stdin") as copy:
        copy.write("7\tcopied\n")
    assert database.log() == {scope: (paths, {None}) for scope, paths in change(board, "id=7").items()}


def test_more_values_than_the_bound_stand_for_any_value(database: Database) -> None:
    database.emitted(BOARDS)
    many = "insert into task select number, 1 from generate_series(1, {}) as number"
    assert len(database.emitted(many.format(200))[table_scope("task")]) == 202
    database.emitted("truncate task")
    assert database.emitted(many.format(201)) == change(task, "id", "board_id=1")
    assert database.emitted("update task set title = 'new'") == change(task, "id", "board_id=1")


def test_a_rolled_back_statement_emits_nothing(database: Database) -> None:
    kept = database.emitted("savepoint s", BOARDS, "rollback to s", "insert into board values (3)")
    assert kept == change(board, "id=3")
    assert database.emitted("delete from board", "rollback") == {}


def test_all_types_of_keys_have_the_text_of_facts(database: Database) -> None:
    names = [value_path("day", DAY), value_path("room", ROOM), value_path("is_open", "true")]
    assert database.emitted(f"insert into slot values ('{DAY}', '{ROOM.upper()}', true)") == change(slot, *names)
    assert datetime.date.fromisoformat(DAY).isoformat() == DAY
    assert str(uuid.UUID(ROOM)) == ROOM


def test_the_style_of_dates_does_not_matter(database: Database) -> None:
    row = f"insert into slot values ('{DAY}', '{ROOM}', false)"
    assert value_path("day", DAY) in database.emitted("set datestyle = 'German, DMY'", row)[table_scope("slot")]


def test_labels_of_enumerations_are_escaped_as_in_facts(database: Database) -> None:
    for label in ("red", "dark red", "gr\u00fcn", "50%", ""):
        inserted = database.emitted(f"insert into paint values ('{label}', '{Colour.DARK_RED.name}')")
        assert inserted == change(paint, value_path("colour", label), value_path("kind", "DARK_RED"))


def test_keys_of_other_types_are_named_without_their_values(database: Database) -> None:
    assert database.emitted("insert into page values ('home', 'text')") == change(page, "slug")
    assert database.emitted("update page set text = 'new'") == change(page, "slug")
    assert database.emitted("insert into legacy values (repeat('a', 32))") == change(legacy, "id")


def test_an_update_of_a_referenced_key_is_seen_in_both_tables(database: Database) -> None:
    database.emitted(
        f"insert into slot values ('{DAY}', '{ROOM}', true)", f"insert into booking values (1, '{DAY}', '{ROOM}', true)"
    )
    changed = database.emitted("update slot set is_open = false")
    for scope in (table_scope("slot"), table_scope("booking")):
        assert {"is_open=true", "is_open=false", value_path("day", DAY), value_path("room", ROOM)} <= changed[scope]


def test_names_that_need_quotes_and_names_of_variables_are_columns(database: Database) -> None:
    database.emitted(BOARDS)
    inserted = database.emitted('insert into "Other"."odd ""table""" values (5, 1, 2, null, \'v\')')
    spaced = value_path("a.b c", None)
    assert inserted == change(odd, "Order=5", "origin=1", "paths=2", spaced)
    updated = database.emitted('update "Other"."odd ""table""" set value = \'new\'')
    assert updated == change(odd, "Order=5", "origin=1", "paths=2", spaced)
    assert column_path("a.b c") == spaced.removesuffix("=")


def test_a_name_that_has_the_greatest_length_has_triggers(database: Database) -> None:
    assert database.emitted(f"insert into {long.name} values (1)") == change(long, "id=1")


def test_tables_without_a_primary_key(database: Database) -> None:
    database.emitted(BOARDS)
    assert database.emitted("insert into entry values (1, '{}'), (2, '{}')") == change(
        entry, "board_id=1", "board_id=2"
    )
    assert database.emitted("update entry set data = data") == {}
    assert database.emitted("update entry set data = '1' where board_id = 2") == change(entry, "board_id=2")
    assert database.emitted("insert into plain values ('a')") == change(plain)
    assert database.emitted("update plain set text = 'b'") == change(plain)
    assert database.emitted("delete from plain") == change(plain)


def test_partitions_are_seen_whoever_names_them(database: Database) -> None:
    assert database.emitted("insert into measure values (1, 1999, 5)") == change(measure, "id=1", "year=1999")
    assert database.emitted("insert into measure_old values (2, 1998, 5)") == change(measure, "id=2", "year=1998")
    moved = database.emitted("update measure set year = 2001 where id = 1")
    assert moved == change(measure, "id=1", "year=1999", "year=2001")
    assert database.emitted("update measure_new_all set level = 6") == change(measure, "id=1", "year=2001")
    assert database.emitted("delete from measure_new") == change(measure, "id=1", "year=2001")
    assert database.emitted("truncate measure_old")[table_scope("measure")] == {"*"}


def test_a_role_that_may_not_use_the_schema_writes_and_is_seen(database: Database) -> None:
    with psycopg.connect(database.url) as admin:
        admin.execute("create role service")
        admin.execute("grant insert on board to service")
    try:
        assert database.emitted("set role service", "insert into board values (4)") == change(board, "id=4")
    finally:
        with psycopg.connect(database.url) as admin:
            admin.execute("drop owned by service")
            admin.execute("drop role service")


def test_the_migration_may_run_again_and_be_undone(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute(triggers_sql(metadata.tables.values()).encode())
    assert database.emitted("insert into board values (4)") == change(board, "id=4")
    for _ in range(2):
        with psycopg.connect(database.url) as connection:
            connection.execute(drop_sql(metadata.tables.values()).encode())
        assert (
            database.emitted("delete from board", "insert into measure_old values (2, 1998, 5)", "delete from measure")
            == {}
        )


def test_the_migration_explains_that_the_schema_is_missing(without_triggers: Database) -> None:
    with psycopg.connect(without_triggers.url, autocommit=True) as connection:
        connection.execute("drop schema reactive cascade")
        with pytest.raises(psycopg.Error, match="POSTGRES_DDL"):
            connection.execute(triggers_sql([board]).encode())
        connection.execute(DDL.encode())
        connection.execute(triggers_sql([board]).encode())
