"""The command ``triggers``: which tables it writes, and how it compares a database."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from starlette_reactive._cli.main import app
from starlette_reactive._database.triggers import drop_sql, triggers_sql

from .conftest import Database
from .models import board, metadata, task

APPLICATION = """
from starlette.applications import Starlette
from starlette.routing import Route
from tests.database.triggers import models

def board(request):
    return models.board

class Model:
    metadata = models.metadata

def make_app():
    return Starlette(routes=[Route("/", board)])

app = make_app()
nothing = Starlette()
"""
MODULE = "application_with_tables"


@pytest.fixture(autouse=True)
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    (tmp_path / f"{MODULE}.py").write_text(APPLICATION)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["triggers", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("name", ["app", "make_app", "Model", "Model.metadata"])
def test_it_writes_the_tables_of_an_application_or_of_metadata(name: str) -> None:
    tables = [metadata.tables[each] for each in sorted(metadata.tables)]
    assert run(f"{MODULE}:{name}") == (0, triggers_sql(tables) + "\n")
    assert run(f"{MODULE}:{name}", "--drop") == (0, drop_sql(tables) + "\n")


def test_it_writes_the_tables_that_are_named() -> None:
    assert run(f"{MODULE}:app", "--table", "task", "--table", "board") == (0, triggers_sql([board, task]) + "\n")
    status, output = run(f"{MODULE}:app", "--table", "tusk")
    assert status == 2
    assert "'tusk' not found: the tables are" in output


@pytest.mark.parametrize("name", ["nothing", "no_such_name", "models"])
def test_a_target_without_tables_exits_with_2(name: str) -> None:
    status, output = run(f"{MODULE}:{name}")
    assert status == 2
    assert output.startswith("starlette-reactive: ")


def test_it_reports_missing_outdated_and_disabled_triggers(database: Database) -> None:
    url = ("--check", database.url)
    assert run(f"{MODULE}:app", *url) == (0, "The triggers are up to date.\n")
    with psycopg.connect(database.url) as connection:
        connection.execute("alter table board disable trigger reactive_update")
        connection.execute("drop function reactive_page cascade")
        connection.execute("drop table plain")
        connection.execute(
            "create or replace function reactive_paint() returns trigger language plpgsql as 'begin end'"
        )
        connection.execute("create table measure_newest partition of measure for values from (4000) to (5000)")
    status, output = run(f"{MODULE}:app", *url)
    assert status == 1
    assert output.splitlines() == [
        "board lacks a trigger, or it is disabled",
        "measure_newest lacks a trigger, or it is disabled",
        "page has no triggers",
        "paint has outdated triggers",
        "plain does not exist",
        "Run the migration that this command writes.",
    ]


def test_a_database_that_cannot_have_triggers_exits_with_2(without_triggers: Database) -> None:
    for url in ("sqlite://", "no url", without_triggers.url.replace("/triggers", "/missing")):
        status, output = run(f"{MODULE}:app", "--check", url)
        assert status == 2
        assert output.startswith("starlette-reactive: ")
