"""Scripts, jobs and forked processes: what they emit arrives, although they end at once, or they say why it has not.

Each test runs a program of ``short_lived`` as a process, and looks at its exit status, its standard error and what the
bus of another process receives.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from starlette_reactive import ConnectionInfo, ReactiveBus

from .conftest import World, level, soon

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
START_METHODS = ("fork", "forkserver", "spawn")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def program(url: str, *words: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "default::ResourceWarning", "-m", "tests.engines.short_lived", *words],
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
