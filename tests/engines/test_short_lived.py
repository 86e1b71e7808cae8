"""Scripts, jobs and forked processes: what they emit arrives, although they end at once, or they say why it has not.

Each test runs a program of ``short_lived`` as a process, and looks at its exit status, its standard error and what the
bus of another process receives.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import psycopg
import pytest

from starlette_reactive import ConnectionInfo

from ..support import quiet_port, require
from .conftest import POSTGRES, REDIS, World, level
from .servers import PostgresServer, RedisServer, postgres_binaries, redis_binary

ROOT = Path(__file__).parents[2]

NOT_STARTED = (
    "emit",
    "emit_and_exit_at_once",
    "emit_and_be_killed",
    "emit_on_the_bus_of_a_function",
    "emit_in_a_loop_and_exit_at_once",
    "await_an_emit_then_emit_and_exit_at_once",
    "await_a_question_then_emit_and_exit_at_once",
)
STARTED = (
    "start_and_emit",
    "start_emit_and_stop",
    "start_and_emit_while_the_interpreter_ends",
    "start_and_emit_after_the_main_thread",
    "emit_in_a_forked_process_of_a_started_bus",
)
WARNINGS = ("-W", "ignore::DeprecationWarning", "-W", "default::ResourceWarning")  # the former for forks since 3.12
START_METHODS = ("fork", "forkserver", "spawn")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def program(url: str, *words: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *WARNINGS, "-m", "tests.engines.short_lived", *words],
        cwd=ROOT,
        env={**os.environ, "BUS": url, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    with process:
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


async def run(url: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return await anyio.to_thread.run_sync(lambda: finished(program(url, *words, **variables)))


async def received_paths(world: World, *words: str, status: int = 0, until: frozenset[str] = frozenset()) -> set[str]:
    """Run a program, and return the paths that another process has received."""
    there = world.process()
    await level(there)
    with there.subscribe(world.scope) as subscription:
        assert await there.ready(world.scope)
        done = await run(world.url, *words, SCOPE=world.scope)
        assert (done.returncode, done.stderr) == (status, "")
        paths: set[str] = set()
        with anyio.fail_after(30):
            while not paths or not until <= paths:
                paths |= (await anext(subscription)).changed_paths
    return paths


@pytest.mark.parametrize("name", [*NOT_STARTED, *STARTED])
async def test_what_a_process_emits_arrives_although_it_ends_at_once(shared: World, name: str) -> None:
    status = -9 if name == "emit_and_be_killed" else 0
    assert await received_paths(shared, name, status=status) == {"a"}


@pytest.mark.parametrize("start_method", START_METHODS)
async def test_what_a_terminated_pool_of_multiprocessing_emits_arrives(shared: World, start_method: str) -> None:
    paths = frozenset({"p0", "p1", "p2", "p3"})
    assert await received_paths(shared, "emit_in_a_pool", start_method, until=paths) == paths


@pytest.mark.parametrize("start_method", START_METHODS)
async def test_a_process_of_multiprocessing_that_starts_a_bus_sends_what_waits(
    shared: World, start_method: str
) -> None:
    assert await received_paths(shared, "start_and_emit_in_a_process_of_multiprocessing", start_method) == {"a"}


async def test_forked_processes_do_not_share_a_connection(shared: World) -> None:
    paths = frozenset({"parent", *(f"{name}{number}" for name in ("parent", "one", "two") for number in range(50))})
    assert await received_paths(shared, "emit_in_forked_processes_of_a_bus_that_has_emitted", until=paths) == paths


async def test_a_publisher_serves_threads_and_forked_processes(shared: World) -> None:
    names = [f"{name}-{number}-{each}" for name in ("parent", "child") for number in range(4) for each in range(10)]
    paths = frozenset({"parent", *names})
    assert await received_paths(shared, "publish_in_forked_processes", until=paths) == paths


async def test_emits_of_several_threads_arrive(shared: World) -> None:
    paths = frozenset(f"p{number}" for number in range(20))
    assert await received_paths(shared, "emit_in_threads_and_exit_at_once", until=paths) == paths


async def test_a_signal_handler_may_emit_in_the_midst_of_an_emit(shared: World) -> None:
    paths = frozenset({"a", "handler"})
    assert await received_paths(shared, "emit_in_a_signal_handler", until=paths) == paths


@pytest.mark.parametrize("name", ["end_a_user_and_exit_at_once", "start_end_a_user_and_stop"])
async def test_a_user_whom_a_process_ends_is_ended_in_others(shared: World, name: str) -> None:
    there = shared.process()
    await level(there)
    with there.subscribe(shared.scope, connection=ConnectionInfo("tab", "ann")) as subscription:
        assert await there.ready(shared.scope)
        done = await run(shared.url, name)
        assert (done.returncode, done.stderr) == (0, "")
        with anyio.fail_after(30):
            async for _ in subscription:
                pass


# An engine that is down, or hangs for a while


def new_server(kind: str, directory: Path) -> RedisServer | PostgresServer:
    if kind == REDIS:
        require(redis_binary(), "redis-server")
        return RedisServer(directory)
    require(postgres_binaries(), "PostgreSQL's server")
    return PostgresServer(directory)


def has_change(server: RedisServer | PostgresServer, scope: str) -> bool:
    if isinstance(server, RedisServer):
        return not server.command("ZSCORE", "starlette-reactive:1:0:scopes", scope).startswith(b"$-1")
    with psycopg.connect(server.url) as connection:
        return connection.execute("select from reactive.log where scope = %s", [scope]).rowcount > 0


def password_url(kind: str, port: int) -> str:
    return {
        REDIS: f"redis://user:secret@127.0.0.1:{port}/0",
        POSTGRES: f"postgresql://user:secret@127.0.0.1:{port}/postgres",
    }[kind]


@pytest.fixture(params=[REDIS, POSTGRES])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_an_emit_fails_if_the_engine_is_down(kind: str) -> None:
    done = await run(password_url(kind, quiet_port()), "emit", PATIENCE="0.5")
    assert done.returncode != 0
    assert f"EmitTimeoutError: {kind} has not accepted the change of 'board:1' within 0.5 s" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"starlette-reactive: exiting with 1 change in 'board:1' not sent to {kind}: ")
    assert "refused" in last
    assert "secret" not in done.stderr


async def test_an_exit_that_loses_changes_has_status_120_and_says_which_and_why(kind: str) -> None:
    done = await run(password_url(kind, quiet_port()), "start_and_emit_in_many_scopes", PATIENCE="0.5")
    assert done.returncode == 120
    scopes = ", ".join(f"'board:{number}'" for number in range(1, 11))
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        f"starlette-reactive: exiting with 12 changes in {scopes} and 2 other scopes not sent to {kind}: "
    )
    assert "refused" in last
    assert "secret" not in done.stderr


async def test_a_stop_that_could_not_send_changes_says_which_and_why(kind: str) -> None:
    done = await run(password_url(kind, quiet_port()), "start_emit_and_stop", PATIENCE="0.5")
    assert done.returncode == 120
    stopped, exiting = (f"{begin} with 1 change in 'board:1' not sent to {kind}: " for begin in ("stopped", "exiting"))
    assert stopped in done.stderr
    assert exiting in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(("start_method", "status"), [("fork", 0), ("forkserver", 0), ("spawn", 120)])
async def test_a_process_of_multiprocessing_that_loses_changes_says_so(
    kind: str, start_method: str, status: int
) -> None:
    url = password_url(kind, quiet_port())
    done = await run(url, "start_and_emit_in_a_process_of_multiprocessing", start_method, PATIENCE="0.5")
    assert done.returncode == status
    assert done.stderr.count(f"starlette-reactive: exiting with 1 change in 'board:1' not sent to {kind}: ") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize("name", ["say_so_and_emit", "start_say_so_and_emit"])
async def test_changes_arrive_on_an_engine_that_comes_up_a_moment_later(kind: str, tmp_path: Path, name: str) -> None:
    with new_server(kind, tmp_path) as server:
        server.kill()
        process = program(server.url, name, PATIENCE="60")
        assert process.stdout is not None
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "emitting\n"
        await anyio.to_thread.run_sync(server.start)
        done = await anyio.to_thread.run_sync(finished, process)
        assert done.returncode == 0, done.stderr
        assert has_change(server, "board:1")


@pytest.mark.parametrize("name", ["say_so_and_emit", "start_say_so_and_emit"])
async def test_changes_arrive_on_an_engine_that_hangs_for_a_moment(kind: str, tmp_path: Path, name: str) -> None:
    with new_server(kind, tmp_path) as server:
        server.freeze()
        process = program(server.url, name, PATIENCE="60")
        assert process.stdout is not None
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "emitting\n"
        server.thaw()
        done = await anyio.to_thread.run_sync(finished, process)
        assert (done.returncode, done.stderr) == (0, "")
        assert has_change(server, "board:1")


@pytest.mark.parametrize("name", ["emit", "start_and_emit", "start_emit_and_stop"])
async def test_a_process_with_a_bus_in_memory_ends_quietly(name: str) -> None:
    done = await run("memory://", name)
    assert (done.returncode, done.stderr) == (0, "")
