"""Which pieces of SQL text are known to read no table."""

from __future__ import annotations

import pytest

from starlette_reactive._database.reads.fragments import (
    is_harmless_fragment,
    is_harmless_statement,
    is_pure,
    without_literals,
)


@pytest.mark.parametrize(
    ("text", "dialect", "is_harmless"),
    [
        ("title DESC", "sqlite", True),
        ("a = 1 AND (b = 2 OR c IN (1, 2))", "sqlite", True),
        ("lower(title) LIKE 'x%'", "sqlite", True),
        ("count(*) FILTER (WHERE done)", "postgresql", True),
        ("now() - interval '1 day'", "postgresql", True),
        ("(SELECT 1)", "sqlite", False),
        ("exists (table task)", "postgresql", False),
        ("a = 1 UNION VALUES (1)", "sqlite", False),
        ("total(x)", "sqlite", True),
        ("total(x)", "postgresql", False),
        ("own.lower(x)", "postgresql", False),
        ('"Own Function" (x)', "postgresql", False),
        ("`own`(x)", "mysql", False),
        ("[own](x)", "mssql", False),
        ("own/* comment */(x)", "mysql", False),
        ("own -- comment\n(x)", "postgresql", False),
        ("1; drop", "sqlite", False),
    ],
)
def test_a_fragment_is_harmless_if_it_calls_known_functions_only(text: str, dialect: str, is_harmless: bool) -> None:
    assert is_harmless_fragment(text, dialect) is is_harmless


@pytest.mark.parametrize(
    ("text", "is_harmless"),
    [
        ("SELECT 1", True),
        ("select now()", True),
        ("SET LOCAL app.user = 'x'", True),
        ("  BEGIN IMMEDIATE", True),
        ("INSERT INTO task (id) VALUES (1)", True),
        ("UPDATE task SET title = 'x';", False),
        ("SELECT * FROM task", False),
        ("SELECT own()", False),
        ("SET x = 1; SELECT * FROM task", False),
        ("DELETE FROM task RETURNING id", False),
        ("INSERT INTO task SELECT * FROM other", False),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("EXPLAIN SELECT 1", False),
        ("VALUES (1)", False),
        ("(SELECT * FROM task)", False),
        ("", False),
    ],
)
def test_a_statement_is_harmless_if_it_shows_no_rows(text: str, is_harmless: bool) -> None:
    assert is_harmless_statement(text, "postgresql") is is_harmless


def test_functions_belong_to_a_dialect() -> None:
    assert is_pure("Count", "oracle")
    assert is_pure("group_concat", "mariadb")
    assert not is_pure("group_concat", "postgresql")


def test_strings_are_cut_out() -> None:
    assert without_literals("SELECT 'it''s', 'a' FROM x") == "SELECT '…', '…' FROM x"
