"""Streams end however a server, or a worker of it, is told to stop. So it stops."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from ..support import eventually
from ..test_server import Reader, reading
from .conftest import COMMANDS, GUNICORN, HYPERCORN, UVICORN, GroupOfProcesses, running

STREAMS = ["/stream", "/generated", "/wrapped/stream", "/wrapped/generated"]
PATIENCE = 60.0
"""Seconds until a worker has to be gone. The servers themselves would wait longer for its streams."""
PATIENT_GUNICORN = [*GUNICORN, "--graceful-timeout", "600", "--timeout", "600", "--worker-class"]
GUNICORN_UVICORN = [*PATIENT_GUNICORN, "uvicorn_worker.UvicornWorker"]
GUNICORN_ASGI = [*PATIENT_GUNICORN, "asgi"]
PATIENT_HYPERCORN = [*HYPERCORN, "--graceful-timeout", "600", "--worker-class"]
PROGRAM = ["-m", "tests.servers.programs"]

Stop = Callable[[GroupOfProcesses, int], Awaitable[object]]
"""Tells a server, or its worker with a process id, to stop."""


def sending(number: signal.Signals) -> Stop:
    async def stop(server: GroupOfProcesses, _: int) -> None:
        server.process.send_signal(number)

    return stop


async def end_worker(_: GroupOfProcesses, worker: int) -> None:
    os.kill(worker, signal.SIGTERM)


async def reach_limit(server: GroupOfProcesses, worker: int) -> None:
    """Send requests until the worker has answered as many as it may."""
    while is_running(worker):
        await is_answering(server)


async def block_loop(server: GroupOfProcesses, _: int) -> None:
    """Block the event loop of the only worker, until it is killed."""
    async with await server.open("/hang") as connection:
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            await connection.receive()


async def change_module(_: GroupOfProcesses, worker: int) -> None:
    """Change a module of the application until the worker has noticed."""
    module = Path(os.environ["PYTHONPATH"].partition(os.pathsep)[0]) / "reloaded.py"
    while is_running(worker):
        module.write_text(module.read_text() + "\n")
        await anyio.sleep(0.5)


def reloaded(command: list[str], *options: str) -> list[str]:
    """Return a command for an application in a module that may be changed."""
    return [*("reloaded:app" if part == "tests.servers.app:app" else part for part in command), *options]


ENDING: dict[str, tuple[list[str], Stop]] = {
    "uvicorn-sigterm": (UVICORN, sending(signal.SIGTERM)),
    "uvicorn-sigint": (UVICORN, sending(signal.SIGINT)),
    "uvicorn-without-lifespan": ([*UVICORN, "--lifespan", "off"], sending(signal.SIGTERM)),
    "uvicorn-limit": ([*UVICORN, "--limit-max-requests", "50"], reach_limit),
    "uvicorn-limit-h11": ([*UVICORN, "--limit-max-requests", "50", "--loop", "asyncio", "--http", "h11"], reach_limit),
    "uvicorn-own-handler": ([*PROGRAM, "own_handler", "{port}"], sending(signal.SIGTERM)),
    "uvicorn-own-handler-without-lifespan": (
        [*PROGRAM, "own_handler_without_lifespan", "{port}"],
        sending(signal.SIGTERM),
    ),
    "uvicorn-thread": ([*PROGRAM, "thread", "{port}"], sending(signal.SIGTERM)),
    "uvicorn-workers": ([*UVICORN, "--workers", "2"], sending(signal.SIGTERM)),
    "gunicorn-sigterm": (GUNICORN_UVICORN, sending(signal.SIGTERM)),
    "gunicorn-asgi-sigterm": (GUNICORN_ASGI, sending(signal.SIGTERM)),
    "hypercorn-sigterm": ([*PATIENT_HYPERCORN, "asyncio"], sending(signal.SIGTERM)),
    "hypercorn-sigint": ([*PATIENT_HYPERCORN, "asyncio"], sending(signal.SIGINT)),
    "hypercorn-uvloop-sigterm": ([*PATIENT_HYPERCORN, "uvloop"], sending(signal.SIGTERM)),
    "hypercorn-trio-sigterm": ([*PATIENT_HYPERCORN, "trio"], sending(signal.SIGTERM)),
    "granian-sigterm": (COMMANDS["granian"], sending(signal.SIGTERM)),
}
"""Ways to end a server."""

REPLACING: dict[str, tuple[list[str], Stop]] = {
    "uvicorn-sighup": ([*UVICORN, "--workers", "2"], sending(signal.SIGHUP)),
    "uvicorn-worker": ([*UVICORN, "--workers", "2"], end_worker),
    "uvicorn-workers-limit": ([*UVICORN, "--workers", "2", "--limit-max-requests", "50"], reach_limit),
    "uvicorn-reload": (reloaded(UVICORN, "--reload", "--reload-dir", "{directory}"), change_module),
    "gunicorn-sighup": (GUNICORN_UVICORN, sending(signal.SIGHUP)),
    "gunicorn-limit": ([*GUNICORN_UVICORN, "--max-requests", "50"], reach_limit),
    "gunicorn-worker": (GUNICORN_UVICORN, end_worker),
    "gunicorn-timeout": ([*GUNICORN_UVICORN, "--timeout", "2"], block_loop),
    "gunicorn-asgi-sighup": (GUNICORN_ASGI, sending(signal.SIGHUP)),
    "gunicorn-asgi-limit": ([*GUNICORN_ASGI, "--max-requests", "50"], reach_limit),
    "hypercorn-sighup": ([*PATIENT_HYPERCORN, "asyncio"], sending(signal.SIGHUP)),
    "hypercorn-limit": ([*PATIENT_HYPERCORN, "asyncio", "--max-requests", "50"], reach_limit),
    "hypercorn-trio-limit": ([*PATIENT_HYPERCORN, "trio", "--max-requests", "50"], reach_limit),
    "hypercorn-reload": (reloaded([*PATIENT_HYPERCORN, "asyncio"], "--reload"), change_module),
    "granian-sighup": ([*COMMANDS["granian"], "--respawn-interval", "0.1"], sending(signal.SIGHUP)),
    "granian-reload": (reloaded(COMMANDS["granian"], "--reload", "--reload-paths", "{directory}"), change_module),
}
"""Ways to replace a worker."""

SHRINKING: dict[str, list[str]] = {
    "uvicorn": [*UVICORN, "--workers", "2"],
    "gunicorn": [*GUNICORN_UVICORN, "--workers", "2"],
    "gunicorn-asgi": [*GUNICORN_ASGI, "--workers", "2"],
}
"""Servers that end one of their workers on SIGTTOU."""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a module of the application that a test may change."""
    (tmp_path / "reloaded.py").write_text("from tests.servers.app import app as app\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def is_running(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return False


def process_of(reader: Reader) -> int:
    head = reader.received.lower().partition(b"\r\n\r\n")[0]
    return int(head.partition(b"x-process: ")[2].partition(b"\r\n")[0])


async def is_answering(server: GroupOfProcesses) -> bool:
    with contextlib.suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError):
        await server.get("/counts")
        return True
    return False


