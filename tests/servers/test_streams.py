"""Streams under each supported server."""

from __future__ import annotations

import functools
import signal
import socket
import struct

import anyio
import anyio.abc

from ..support import eventually
from ..test_server import Reader, reading
from .conftest import GroupOfProcesses

_LARGE = 2_000_000  # bytes: a few of these fill the buffers between server and client


async def test_the_first_bytes_come_at_once_then_updates_and_heartbeats(server: GroupOfProcesses) -> None:
    async with reading(server, ["/stream", "/stream"]) as readers:
        for reader in readers:
            head, body = reader.received.split(b"\r\n\r\n", 1)
            assert b"200" in head.splitlines()[0]
            assert b"content-type: text/event-stream" in head.lower()
            assert b"id: " in body
        await server.wait_for(present=2, subscribers=1)
        await server.get("/emit?text=first")
        await eventually(lambda: all(b"data: first\n" in reader.received for reader in readers))
        await server.get("/emit?text=second")
        await eventually(lambda: all(b"data: second\n" in reader.received for reader in readers))
        assert all(reader.received.count(b"data: ") == 2 for reader in readers)
        await eventually(lambda: all(b": heartbeat\n" in reader.received for reader in readers))


async def test_clients_that_leave_leave_nothing_behind(server: GroupOfProcesses) -> None:
    async with reading(server, ["/stream"] * 10) as readers:
        await server.wait_for(subscribers=1)
        for reader in readers[::2]:
            raw = reader.connection.extra(anyio.abc.SocketAttribute.raw_socket)
            raw.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # reset the connection on close
        for reader in readers:
            await reader.connection.aclose()
        await server.wait_for(present=0, subscribers=0, left=10)


async def test_a_stalled_client_is_disconnected_and_others_are_not(server: GroupOfProcesses) -> None:
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.port))
        stuck.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        async with reading(server, ["/stream"]) as (reader,):
            await server.wait_for(present=2, subscribers=1)
            for number in range(6):
                await server.get(f"/emit?text={number}&size={_LARGE}")
                await eventually(functools.partial(_has_received, reader, (number + 1) * _LARGE), timeout=60)
            await server.wait_for(present=1, left=1, subscribers=1)
            await server.get("/emit?text=after")
            await eventually(lambda: b"data: after\n" in reader.received)


def _has_received(reader: Reader, size: int) -> bool:
    return len(reader.received) > size


async def test_a_server_stops_on_sigterm_with_streams_open(server: GroupOfProcesses) -> None:
    stuck = await server.open("/stream")
    async with stuck, reading(server, ["/stream"] * 20) as readers:
        await server.wait_for(subscribers=1)
        await anyio.to_thread.run_sync(lambda: server.stop(within=30))
        await eventually(lambda: all(reader.ended for reader in readers))


async def test_a_server_stops_on_sigterm_after_its_viewers_leave(server: GroupOfProcesses) -> None:
    async with reading(server, ["/stream"] * 20):
        await server.wait_for(subscribers=1)
        server.process.send_signal(signal.SIGTERM)
        await anyio.sleep(0.5)
    await anyio.to_thread.run_sync(lambda: server.stop(within=30))
