"""Faults between server and browser."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from .stage import Stage
from .state import PATHS


async def cut(stage: Stage, chance: random.Random) -> None:
    """Cut connections, some in the midst of an update."""
    for _ in range(chance.randint(1, 4)):
        stage.proxy.cut(chance, share=chance.uniform(0.1, 0.6))
        await asyncio.sleep(chance.uniform(0.05, 0.4))


async def stall(stage: Stage, chance: random.Random) -> None:
    """Let viewers read nothing for a while."""
    stalled = chance.sample(stage.viewers, chance.randint(3, 20))
    for viewer in stalled:
        viewer.note("stops reading")
        viewer.reads.clear()
    await asyncio.sleep(chance.uniform(0.5, 3.0))
    for viewer in stalled:
        viewer.note("reads again")
        viewer.reads.set()


async def kill(stage: Stage, chance: random.Random) -> None:
    """Kill the server, and start it again."""
    stage.server.kill()
    await asyncio.sleep(chance.uniform(0, 0.5))
    await stage.server.start()


async def refuse(stage: Stage, chance: random.Random) -> None:
    """Let the proxy answer 502."""
    stage.proxy.refusing = True
    stage.proxy.cut(chance, share=0.5)
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    stage.proxy.refusing = False


async def slow(stage: Stage, chance: random.Random) -> None:
    """Let updates take long."""
    for board in chance.sample(stage.boards, 3):
        await stage.post(board, "trouble", {"failing": 0.0, "delay": chance.uniform(0.05, 0.4)})


async def fail(stage: Stage, chance: random.Random) -> None:
    """Let updates fail."""
    for board in chance.sample(stage.boards, 3):
        asked = {"failing": chance.choice((0.3, 0.7, 1.0)), "delay": chance.choice((0, 0.05))}
        await stage.post(board, "trouble", asked)


async def burst(stage: Stage, chance: random.Random) -> None:
    """Change values 2,000 times at once."""
    board = chance.choice(stage.boards)
    paths = chance.sample(PATHS, 5)
    first = stage.new_values(2000)
    async with board.lock:
        await stage.post(board, "burst", {"events": 2000, "paths": paths, "first": first})
        board.note_change(set(paths), lambda _: True)


async def reload(stage: Stage, chance: random.Random) -> None:
    """Let viewers load their page again."""
    for viewer in chance.sample(stage.viewers, chance.randint(5, 25)):
        if not viewer.lock.locked():
            viewer.note("reloads")
            viewer.reload()
            await asyncio.sleep(chance.uniform(0, 0.03))


async def freeze(stage: Stage, chance: random.Random) -> None:
    """Freeze the path to tabs with the script without a word: streams stay open, and nothing passes any more."""
    stage.counts["frozen"] += stage.proxy.freeze(b"script=1")
    for member in stage.members:
        if member.kind == "script":
            member.note("is frozen")
            stage.frozen.add(member)


FAULTS: tuple[Callable[[Stage, random.Random], Awaitable[None]], ...] = (
    cut,
    stall,
    kill,
    refuse,
    slow,
    fail,
    burst,
    reload,
)
