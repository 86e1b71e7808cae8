"""The server, its proxy and the simulated tabs, and the changes of what they show."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from .board import Board
from .dom import inner_html
from .member import Member
from .proxy import Proxy
from .server_process import MEMBERS, Server
from .state import PATHS, SCOPES
from .viewer import KINDS, Viewer

VIEWERS = 50
CLUBS = {0: "club", 1: "slow-club", 2: "pair-club"}
"""The boards that members view, and the last part of their page's path: the key function of the slow one is a coroutine
function, and the last one has two scopes."""
USERS = [f"user-{number}" for number in range(8)]


class Stage:
    """The whole arrangement.

    Args:
        directory: Where the data and the server's log go.
        seed: What all is drawn from.
        loses: What the server does wrong, by its name in ``controls``: a control.
        watches: Whether scripts notice that their streams are silent. Without that it is a control.
    """

    def __init__(self, directory: Path, seed: str, *, loses: str = "", watches: bool = True) -> None:
        self.seed = seed
        self.server = Server(directory, seed, loses=loses)
        self.proxy = Proxy(self.server.port)
        self.boards = [Board(scope, self.server.state) for scope in SCOPES]
        self.counts: Counter[str] = Counter()
        self.frozen: set[Viewer] = set()  # whose path was frozen in this round
        self._watches = watches
        self.client = httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
        self._value = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the server, the proxy and the tabs."""
        await self.proxy.start()
        await self.server.start()
        try:
            self._seat_viewers()
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.client.aclose()
            self.proxy.stop()
            self.server.kill()

    def _seat_viewers(self) -> None:
        chance = random.Random(f"{self.seed} viewers")
        for number in range(VIEWERS):
            board = self.boards[number % len(self.boards)]
            viewer = Viewer(
                f"viewer-{number}",
                board.name,
                user=USERS[number % len(USERS)],
                kind=KINDS[number % len(KINDS)],
                shared=chance.random() < 0.7,
                port=self.proxy.port,
                chance=random.Random(f"{self.seed} viewer {number}"),
                on_load=board.note_load,
            )
            self._seat(board, viewer)
        for number in range(MEMBERS):
            board = self.boards[number % len(CLUBS)]
            member = Member(
                path=CLUBS[number % len(CLUBS)],
                key=self.server.keys.read(f"member-{number}"),
                watches=self._watches,
                takes_rows=number // len(CLUBS) >= len(KINDS),
                name=f"member-{number}",
                scope=board.name,
                user=USERS[number % len(USERS)],
                kind=KINDS[number // len(CLUBS) % len(KINDS)],
                shared=True,
                port=self.proxy.port,
                chance=random.Random(f"{self.seed} member {number}"),
                on_load=board.note_load,
            )
            self._seat(board, member)

    def _seat(self, board: Board, viewer: Viewer) -> None:
        board.viewers.append(viewer)
        self._tasks.add(asyncio.create_task(viewer.run(), name=viewer.name))

    @property
    def viewers(self) -> list[Viewer]:
        return [viewer for board in self.boards for viewer in board.viewers]

    @property
    def members(self) -> list[Member]:
        return [viewer for viewer in self.viewers if isinstance(viewer, Member)]

    @property
    def clubs(self) -> list[Board]:
        """The boards that members view."""
        return self.boards[: len(CLUBS)]

    def raise_from_viewers(self) -> None:
        """Raise what a viewer has raised."""
        for task in self._tasks:
            if task.done():
                task.result()

    def return_to_closed_pages(self) -> None:
        """Let members load the pages whose streams have ended, if they have a key again."""
        for member in self.members:
            if member.is_closed and member.key is not None:
                self.counts["closed pages loaded again"] += 1
                member.note("comes back to its closed page")
                member.reload()

    # Changes

    async def change_own(
        self, board: Board, chance: random.Random, paths: list[str], viewer: Viewer | None = None
    ) -> None:
        """Change values as a form in a tab of the board does, or in the given tab."""
        viewer = viewer or chance.choice(board.viewers)
        member = viewer if isinstance(viewer, Member) else None
        if member is not None and member.lock.locked():
            return  # as long as it has no access, it asks for its page in vain
        async with viewer.lock, member.key_lock if member else contextlib.nullcontext():
            if viewer.page is None or (member is not None and member.key is None):
                return
            self.counts["own"] += 1
            answer = await self.change(board, chance, paths, origin=viewer.origin, member=member)
            if member is not None and chance.random() < 0.2:
                viewer.note("loses an answer")
                self.counts["lost answers"] += 1
            elif answer is not None and viewer.page is not None:
                for block in answer["blocks"]:
                    viewer.note("its own change:")
                    viewer.swap(block, inner_html(answer["page"], block))

    async def change(
        self,
        board: Board,
        chance: random.Random,
        paths: list[str],
        *,
        audience: list[str] | None = None,
        origin: str | None = None,
        member: Member | None = None,
    ) -> Any:
        """Change values, and return the server's answer; ``None``: it was killed before it answered."""
        async with board.lock:
            values = {path: self._next_value(chance, board, path) for path in paths}
            pause = chance.choice((0, 0, 0, 0.005, 0.05))
            asked: dict[str, Any] = {"values": values, "audience": audience, "origin": origin, "pause": pause}
            asked |= {"key": member and member.key, "member": member and member.name}
            answer = await self.post(board, "change", asked)
            board.note_change(
                set(paths), lambda viewer: audience is None or viewer.user in audience or viewer.origin == origin
            )
        return answer

    def _next_value(self, chance: random.Random, board: Board, path: str) -> int:
        if chance.random() < 0.3:  # back to where it was, or no change at all: HTML that was seen before
            return chance.choice(board.history[-3:])[PATHS.index(path)]
        return self.new_values(1)

    def new_values(self, count: int) -> int:
        """Return the first of so many numbers in a row that were no value before."""
        first, self._value = self._value + 1, self._value + count
        return first

    async def post(self, board: Board, what: str, asked: dict[str, Any]) -> Any:
        """Send something to the server itself; ``None``: it was killed before it answered."""
        while True:
            await self.server.up.wait()
            process = self.server.process
            url = f"http://127.0.0.1:{self.server.port}/{board.name}/{what}"
            try:
                answer = await self.client.post(url, json=asked)
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
                continue
            except httpx.TransportError:
                await asyncio.sleep(0)
                if process is not None and process.poll() is None:
                    raise
                return None
            answer.raise_for_status()
            return answer.json()

    async def change_key(self, board: Board, member: Member, key: str | None) -> None:
        """Give a member another key, or take its key away."""
        async with member.key_lock:
            self.counts["keys changed" if key else "keys taken away"] += 1
            member.note_key(key, is_changed=False)
            while await self.post(board, "key", {"member": member.name, "key": key}) is None:
                pass
            member.note_key(key, is_changed=True)
