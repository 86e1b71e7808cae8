"""Who is there, seen from another process: also when a process dies without a word, and when a user is sent away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from ..engines.servers import EngineServer
from .harness import Fleet
from .workers import Worker

BEAT = 0.5
LEASE = 3 * BEAT
SLACK = 1.5  # seconds that the machine may be busy with something else


class Streams:
    """Streams that are open until the end, and are never opened again."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, worker: Worker, scope: str, user: str, viewer: str) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", worker.port)
        self._writers.append(writer)
        writer.write(f"GET /{scope}/{user}/stream?viewer={viewer} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        return reader

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def two_workers(engine: EngineServer, directory: Path) -> AsyncIterator[tuple[Fleet, Streams]]:
    fleet, streams = (
        Fleet(directory, engine, "presence", beat=BEAT, workers_wanted=2, tabs_wanted=0, members_wanted=0),
        Streams(),
    )
    async with fleet.running():
        try:
            yield fleet, streams
        finally:
            streams.close()


async def seen(fleet: Fleet, worker: Worker, scope: str, wanted: set[str], *, within: float) -> float:
    """Wait until a worker shows just these viewers, and return how many seconds that took."""
    started = time.monotonic()
    while (found := set(await fleet.ask(worker, f"presence/{scope}"))) != wanted:
        assert time.monotonic() - started < within, f"{found} is shown, not {wanted}"
        await asyncio.sleep(0.02)
    return time.monotonic() - started


async def kill_one_of_two(engine: EngineServer, directory: Path) -> float:
    async with two_workers(engine, directory) as (fleet, streams):
        living, doomed = fleet.workers
        await streams.open(living, "board-0", "ann", "at-the-living")
        for number in range(3):
            await streams.open(doomed, "board-0", "bob", f"at-the-doomed-{number}")
        everybody = {"at-the-living", *(f"at-the-doomed-{number}" for number in range(3))}
        await seen(fleet, living, "board-0", everybody, within=10)
        doomed.kill()
        return await seen(fleet, living, "board-0", {"at-the-living"}, within=30)


def test_the_viewers_of_a_killed_process_are_gone_within_lease_and_heartbeat(
    engine: EngineServer, tmp_path: Path
) -> None:
    seconds = asyncio.run(kill_one_of_two(engine, tmp_path))
    print(f"gone after {seconds:.2f} s; the lease is {LEASE} s, the heartbeat {BEAT} s")
    assert seconds <= LEASE + BEAT + SLACK


async def send_ann_away(engine: EngineServer, directory: Path) -> float:
    async with two_workers(engine, directory) as (fleet, streams):
        here, there = fleet.workers
        ann = await streams.open(here, "board-0", "ann", "ann")
        await streams.open(here, "board-0", "bob", "bob")
        await streams.open(there, "board-0", "bob", "bob-too")
        await seen(fleet, there, "board-0", {"ann", "bob", "bob-too"}, within=10)
        assert await fleet.ask(there, "close/ann", "POST") == 0
        started = time.monotonic()
        async with asyncio.timeout(10):
            await ann.readuntil(b"0\r\n\r\n")  # the last chunk
        taken = time.monotonic() - started
        await seen(fleet, there, "board-0", {"bob", "bob-too"}, within=10)
        return taken


def test_a_user_is_sent_away_from_every_process(engine: EngineServer, tmp_path: Path) -> None:
    print(f"gone after {asyncio.run(send_ann_away(engine, tmp_path)):.3f} s")
