"""Processes that die, engines that are down, and concurrent writers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from starlette_reactive import ReactiveBus
from starlette_reactive.sqlalchemy import emit_on_commit

from ..engines.servers import RedisServer, redis_binary
from ..support import require
from .held_commits import wait_until
from .models import Board, Task
from .support import EmittedEvents

Sessions = sessionmaker[Session]
ROOT = Path(__file__).parents[2]


# A process that dies


@contextmanager
def flushed(engine: Engine, scopes: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has flushed a row and not committed it yet."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.sqlalchemy.crashing", url, str(scopes)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "flushed\n"
            yield process
        finally:
            process.kill()


def test_a_process_that_dies_between_flush_and_commit_emits_and_changes_nothing(
    engine: Engine, sessions: Sessions, tmp_path: Path
) -> None:
    scopes = tmp_path / "scopes"
    with flushed(engine, scopes) as process:
        process.kill()  # SIGKILL
        process.wait()
    with sessions() as session:
        assert session.execute(select(Task.title, Task.board_id)).all() == [("first", 1)]
    assert not scopes.exists()


def test_a_process_that_dies_after_the_commit_has_emitted(engine: Engine, sessions: Sessions, tmp_path: Path) -> None:
    scopes = tmp_path / "scopes"
    with flushed(engine, scopes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("commit\n")
        process.stdin.flush()
        assert process.stdout.readline() == "committed\n"
        process.kill()
        process.wait()
    with sessions() as session:
        found = session.execute(select(Task.title, Task.board_id).order_by(Task.id)).all()
        assert found == [("first", 2), ("second", 1)]
    assert sorted(scopes.read_text().split()) == ["board:1", "board:2"]


# An engine that is down


async def test_a_commit_does_not_wait_for_an_engine_that_is_down(sessions: Sessions, tmp_path: Path) -> None:
    require(redis_binary(), "redis-server")
    server = RedisServer(tmp_path)
    bus, others = ReactiveBus.from_url(server.url), ReactiveBus.from_url(server.url)
    emit_on_commit(sessions, bus, {Task: lambda task: (f"board:{task.board_id}", {"tasks"})})
    bus.start()
    try:
        with sessions() as session:
            for title in ("second", "third"):
                session.add(Task(title=title, board_id=1))
                session.commit()
            assert len(session.scalars(select(Task)).all()) == 3
        assert not bus.health().connected
        wait_until(lambda: bus.health().waiting == 1)  # one scope, merged
        with others.subscribe("board:1") as subscription:
            server.start()
            with anyio.fail_after(30):
                assert (await anext(subscription)).changed_paths <= {"tasks", "*"}
    finally:
        bus.stop()
        others.stop()
        server.close()


# Concurrent writers


def test_sessions_of_many_threads_emit_exactly_what_each_commits(sessions: Sessions, emitted: EmittedEvents) -> None:
    emit_on_commit(sessions, ReactiveBus(), {Task: lambda task: (f"task:{task.title}", {"title"})})
    threads, rounds = 6, 8
    begin = threading.Barrier(threads)

    def work(thread: int) -> None:
        begin.wait()
        for number in range(rounds):
            with sessions() as session:
                session.add(Task(title=f"{thread}-{number}"))
                savepoint = session.begin_nested()
                session.add(Task(title=f"{thread}-{number}-inner"))
                session.flush()
                if number % 2:
                    savepoint.rollback()
                if number % 3:
                    session.commit()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, thread) for thread in range(threads)]:
            done.result()
    with sessions() as session:
        stored = session.scalars(select(Task.title).where(Task.title != "first")).all()
    assert Counter(emitted.scopes()) == Counter(f"task:{title}" for title in stored)
    assert len(stored) == threads * 7  # each commits five, two of them with the row in the savepoint


def test_a_row_that_two_sessions_move_emits_every_scope_it_was_in(postgresql: Engine, emitted: EmittedEvents) -> None:
    sessions = sessionmaker(postgresql)
    with sessions.begin() as session:
        session.add_all([Board(slug=slug) for slug in "abc"])
        session.flush()
        session.add(Task(title="first", board_id=1))
    emit_on_commit(sessions, ReactiveBus(), {Task: lambda task: (f"board:{task.board_id}", {"tasks"})})

    def move_on(started: threading.Event) -> None:
        with sessions() as session:
            task = session.get_one(Task, 1)
            session.commit()
            task.board_id = 3
            started.set()
            session.commit()  # waits for the other session, which has moved the row to 2

    with ThreadPoolExecutor(1) as pool, sessions() as session:
        session.get_one(Task, 1).board_id = 2
        session.flush()
        started = threading.Event()
        second = pool.submit(move_on, started)
        assert started.wait(60)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        session.commit()
        assert emitted.scopes() == ["board:1", "board:2"]
        second.result(timeout=60)
    assert emitted.scopes() == ["board:2", "board:3"]


def test_moving_a_deleted_row_emits_nothing(sessions: Sessions, emitted: EmittedEvents) -> None:
    emit_on_commit(sessions, ReactiveBus(), {Task: lambda task: (f"board:{task.board_id}", {"tasks"})})
    with sessions() as session, sessions() as other:
        task = session.get_one(Task, 1)
        session.commit()
        other.delete(other.get_one(Task, 1))
        other.commit()
        assert emitted.scopes() == ["board:1"]
        task.board_id = 2
        with pytest.raises(Exception, match="Task|tasks"):
            session.commit()
        session.rollback()
    assert emitted() == []
