"""Random commits, and pages that are run again after each of them: no page changes without notice."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import StaticPool, create_engine

from starlette_reactive._database.triggers import triggers_sql
from starlette_reactive.engines import POSTGRES_DDL

from ...engines.servers import PostgresServer
from .commits import KNOWN_ROWS
from .judge import Oracle
from .models import Base, enforce_foreign_keys
from .pages import FOREIGN_KEYS
from .worlds import SESSIONS, ExactWorld, TriggerWorld, check, check_rows, open_world

ISOLATION = ("READ COMMITTED", "REPEATABLE READ")


@pytest.fixture
def number(request: pytest.FixtureRequest) -> int:
    """The number of commits of one test."""
    return int(request.config.getoption("--tracking-commits"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    return f"{request.config.getoption('--tracking-seed')} {request.node.name}"


def assert_sound(oracle: Oracle, number: int) -> None:
    assert not oracle.misses, "\n\n".join(map(str, oracle.misses[:5]))
    assert sum(oracle.commits.values()) == number
    failed = sum(count for name, count in oracle.commits.items() if name.endswith("(failed)"))
    assert failed <= number / 5, oracle.commits
    assert sum(tally.useful for tally in oracle.tallies.values()) > number / 5, oracle.report()


@pytest.mark.parametrize("sessions", SESSIONS)
def test_no_page_on_sqlite_changes_without_notice(sessions: str, tmp_path: Path, number: int, seed: str) -> None:
    url = "sqlite://" if sessions == "sync" else f"sqlite:///{tmp_path / 'test.sqlite3'}"
    with open_world(url, sessions) as world:
        assert_sound(check(world, number, seed), number)


@pytest.mark.parametrize("isolation", ISOLATION)
@pytest.mark.parametrize("sessions", SESSIONS)
def test_no_page_on_postgresql_changes_without_notice(
    sessions: str, isolation: str, postgres: PostgresServer, number: int, seed: str
) -> None:
    with open_world(postgres.url, sessions, isolation_level=isolation) as world:
        assert_sound(check(world, number, seed), number)


def test_triggers_miss_no_change_of_a_page(postgres: PostgresServer, number: int, seed: str) -> None:
    engine = create_engine(postgres.url.replace("postgresql", "postgresql+psycopg", 1))
    Base.metadata.create_all(engine)
    with psycopg.connect(postgres.url) as connection:
        connection.execute(POSTGRES_DDL.encode())
        connection.execute(triggers_sql(Base.metadata.tables.values()).encode())
    with TriggerWorld(engine) as world:
        assert_sound(check(world, number, seed), number)
        assert not check_rows(world, number, seed)
    Base.metadata.drop_all(engine)
    engine.dispose()


def test_facts_suffice_if_events_are_exact(number: int, seed: str) -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    enforce_foreign_keys(engine)
    with ExactWorld(engine) as world:
        assert_sound(check(world, 2 * number, seed), 2 * number)


def test_each_row_that_changes_is_emitted(number: int, seed: str) -> None:
    with open_world("sqlite://", "sync") as world:
        assert not check_rows(world, 4 * number, seed)


@pytest.mark.slow
def test_no_page_changes_without_notice_in_many_commits(number: int, seed: str) -> None:
    with open_world("sqlite://", "sync") as world:
        assert_sound(check(world, 125 * number, seed, size=6), 125 * number)


@pytest.mark.slow
def test_pages_of_selects_by_keys_run_for_little_else(number: int, seed: str) -> None:
    """Commits whose rows are known show how precise the facts are."""
    with open_world("sqlite://", "sync") as world:
        oracle = check(world, 25 * number, seed, commits=KNOWN_ROWS, pages=FOREIGN_KEYS)
    assert_sound(oracle, 25 * number)
    assert oracle.precision >= 0.85, oracle.report()
