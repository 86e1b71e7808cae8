"""Streams from uvicorn over real sockets."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.abc
import pytest

from .support import eventually, quiet_port

UVICORN = [sys.executable, "-m", "uvicorn", "tests.server_app:app", "--log-level", "warning"]


class Server:
    """A server process and requests to it."""

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[1]
        )

    async def open(self, path: str) -> anyio.abc.SocketStream:
        connection = await anyio.connect_tcp("127.0.0.1", self.port)
        await connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
        return connection

    async def get(self, path: str) -> dict[str, int]:
        async with await self.open(path) as connection:
            answer = b""
            with anyio.fail_after(20):
                while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
                    answer += await connection.receive()
        found: dict[str, int] = json.loads(answer.split(b"\r\n\r\n", 1)[1])
        return found

    async def wait_for(self, **counts: int) -> None:
        """Wait until the server reports these counts."""
        found: dict[str, int] = {}
        with anyio.move_on_after(60):
            while not counts.items() <= (found := await self.get("/counts")).items():  # noqa: ASYNC110 - another process
                await anyio.sleep(0.02)
        assert counts.items() <= found.items()

    def stop(self, *, within: float) -> str:
        """Send SIGTERM and return what the server printed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            output, _ = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
            pytest.fail(f"the server did not stop within {within} s; it printed:\n{output}")
        return output


@pytest.fixture
def server() -> Iterator[Server]:
    port = quiet_port()
    running = Server([*UVICORN, "--port", str(port)], port)
    try:
        _wait_for_port(running)
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


def _wait_for_port(server: Server) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return
        assert server.process.poll() is None, server.process.communicate()[0]
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)


class Reader:
    """A client of a stream and what it has received."""

    def __init__(self, connection: anyio.abc.SocketStream) -> None:
        self.connection = connection
        self.received = b""
        self.ended = False

    async def run(self) -> None:
        with contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                self.received += await self.connection.receive()
        self.ended = True


@contextlib.asynccontextmanager
async def reading(server: Server, paths: list[str]) -> AsyncIterator[list[Reader]]:
    readers = [Reader(await server.open(path)) for path in paths]
    async with anyio.create_task_group() as tasks:
        for reader in readers:
            tasks.start_soon(reader.run)
        await eventually(lambda: all(b"\n\n" in reader.received for reader in readers))
        yield readers
        for reader in readers:
            await reader.connection.aclose()


@pytest.mark.parametrize("share", ["", "?share=all"])
async def test_one_worker_serves_200_streams_and_stops_while_they_are_open(server: Server, share: str) -> None:
    paths = [f"/stream{share}"] * 150 + ["/ticks"] * 50
    async with reading(server, paths) as readers:
        await server.wait_for(present=150, subscribers=51 if share else 200)
        await server.get("/emit?number=42")
        await eventually(lambda: all(b"data: 42\n" in reader.received for reader in readers[:150]))
        output = await anyio.to_thread.run_sync(lambda: server.stop(within=20))
        await eventually(lambda: all(reader.ended for reader in readers))
    assert output == ""
    assert server.process.returncode in (0, -signal.SIGTERM)


async def test_clients_that_reset_their_connections_leave_nothing_behind(server: Server) -> None:
    async with reading(server, [f"/stream?session={number}" for number in range(40)] + ["/ticks"] * 10) as readers:
        await server.wait_for(present=40, subscribers=50)
        for reader in readers:
            raw = reader.connection.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # reset the connection on close
        for reader in readers:
            await reader.connection.aclose()
        await server.wait_for(present=0, subscribers=0, left=40)


async def test_an_event_from_a_thread_arrives_while_the_loop_sleeps(server: Server) -> None:
    async with reading(server, ["/stream"]) as (reader,):
        await server.get("/emit-from-a-thread?number=7")
        await eventually(lambda: b"data: 7\n" in reader.received)


async def test_a_stalled_client_does_not_keep_the_server_from_stopping(server: Server) -> None:
    stuck = await server.open("/stream")
    async with stuck, reading(server, ["/stream"]):
        await server.wait_for(subscribers=2)
        await anyio.to_thread.run_sync(lambda: server.stop(within=20))
