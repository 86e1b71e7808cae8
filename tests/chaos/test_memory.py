"""A viewer that reads nothing does not make the memory of the server grow without bound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

from .proxy import connect
from .server_process import Server

EVENTS = 100_000
STUCK = 10
MEBIBYTE = 1 << 20
ALLOWED = 24 * MEBIBYTE  # a few batches per viewer; all events would take more than a hundred


async def watch(process: psutil.Process, peaks: list[int]) -> None:
    while True:
        peaks.append(process.memory_info().rss)
        await asyncio.sleep(0.05)


async def emit(client: httpx.AsyncClient, server: Server, events: int) -> None:
    asked = {"events": events, "together": 100, "pause": 0.002}
    answer = await client.post(f"http://127.0.0.1:{server.port}/board-0/stuff", json=asked)
    answer.raise_for_status()


async def open_stream(server: Server, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await connect(server.port)
    share = "&share=all" if number % 2 else ""
    target = f"/board-0/stream?viewer=viewer-{number}&user=ann&patience=600{share}"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer


async def read_until(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
    received = b""
    async with asyncio.timeout(30):
        while wanted not in received:
            data = await reader.read(65536)
            assert data, "the stream ended"
            received += data
    return received


async def emit_past_viewers_that_read_nothing(server: Server) -> tuple[int, bytes]:
    """Return how many bytes the server grew by, and what one of the viewers read in the end."""
    await server.start()
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    async with httpx.AsyncClient(timeout=120) as client:
        streams = [await open_stream(server, number) for number in range(STUCK)]
        await emit(client, server, 5_000)
        before = process.memory_info().rss
        peaks: list[int] = []
        watching = asyncio.create_task(watch(process, peaks))
        await emit(client, server, EVENTS)
        watching.cancel()
        received = await read_until(streams[0][0], b"p19=%d<" % (EVENTS - 1))
        for _, writer in streams:
            writer.transport.abort()
    return max(peaks) - before, received


def test_memory_stays_bounded_while_viewers_read_nothing(tmp_path: Path) -> None:
    server = Server(tmp_path, "memory", weight=200_000)
    try:
        grown, received = asyncio.run(emit_past_viewers_that_read_nothing(server))
    finally:
        server.kill()
    print(f"{grown / MEBIBYTE:.1f} MiB more; {received.count(b'event: heavy')} frames, {len(received)} bytes")
    assert grown < ALLOWED
    assert received.count(b"event: heavy") < EVENTS / 100
