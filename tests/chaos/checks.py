"""The question after each round: does every page show what it should?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from .board import BLOCKS, SHARED, Board, ForeignError, StaleError, shown_in, values_of
from .club import cookies_of
from .dom import inner_html
from .member import Member
from .stage import Stage
from .viewer import Viewer
from .watchdog import BEAT, BEATS

CONVERGE_SECONDS = 20.0  # a quiet machine takes less than one
FROZEN_SECONDS = BEATS * BEAT + 5.0
"""Seconds for the tabs whose path was frozen: until the script notices it, and for all that follows."""


class Checks:
    """Sees that pages show what they should.

    Args:
        stage: The server and the tabs.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.slowest = 0.0

    async def expect_convergence(self, number: int) -> None:
        """See that every page becomes what it should be.

        Raises:
            StaleError: One does not.
            ForeignError: A member was sent something of a key that it did not have.
        """
        fresh = await self._fresh_pages()
        self.expect_nothing_foreign(number)
        started = asyncio.get_running_loop().time()
        while wrong := self._wrong(fresh):
            self._stage.raise_from_viewers()
            self._stage.return_to_closed_pages()
            taken = asyncio.get_running_loop().time() - started
            late = {viewer: faults for viewer, faults in wrong.items() if taken > self._seconds_of(viewer)}
            if late:
                raise StaleError(self._report(number, late))
            await asyncio.sleep(0.02)
        self.slowest = max(self.slowest, asyncio.get_running_loop().time() - started)

    def _seconds_of(self, viewer: Viewer) -> float:
        return FROZEN_SECONDS if viewer in self._stage.frozen else CONVERGE_SECONDS

    async def _fresh_pages(self) -> dict[Viewer, str]:
        """Return a fresh page for each viewer that may see one."""
        fresh: dict[Viewer, str] = {}
        for board in self._stage.boards:
            page = (await self._stage.client.get(f"http://127.0.0.1:{self._stage.server.port}/{board.name}/page")).text
            for viewer in board.viewers:
                if not isinstance(viewer, Member):
                    fresh[viewer] = page
                elif viewer.key is not None:
                    fresh[viewer] = await self._fresh_of_member(viewer)
            for block in BLOCKS:
                for page in {fresh[viewer] for viewer in board.viewers if viewer in fresh}:
                    assert shown_in(page, block) == values_of(block, board.history[-1])
        return fresh

    async def _fresh_of_member(self, member: Member) -> str:
        name, _, cookies = cookies_of(member.name, member.user).partition(": ")
        url = f"http://127.0.0.1:{self._stage.server.port}/{member.scope}/{member.path}"
        page = inner_html((await self._stage.client.get(url, headers={name: cookies})).text, "all")
        assert set(re.findall(r"key:(\w+)", page)) == {member.key}
        return page

    def _wrong(self, fresh: Mapping[Viewer, str]) -> dict[Viewer, list[str]]:
        found = {
            viewer: board.faults_of(viewer, fresh[viewer])
            for board in self._stage.boards
            for viewer in board.viewers
            if viewer in fresh
        }
        return {viewer: faults for viewer, faults in found.items() if faults}

    def _report(self, number: int, wrong: dict[Viewer, list[str]]) -> str:
        pages = len(self._stage.viewers)
        lines = [f"{len(wrong)} of {pages} pages are stale in round {number}; seed {self._stage.seed!r}"]
        for viewer, faults in list(wrong.items())[:3]:
            lines += [f"{viewer.name}, {viewer.kind}, shared {viewer.shared}, {viewer.user} on {viewer.scope}:"]
            lines += [f"  {fault}" for fault in faults]
            lines += [f"    {line}" for line in viewer.story]
        return "\n".join(lines)

    async def expect_shared(
        self, board: Board, ailing: list[Member], streams: Mapping[Member, int], number: int
    ) -> None:
        """See that members whose streams go on are shown what is shared, if one of their group is not ailing.

        Raises:
            StaleError: One is not.
        """
        counts, started = self._stage.counts, asyncio.get_running_loop().time()
        while True:
            self._stage.raise_from_viewers()
            steady = [each for each in self._stage.members if each.is_admitted and each.streams == streams[each]]
            served = {(each.scope, each.key) for each in steady if each not in ailing}
            behind = [
                each
                for each in steady
                if each in ailing
                and (each.scope, each.key) in served
                and any(shown_in(each.page or "", block) != values_of(block, board.history[-1]) for block in SHARED)
            ]
            if not behind:
                break
            if asyncio.get_running_loop().time() - started > CONVERGE_SECONDS:
                raise StaleError(self._report(number, {each: [_told(each, steady, ailing)] for each in behind}))
            await asyncio.sleep(0.02)
        counts["ailing"] += len([each for each in ailing if each in steady and (each.scope, each.key) in served])

    def expect_nothing_foreign(self, number: int) -> None:
        """See that no member was sent something of a key that it did not have.

        Raises:
            ForeignError: One was.
        """
        found = self._stage.server.findings_path.read_text()
        if found:
            raise ForeignError(f"in round {number}; seed {self._stage.seed!r}:\n{found[:3000]}")


def _told(member: Member, steady: list[Member], ailing: list[Member]) -> str:
    group = [each for each in steady if (each.scope, each.key) == (member.scope, member.key)]
    named = [f"{each.name} of {each.user}" for each in group if each not in ailing]
    return f"it shows old data, because the endpoint fails for it; it does not fail for {', '.join(named)}"