async def stop_worker(server: GroupOfProcesses, stop: Stop) -> int:
    """Stop the worker of some streams. Wait until it has ended, and the streams with it."""
    async with reading(server, STREAMS) as readers:
        worker = process_of(readers[0])
        with anyio.fail_after(PATIENCE):
            await stop(server, worker)
            await eventually(lambda: not is_running(worker), timeout=PATIENCE)
            await eventually(lambda: all(reader.ended for reader in readers if process_of(reader) == worker))
    return worker


@pytest.mark.parametrize("way", ENDING)
async def test_a_server_ends_with_streams_open(way: str) -> None:
    command, stop = ENDING[way]
    with running(way, command) as server:
        await stop_worker(server, stop)
        await eventually(lambda: server.process.poll() is not None, timeout=PATIENCE)
        assert "Traceback" not in server.kill()


@pytest.mark.parametrize("way", REPLACING)
async def test_a_worker_is_replaced_with_streams_open(way: str, directory: Path) -> None:
    command, stop = REPLACING[way]
    with running(way, [part.replace("{directory}", str(directory)) for part in command]) as server:
        worker = await stop_worker(server, stop)
        with anyio.fail_after(PATIENCE):
            while not await is_answering(server):  # noqa: ASYNC110 - another process
                await anyio.sleep(0.05)
        async with reading(server, ["/stream"]) as (reader,):
            assert process_of(reader) != worker


@pytest.mark.parametrize("path", ["/stream?patient", "/generated", "/wrapped/generated"])
@pytest.mark.parametrize(
    "way",
    [
        "gunicorn-sigterm",
        "gunicorn-asgi-sigterm",
        "hypercorn-sigterm",
        "hypercorn-uvloop-sigterm",
        "hypercorn-trio-sigterm",
    ],
)
async def test_a_client_that_reads_nothing_does_not_keep_a_server_from_ending(way: str, path: str) -> None:
    command, stop = ENDING[way]
    with running(way, command) as server, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.port))
        stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with reading(server, ["/generated"]) as (reader,):
            for number in range(4):  # more than the buffers between server and client hold
                await server.get(f"/emit?text={number}&size=2000000")
                await eventually(functools.partial(has_received, reader, (number + 1) * 2_000_000), timeout=PATIENCE)
            await stop(server, process_of(reader))
            await eventually(lambda: server.process.poll() is not None, timeout=PATIENCE)


def has_received(reader: Reader, size: int) -> bool:
    return len(reader.received) > size


@contextlib.asynccontextmanager
async def reading_from_two_workers(server: GroupOfProcesses) -> AsyncIterator[list[Reader]]:
    async with contextlib.AsyncExitStack() as stack:
        readers: list[Reader] = []
        while len({process_of(reader) for reader in readers}) < 2:
            assert len(readers) < 400, "one worker takes all connections"
            readers += await stack.enter_async_context(reading(server, STREAMS))
        yield readers


@pytest.mark.parametrize("name", SHRINKING)
async def test_one_of_two_workers_ends_with_streams_open(name: str) -> None:
    with running(name, SHRINKING[name]) as server:
        async with reading_from_two_workers(server) as readers:
            server.process.send_signal(signal.SIGTTOU)
            workers = {process_of(reader) for reader in readers}
            await eventually(lambda: not all(map(is_running, workers)), timeout=PATIENCE)
            (left,) = filter(is_running, workers)
            await eventually(lambda: all(reader.ended for reader in readers if process_of(reader) != left))
            assert not any(reader.ended for reader in readers if process_of(reader) == left)
