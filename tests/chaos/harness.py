"""Rounds of changes and faults, and after each the question whether every page shows what it should."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.support import eventually

from .board import Board
from .checks import Checks
from .club import KEYS
from .faults import FAULTS, freeze
from .member import Member
from .stage import USERS, Stage
from .state import PATHS


class Chaos:
    """Rounds on a stage.

    Args:
        directory: Where the data and the server's log go.
        seed: What all is drawn from.
        loses: What the server does wrong, by its name in ``controls``: a control.
        watches: Whether scripts notice that their streams are silent. Without that it is a control.
    """

    def __init__(self, directory: Path, seed: str, *, loses: str = "", watches: bool = True) -> None:
        self.stage = Stage(directory, seed, loses=loses, watches=watches)
        self.checks = Checks(self.stage)

    async def round(self, number: int) -> None:
        """Make changes amid faults, then stop, mend everything, and see that every page becomes what it should be.

        Raises:
            StaleError: One did not, in time.
            ForeignError: A member was sent something of a key that it did not have.
        """
        chance = random.Random(f"{self.stage.seed} round {number}")
        until = asyncio.get_running_loop().time() + chance.uniform(0.5, 2.0)
        jobs = [self._make_changes(board, random.Random(chance.random()), until) for board in self.stage.boards]
        jobs += [
            self._later(chance.uniform(0, 0.8), fault, random.Random(chance.random()))
            for fault in chance.sample(FAULTS, chance.randint(2, 5))
        ]
        if number % 2 == 0:
            jobs.append(self._later(chance.uniform(0.2, 1.0), freeze, chance))
        jobs += [self._change_keys(board, random.Random(chance.random()), until) for board in self.stage.clubs]
        await asyncio.gather(*jobs)
        await self._mend()
        await self.checks.expect_convergence(number)
        self.stage.frozen.clear()
        self.stage.proxy.forget_left()
        await self._cross(chance, number)
        for board in self.stage.clubs:
            await self._change_as_member(board, chance)
        await self.checks.expect_convergence(number)
        await self._fail_for_some(chance, number)
        self.checks.expect_nothing_foreign(number)

    async def _later(
        self, seconds: float, fault: Callable[[Stage, random.Random], Awaitable[None]], chance: random.Random
    ) -> None:
        await asyncio.sleep(seconds)
        self.stage.counts[fault.__name__] += 1
        await fault(self.stage, chance)

    async def _mend(self) -> None:
        self.stage.proxy.refusing = False
        for viewer in self.stage.viewers:
            viewer.reads.set()
        await self.stage.server.up.wait()
        for board in self.stage.boards:
            await self.stage.post(board, "trouble", {"failing": 0.0, "delay": 0.0})

    async def _make_changes(self, board: Board, chance: random.Random, until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            paths = chance.sample(PATHS, chance.choice((1, 1, 1, 2, 4)))
            kind = chance.choices(("all", "audience", "own"), (6, 2, 2))[0]
            if kind == "own":
                await self.stage.change_own(board, chance, paths)
            elif kind == "audience":
                users = chance.sample(USERS, chance.randint(1, 4))
                await self.stage.change(board, chance, paths, audience=users)
                self.stage.counts["audience"] += 1
            else:
                await self.stage.change(board, chance, paths)
            self.stage.counts["changes"] += 1
            await asyncio.sleep(chance.choice((0, 0, 0.01, 0.05)))

    async def _change_keys(self, board: Board, chance: random.Random, until: float) -> None:
        """Give members other keys, take keys away and return them, and make a change after each time."""
        members = [member for member in self.stage.members if member.scope == board.name]
        while asyncio.get_running_loop().time() < until:
            await self.stage.change_key(board, chance.choice(members), chance.choice((*KEYS, *KEYS, None)))
            await self.stage.change(board, chance, chance.sample(PATHS, 1))
            await asyncio.sleep(chance.choice((0, 0.01, 0.05)))

    async def _cross(self, chance: random.Random, number: int) -> None:
        """Change what is nested in a personal block while that block is being rendered."""
        for board in self.stage.clubs:
            await self.stage.post(board, "trouble", {"failing": 0.0, "delay": 0.3})
            for path in ("p12", "p14"):
                await self.stage.change(board, chance, [path])
                await asyncio.sleep(chance.uniform(0, 0.1))
            await self.stage.post(board, "trouble", {"failing": 0.0, "delay": 0.0})
        await self.checks.expect_convergence(number)

    async def _change_as_member(self, board: Board, chance: random.Random) -> None:
        """Make a change in a tab with the script, and see that the script learns whose change it is."""
        members = [each for each in self.stage.members if each.scope == board.name and each.key is not None]
        member = next((each for each in members if each.kind == "script"), None)
        if member is not None:
            before = member.own_updates
            await self.stage.change_own(board, chance, list(PATHS), member)
            await eventually(lambda: member.own_updates > before)

    async def _fail_for_some(self, chance: random.Random, number: int) -> None:
        """Let the endpoint fail for most members, and see that they and all others are shown what is shared."""
        for board in self.stage.clubs:
            ailing = self._choose_ailing(board, chance)
            await self.stage.post(board, "ailing", {"members": [member.name for member in ailing]})
            streams = {member: member.streams for member in self.stage.members}
            for _ in range(2):
                await self.stage.change(board, chance, list(PATHS))
            await self.checks.expect_shared(board, ailing, streams, number)
            await self.stage.post(board, "ailing", {"members": []})
        await self.checks.expect_convergence(number)

    def _choose_ailing(self, board: Board, chance: random.Random) -> list[Member]:
        """Return all members of each key but one, whose run has to serve for the others."""
        ailing = []
        for key in KEYS:
            group = [member for member in self.stage.members if member.scope == board.name and member.key == key]
            ailing += chance.sample(group, max(0, len(group) - 1))
        return ailing
