"""Statements that are only text count as writes unless their first word says otherwise."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from starlette_reactive._database.writes.texts import Effect, effect_of

from .support import Emitted

HARMLESS = [
    "SELECT 1",
    "  (select 1)",
    "-- UPDATE\nSELECT 1",
    "/* DELETE */ SELECT 1",
    "SELECT * FROM tasks FOR UPDATE",
    "SELECT 'a;b'",
    "SELECT 1;",
    "WITH a AS (SELECT 1) SELECT * FROM a FOR NO KEY UPDATE",
    "EXPLAIN SELECT 1",
    "PRAGMA foreign_keys = ON",
    "SET TRANSACTION READ ONLY",
    "BEGIN",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "NOTIFY channel, 'x'",
    "PREPARE TRANSACTION 'x'",
]
WRITES = [
    "UPDATE tasks SET done = true",
    "insert into tasks values (1)",
    "/* a\n */ -- b\n DELETE FROM tasks",
    "WITH a AS (DELETE FROM tasks RETURNING id) SELECT * FROM a",
    "WITH a AS (SELECT 1) UPDATE tasks SET done = true",
    "EXPLAIN ANALYZE UPDATE tasks SET done = true",
    "SELECT 1; DELETE FROM tasks",
    "BEGIN; DELETE FROM tasks; COMMIT",
    "COMMIT; DELETE FROM tasks",
    "TRUNCATE tasks",
    "DROP TABLE tasks",
    "ALTER TABLE tasks ADD COLUMN a INTEGER DEFAULT 1",
    "CREATE OR REPLACE VIEW a AS SELECT 1",
    "CREATE TABLE a (b INTEGER); INSERT INTO a VALUES (1)",
    "MERGE INTO tasks USING a ON true WHEN MATCHED THEN DELETE",
    "REPLACE INTO tasks VALUES (1)",
    "COPY tasks FROM STDIN",
    "CALL archive()",
    "DO $$ BEGIN PERFORM archive(); END $$",
    "EXECUTE prepared",
    "REFRESH MATERIALIZED VIEW totals",
    "something new",
]


@pytest.mark.parametrize("statement", HARMLESS)
def test_a_statement_that_changes_no_row(statement: str) -> None:
    assert effect_of(statement) is Effect.NOTHING


@pytest.mark.parametrize("statement", WRITES)
def test_a_statement_that_may_change_rows(statement: str) -> None:
    assert effect_of(statement) is Effect.WRITE


@pytest.mark.parametrize(
    ("statement", "effect"),
    [
        ("COMMIT", Effect.COMMIT),
        ("end transaction", Effect.COMMIT),
        ("COMMIT PREPARED 'x'", Effect.COMMIT_OF_OTHERS),
        ("CREATE TABLE a (b INTEGER)", Effect.DEFINITION),
        ("CREATE INDEX a ON tasks (id)", Effect.DEFINITION),
    ],
)
def test_a_statement_that_commits_or_defines(statement: str, effect: Effect) -> None:
    assert effect_of(statement) is effect


@pytest.mark.parametrize("as_driver_sql", [False, True])
def test_a_write_as_text_may_change_any_table(engine: Engine, emitted: Emitted, as_driver_sql: bool) -> None:
    with engine.begin() as connection:
        if as_driver_sql:
            connection.exec_driver_sql("SELECT * FROM tasks")
            connection.exec_driver_sql("UPDATE tasks SET done = true")
        else:
            connection.execute(text("SELECT * FROM tasks"))
            connection.execute(text("UPDATE tasks SET done = true"))
        assert emitted.take() == []
    assert emitted.paths() == {"db:*": {"*"}}


def test_definitions_of_new_tables_change_nothing(engine: Engine, emitted: Emitted) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE others (id INTEGER)"))
        connection.execute(text("CREATE INDEX of_others ON others (id)"))
    assert emitted.take() == []
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE others"))
    assert emitted.paths() == {"db:*": {"*"}}
