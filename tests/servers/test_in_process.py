"""Servers in the process of the test: several in one event loop, in threads, and one after another."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import uvicorn
from anyio.abc import SocketStream
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette

from starlette_reactive import ChangeEvent

from ..security.test_outermost import Gate, Site
from ..support import eventually, quiet_port, require
from ..test_server import Reader
from .app import app, bus, plain_items, state

REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
Connect = Callable[[], Awaitable[SocketStream]]
UVLOOP_AND_NOT = {"uvloop": {}, "asyncio": {"loop": "asyncio", "http": "h11"}}


def uvicorn_server(**options: Any) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(**{"app": app, "log_level": "warning", "port": quiet_port(), **options}))


@contextlib.contextmanager
def running(*servers: uvicorn.Server, sockets: list[socket.socket] | None = None) -> Iterator[threading.Thread]:
    """Run servers in a thread. Several share an event loop."""

    async def serve() -> None:
        await asyncio.gather(*(server.serve() for server in servers))

    def run() -> None:
        if len(servers) == 1:
            servers[0].run(sockets)
        else:
            asyncio.run(serve())

    with running_thread(run) as thread:
        try:
            yield thread
        finally:
            for server in servers:
                server.should_exit = server.force_exit = True


@contextlib.contextmanager
def running_thread(run: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(30)
        assert not thread.is_alive()


@contextlib.asynccontextmanager
async def reading(connect: Connect, path: str = "/stream") -> AsyncIterator[Reader]:
    """Read a stream. Wait for its first heartbeat."""
    connection = await connected(connect)
    await connection.send(REQUEST % path.encode())
    reader = Reader(connection)
    async with connection, anyio.create_task_group() as tasks:
        tasks.start_soon(reader.run)
        await lives(reader)
        yield reader
        tasks.cancel_scope.cancel()


async def connected(connect: Connect) -> SocketStream:
    with anyio.fail_after(30):
        while True:
            with contextlib.suppress(OSError):
                return await connect()
            await anyio.sleep(0.01)


def to(server: uvicorn.Server) -> Connect:
    return to_port(server.config.port)


def to_port(port: int) -> Connect:
    return lambda: anyio.connect_tcp("127.0.0.1", port)


async def lives(*readers: Reader) -> None:
    """Wait for more heartbeats of streams. The timer sees several times whether the server stops until then."""
    before = [reader.received.count(b": heartbeat") for reader in readers]
    await eventually(
        lambda: all(
            reader.received.count(b": heartbeat") >= count + 2 for reader, count in zip(readers, before, strict=True)
        )
    )


async def ends(thread: threading.Thread) -> None:
    await eventually(lambda: not thread.is_alive(), timeout=30)


@pytest.mark.parametrize("options", UVLOOP_AND_NOT.values(), ids=UVLOOP_AND_NOT)
async def test_a_server_in_a_thread_ends_with_streams_open(options: dict[str, Any]) -> None:
    server = uvicorn_server(**options)
    with running(server) as thread:
        async with reading(to(server)) as live, reading(to(server), "/wrapped/generated") as generated:
            server.should_exit = True
            await ends(thread)
            await eventually(lambda: live.ended and generated.ended)
            assert live.received.endswith(b"\r\n0\r\n\r\n")
            assert generated.received.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", ["/stream", "/wrapped/stream", "/generated"])
async def test_the_streams_of_another_server_in_the_same_event_loop_go_on(path: str) -> None:
    first, second = uvicorn_server(), uvicorn_server()
    with running(first, second) as thread:
        async with (
            reading(to(first), path) as ending,
            reading(to(second), path) as going_on,
            await anyio.connect_tcp("127.0.0.1", first.config.port),
        ):
            first.should_exit = True
            await eventually(lambda: ending.ended)
            await lives(going_on)
            second.should_exit = True
            await ends(thread)
            await eventually(lambda: going_on.ended)


async def test_the_streams_of_a_server_in_another_thread_go_on() -> None:
    first, second = uvicorn_server(), uvicorn_server()
    with running(first) as thread, running(second):
        async with reading(to(first)) as ending, reading(to(second)) as going_on:
            first.should_exit = True
            await ends(thread)
            await eventually(lambda: ending.ended)
            await lives(going_on)


async def test_the_streams_of_the_next_server_at_the_same_address_go_on_until_it_stops() -> None:
    first = uvicorn_server()
    second = uvicorn_server(port=first.config.port)

    async def serve() -> None:
        await first.serve()
        await second.serve()

    with running_thread(lambda: asyncio.run(serve())) as thread:
        try:
            async with reading(to(first)) as ending:
                first.should_exit = True
                await eventually(lambda: ending.ended)
            async with reading(to(second)) as going_on:
                await lives(going_on)
                second.should_exit = True
                await ends(thread)
                await eventually(lambda: going_on.ended)
        finally:
            first.should_exit = second.should_exit = True


async def test_the_streams_of_a_server_on_a_unix_socket_end(tmp_path: Path) -> None:
    server = uvicorn_server(uds=str(tmp_path / "socket"))
    with running(server, uvicorn_server()) as thread:
        async with reading(lambda: anyio.connect_unix(tmp_path / "socket")) as ending:
            server.should_exit = True
            await eventually(lambda: ending.ended)
    assert not thread.is_alive()


async def test_a_signal_to_an_earlier_server_of_the_process_ends_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AppStatus, "should_exit", True)  # sse-starlette sets it on a signal, and never resets it
    server = uvicorn_server()
    with running(server) as thread:
        async with reading(to(server)) as going_on:
            await lives(going_on)
            server.should_exit = True
            await ends(thread)


async def test_a_wrapper_that_uvicorn_calls_in_a_thread_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    server = uvicorn_server(app=Gate(Starlette(routes=Site().routes)))
    with running(server):
        async with await connected(to(server)) as connection:
            await connection.send(REQUEST % b"/")
            page = (await connection.receive()).decode()
            while "</div>" not in page:
                page += (await connection.receive()).decode()
            live_url = re.findall(r"/_reactive/live\?page=[^\"'&]+", page)[0]
            await connection.send(REQUEST % live_url.encode())
            await eventually(lambda: "the server calls Gate, which wraps the application" in caplog.text)


async def test_a_program_can_decide_itself_when_streams_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AppStatus, "enable_automatic_graceful_drain", False)
    monkeypatch.setattr(AppStatus, "should_exit", False)
    server = uvicorn_server()
    with running(server) as thread:
        async with reading(to(server)) as reader:
            server.should_exit = True
            await lives(reader)
            AppStatus.should_exit = True
            await ends(thread)


async def test_hypercorn_in_a_thread_ends_with_streams_open() -> None:
    require(importlib.util.find_spec("hypercorn"), "hypercorn")
    import hypercorn.asyncio

    port = quiet_port()
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 600
    stop = threading.Event()

    async def stopped() -> None:
        while not stop.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)

    def run() -> None:
        asyncio.run(hypercorn.asyncio.serve(app, config, shutdown_trigger=stopped))  # type: ignore[arg-type]

    with running_thread(run) as thread:
        try:
            async with reading(to_port(port)) as reader:
                stop.set()
                await ends(thread)
                await eventually(lambda: reader.ended)
        finally:
            stop.set()


async def test_a_plain_generator_that_blocks_does_not_keep_a_server_from_ending() -> None:
    server = uvicorn_server()
    with running(server) as thread:
        async with reading(to(server), "/plain") as reader:
            plain_items.put("an item")
            await eventually(lambda: b"data: an item\n" in reader.received)
            server.should_exit = True
            try:
                await eventually(lambda: reader.ended)
                await ends(thread)
            finally:
                plain_items.put("")


@pytest.mark.parametrize("path", ["/stream?patient", "/wrapped/stream?patient", "/generated", "/wrapped/generated"])
@pytest.mark.parametrize("options", UVLOOP_AND_NOT.values(), ids=UVLOOP_AND_NOT)
@pytest.mark.parametrize("size", [2_000_000, 1_000], ids=["waiting to write", "with written bytes"])
async def test_a_client_that_reads_nothing_does_not_keep_a_server_from_ending(
    path: str, options: dict[str, Any], size: int
) -> None:
    server = uvicorn_server(**options)
    numbers = itertools.count()

    def is_stuck() -> bool:
        state["text"] = f"{next(numbers)}{'.' * size}"
        bus.emit_sync(ChangeEvent("s", {"text"}))
        connections: list[Any] = list(server.server_state.connections)
        if size > 1_000:
            return any(connection.flow.write_paused for connection in connections)
        return any(connection.transport.get_write_buffer_size() > 0 for connection in connections)

    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as stuck:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stuck.connect(listening.getsockname())
        stuck.sendall(REQUEST % path.encode())
        with running(server, sockets=[listening]) as thread:
            await eventually(is_stuck)
            server.should_exit = True
            await ends(thread)
