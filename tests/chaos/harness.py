"""Rounds of changes and faults, and the question after each: does every page show what it should?

What a viewer should show is exact. Each scope has a history of its values, one step for each change, made one after
another. For each block a viewer remembers the last step that it was to be told of: the step of its page, then each
change of that block, or of one around it, that was for everybody, for the viewer's user, or the viewer's own. The block
then shows the values of that step or of a later one, all of one and the same step. If the last change was for everybody
it shows the newest values, as a fresh page does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from ..support import quiet_port
from .club import KEYS, KeyFile, cookies_of
from .dom import inner_html, own_values
from .member import Member
from .proxy import Proxy
from .state import PATHS, SCOPES, State
from .viewer import KINDS, Viewer

BLOCKS = {
    "single": ["p0"],
    "pair": ["p1", "p2"],
    "sums": ["total"],
    "addends": ["p3", "p4", "p5"],
    "again": ["p0", "p6"],
    "rest": ["p7", "p8", "p9"],
    "tree": ["p10", "p11"],
    "branch": ["p12", "p13"],
    "leaf": ["p14", "p15"],
    "twig": ["p16"],
    "wide": ["p17", "p18"],
    "heavy": ["p19"],
}
"""What each block of the page shows itself, written down again so that the server is not its own judge."""
INSIDE = {"tree": {"branch", "leaf", "twig"}, "branch": {"leaf"}}
SHARED = ("single", "pair", "sums", "addends", "rest", "leaf", "twig", "wide", "heavy")
"""The blocks that members with an equal key share."""
DERIVED = {"total": ("p3", "p4", "p5")}

VIEWERS = 50
MEMBERS = 16
CLUBS = {0: "club", 1: "slow-club"}
"""The boards that members view, and the last part of their page's path: its key function is a coroutine function."""
USERS = [f"user-{number}" for number in range(8)]
CONVERGE_SECONDS = 20.0  # a quiet machine takes less than one
ROOT = Path(__file__).parents[2]

Step = tuple[int, ...]


class StaleError(AssertionError):
    """When the changes had stopped, a page did not show what it should."""


class ForeignError(AssertionError):
    """A member was sent something that was not meant for it."""


def values_of(block: str, step: Step) -> tuple[int, ...]:
    """Return what a block shows of a step's values."""
    by_path = dict(zip(PATHS, step, strict=True))
    by_path |= {path: sum(by_path[each] for each in sources) for path, sources in DERIVED.items()}
    return tuple(by_path[path] for path in BLOCKS[block])


def blocks_showing(paths: set[str]) -> set[str]:
    """Return the blocks that a change of these paths renders anew, those inside included."""
    changed = paths | {path for path, sources in DERIVED.items() if paths & set(sources)}
    shown = {block for block, own in BLOCKS.items() if changed & set(own)}
    return shown.union(*(INSIDE.get(block, set()) for block in shown))


class Server:
    """The server process, which can be killed and started again on the same port.

    Args:
        directory: Where the data and its log go.
        seed: What it draws from.
        loses: What it does wrong, by its name in ``controls``. Empty if nothing.
        weight: How many bytes the heaviest block has.
    """

    def __init__(self, directory: Path, seed: str, *, loses: str = "", weight: int = 6_000) -> None:
        self.state_path = directory / "state"
        self.log_path = directory / "server.log"
        self.findings_path = directory / "findings"
        self.findings_path.touch()
        self.state = State.create(self.state_path)
        self.keys = KeyFile.create(directory / "keys", MEMBERS)
        self.port = quiet_port()
        self._env = os.environ | {
            "CHAOS_STATE": str(self.state_path),
            "CHAOS_SEED": seed,
            "CHAOS_LOSES": loses,
            "CHAOS_KEYS": str(directory / "keys"),
            "CHAOS_MEMBERS": str(MEMBERS),
            "CHAOS_FINDINGS": str(self.findings_path),
            "CHAOS_WEIGHT": str(weight),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.up = asyncio.Event()

    async def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "tests.chaos.server:app", "--port", str(self.port)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
                [*command, "--log-level", "warning"], cwd=ROOT, env=self._env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                break
            assert self.process.poll() is None, self.log_path.read_text()[-3000:]
            assert time.monotonic() < deadline, "the server did not start"
            await asyncio.sleep(0.02)
        self.up.set()

    def kill(self) -> None:
        self.up.clear()
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class Board:
    """One scope: its history, and who views it."""

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.state = server.state
        self.history: list[Step] = [server.state.read(name)]
        self.viewers: list[Viewer] = []
        self.lock = asyncio.Lock()  # held from a change to its note, so that the history has their order

    def note_load(self, viewer: Viewer) -> None:
        """A page that is asked for now shows this step, or a later one."""
        viewer.seen = dict.fromkeys(BLOCKS, len(self.history) - 1)

    def note_change(self, paths: set[str], told: Callable[[Viewer], bool]) -> None:
        """Take down what the data is after a change, and for whom the change was."""
        self.history.append(self.state.read(self.name))
        blocks = blocks_showing(paths)
        for viewer in self.viewers:
            if told(viewer):
                viewer.seen.update(dict.fromkeys(blocks, len(self.history) - 1))

    def faults_of(self, viewer: Viewer, fresh: str) -> list[str]:
        """Return what is wrong with a viewer's page."""
        if viewer.page is None:
            return ["it has no page"]
        wrong = []
        newest = True
        for block, paths in BLOCKS.items():
            shown = own_values(viewer.page, block, paths)
            first = viewer.seen[block]
            newest = newest and shown == values_of(block, self.history[-1])
            if not any(values_of(block, step) == shown for step in reversed(self.history[first:])):
                wrong.append(f"{block} shows {shown}; since step {first} it is {values_of(block, self.history[-1])}")
        if newest and viewer.content != fresh:
            wrong.append("the page differs from a fresh one, though it shows the same values")
        if isinstance(viewer, Member):
            wrong += viewer.faults()
        return wrong


class Chaos:
    """The whole arrangement.

    Args:
        directory: Where the data and the server's log go.
        seed: What all is drawn from.
        loses: What the server does wrong, by its name in ``controls``: a control.
    """

    def __init__(self, directory: Path, seed: str, *, loses: str = "") -> None:
        self.seed = seed
        self.server = Server(directory, seed, loses=loses)
        self.proxy = Proxy(self.server.port)
        self.boards = [Board(scope, self.server) for scope in SCOPES]
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self._value = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Chaos]:
        await self.proxy.start()
        await self.server.start()
        try:
            self._seat_viewers()
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._client.aclose()
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
                name=f"member-{number}",
                scope=board.name,
                user=USERS[number % len(USERS)],
                kind=KINDS[number // 2 % len(KINDS)],
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

    # One round

    async def round(self, number: int) -> None:
        """Make changes amid faults, then stop, mend everything, and see that every page becomes what it should be.

        Raises:
            StaleError: One did not, within five seconds.
            ForeignError: A member was sent something of a key that it did not have.
        """
        chance = random.Random(f"{self.seed} round {number}")
        until = asyncio.get_running_loop().time() + chance.uniform(0.5, 2.0)
        jobs = [self._make_changes(board, random.Random(chance.random()), until) for board in self.boards]
        faults = [self._cut, self._stall, self._kill, self._refuse, self._slow, self._fail, self._burst, self._reload]
        jobs += [
            self._later(chance.uniform(0, 0.8), fault, random.Random(chance.random()))
            for fault in chance.sample(faults, chance.randint(2, 5))
        ]
        jobs += [self._change_keys(board, random.Random(chance.random()), until) for board in self.boards[: len(CLUBS)]]
        await asyncio.gather(*jobs)
        await self._mend()
        await self._expect_convergence(number)
        await self._cross(chance, number)
        await self._fail_for_some(chance, number)
        self._expect_nothing_foreign(number)

    async def _later(
        self, seconds: float, fault: Callable[[random.Random], Awaitable[None]], chance: random.Random
    ) -> None:
        await asyncio.sleep(seconds)
        self.counts[fault.__name__.strip("_")] += 1
        await fault(chance)

    async def _mend(self) -> None:
        self.proxy.refusing = False
        for viewer in self.viewers:
            viewer.reads.set()
        await self.server.up.wait()
        for board in self.boards:
            await self._post(board, "trouble", {"failing": 0.0, "delay": 0.0})

    async def _expect_convergence(self, number: int) -> None:
        fresh = await self._fresh_pages()
        self._expect_nothing_foreign(number)
        started = asyncio.get_running_loop().time()
        while wrong := self._wrong(fresh):
            self._raise_from_viewers()
            self._return_to_closed_pages()
            taken = asyncio.get_running_loop().time() - started
            if taken > CONVERGE_SECONDS:
                raise StaleError(self._report(number, wrong))
            await asyncio.sleep(0.02)
        self.slowest = max(self.slowest, asyncio.get_running_loop().time() - started)

    async def _fresh_pages(self) -> dict[Viewer, str]:
        """Return a fresh page for each viewer that may see one."""
        fresh: dict[Viewer, str] = {}
        for board in self.boards:
            page = (await self._client.get(f"http://127.0.0.1:{self.server.port}/{board.name}/page")).text
            for viewer in board.viewers:
                if not isinstance(viewer, Member):
                    fresh[viewer] = page
                elif viewer.key is not None:
                    fresh[viewer] = await self._fresh_of_member(viewer)
            for block, paths in BLOCKS.items():
                for page in {fresh[viewer] for viewer in board.viewers if viewer in fresh}:
                    assert own_values(page, block, paths) == values_of(block, board.history[-1])
        return fresh

    async def _fresh_of_member(self, member: Member) -> str:
        name, _, cookies = cookies_of(member.name, member.user).partition(": ")
        url = f"http://127.0.0.1:{self.server.port}/{member.scope}/{member.path}"
        page = inner_html((await self._client.get(url, headers={name: cookies})).text, "all")
        assert set(re.findall(r"key:(\w+)", page)) == {member.key}
        return page

    def _wrong(self, fresh: Mapping[Viewer, str]) -> dict[Viewer, list[str]]:
        found = {
            viewer: board.faults_of(viewer, fresh[viewer])
            for board in self.boards
            for viewer in board.viewers
            if viewer in fresh
        }
        return {viewer: faults for viewer, faults in found.items() if faults}

    def _raise_from_viewers(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    def _report(self, number: int, wrong: dict[Viewer, list[str]]) -> str:
        lines = [f"{len(wrong)} of {VIEWERS + MEMBERS} pages are stale in round {number}; seed {self.seed!r}"]
        for viewer, faults in list(wrong.items())[:3]:
            lines += [f"{viewer.name}, {viewer.kind}, shared {viewer.shared}, {viewer.user} on {viewer.scope}:"]
            lines += [f"  {fault}" for fault in faults]
            lines += [f"    {line}" for line in viewer.story]
        return "\n".join(lines)

    # Changes

    async def _make_changes(self, board: Board, chance: random.Random, until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            paths = chance.sample(PATHS, chance.choice((1, 1, 1, 2, 4)))
            kind = chance.choices(("all", "audience", "own"), (6, 2, 2))[0]
            if kind == "own":
                await self._change_own(board, chance, paths)
            elif kind == "audience":
                users = chance.sample(USERS, chance.randint(1, 4))
                await self._change(board, chance, paths, audience=users)
                self.counts["audience"] += 1
            else:
                await self._change(board, chance, paths)
            self.counts["changes"] += 1
            await asyncio.sleep(chance.choice((0, 0, 0.01, 0.05)))

    async def _change_own(self, board: Board, chance: random.Random, paths: list[str]) -> None:
        viewer = chance.choice(board.viewers)
        member = viewer if isinstance(viewer, Member) else None
        if member is not None and member.lock.locked():
            return  # as long as it has no access, it asks for its page in vain
        async with viewer.lock, member.key_lock if member else contextlib.nullcontext():
            if viewer.page is None or (member is not None and member.key is None):
                return
            self.counts["own"] += 1
            answer = await self._change(board, chance, paths, origin=viewer.origin, member=member)
            if member is not None and chance.random() < 0.2:
                viewer.note("loses an answer")
                self.counts["lost answers"] += 1
            elif answer is not None and viewer.page is not None:
                for block in answer["blocks"]:
                    viewer.note("its own change:")
                    viewer.swap(block, inner_html(answer["page"], block))

    async def _change(
        self,
        board: Board,
        chance: random.Random,
        paths: list[str],
        *,
        audience: list[str] | None = None,
        origin: str | None = None,
        member: Member | None = None,
    ) -> Any:
        async with board.lock:
            values = {path: self._next_value(chance, board, path) for path in paths}
            pause = chance.choice((0, 0, 0, 0.005, 0.05))
            asked: dict[str, Any] = {"values": values, "audience": audience, "origin": origin, "pause": pause}
            asked |= {"key": member and member.key, "member": member and member.name}
            answer = await self._post(board, "change", asked)
            board.note_change(
                set(paths), lambda viewer: audience is None or viewer.user in audience or viewer.origin == origin
            )
        return answer

    def _next_value(self, chance: random.Random, board: Board, path: str) -> int:
        if chance.random() < 0.3:  # back to where it was, or no change at all: HTML that was seen before
            return chance.choice(board.history[-3:])[PATHS.index(path)]
        self._value += 1
        return self._value

    async def _post(self, board: Board, what: str, asked: dict[str, Any]) -> Any:
        """Send something to the server itself; ``None``: it was killed before it answered."""
        while True:
            await self.server.up.wait()
            process = self.server.process
            url = f"http://127.0.0.1:{self.server.port}/{board.name}/{what}"
            try:
                answer = await self._client.post(url, json=asked)
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

    # Members

    async def _change_keys(self, board: Board, chance: random.Random, until: float) -> None:
        """Give members other keys, take keys away and return them, and make a change after each time."""
        members = [member for member in self.members if member.scope == board.name]
        while asyncio.get_running_loop().time() < until:
            await self._change_key(board, chance.choice(members), chance.choice((*KEYS, *KEYS, None)))
            await self._change(board, chance, chance.sample(PATHS, 1))
            await asyncio.sleep(chance.choice((0, 0.01, 0.05)))

    async def _change_key(self, board: Board, member: Member, key: str | None) -> None:
        async with member.key_lock:
            self.counts["keys changed" if key else "keys taken away"] += 1
            member.note_key(key, is_changed=False)
            while await self._post(board, "key", {"member": member.name, "key": key}) is None:
                pass
            member.note_key(key, is_changed=True)

    def _return_to_closed_pages(self) -> None:
        for member in self.members:
            if member.is_closed and member.key is not None:
                self.counts["closed pages loaded again"] += 1
                member.note("comes back to its closed page")
                member.reload()

    async def _cross(self, chance: random.Random, number: int) -> None:
        """Change what is nested in a personal block while that block is being rendered."""
        for board in self.boards[: len(CLUBS)]:
            await self._post(board, "trouble", {"failing": 0.0, "delay": 0.3})
            for path in ("p12", "p14"):
                await self._change(board, chance, [path])
                await asyncio.sleep(chance.uniform(0, 0.1))
            await self._post(board, "trouble", {"failing": 0.0, "delay": 0.0})
        await self._expect_convergence(number)

    async def _fail_for_some(self, chance: random.Random, number: int) -> None:
        """Let the endpoint fail for some members, and see that they and all others are shown what is shared."""
        for board in self.boards[: len(CLUBS)]:
            ailing = self._choose_ailing(board, chance)
            await self._post(board, "ailing", {"members": [member.name for member in ailing]})
            streams = {member: member.streams for member in self.members}
            for _ in range(2):
                await self._change(board, chance, list(PATHS))
            await self._expect_shared(board, ailing, streams, number)
            await self._post(board, "ailing", {"members": []})
        await self._expect_convergence(number)

    def _choose_ailing(self, board: Board, chance: random.Random) -> list[Member]:
        """Return members, and none whose key no other member has."""
        ailing = []
        for key in KEYS:
            group = [member for member in self.members if member.scope == board.name and member.key == key]
            ailing += chance.sample(group, max(0, min(2, len(group) - 1)))
        return ailing

    async def _expect_shared(
        self, board: Board, ailing: list[Member], streams: Mapping[Member, int], number: int
    ) -> None:
        """See that members whose streams go on are shown what is shared, if one of their group is not ailing.

        Raises:
            StaleError: One is not.
        """
        started = asyncio.get_running_loop().time()
        while True:
            self._raise_from_viewers()
            steady = [each for each in self.members if each.is_admitted and each.streams == streams[each]]
            served = {(each.scope, each.key) for each in steady if each not in ailing}
            behind = [
                each
                for each in steady
                if each in ailing
                and (each.scope, each.key) in served
                and any(
                    own_values(each.page or "", block, BLOCKS[block]) != values_of(block, board.history[-1])
                    for block in SHARED
                )
            ]
            if not behind:
                break
            if asyncio.get_running_loop().time() - started > CONVERGE_SECONDS:
                found: dict[Viewer, list[str]] = {
                    each: ["it shows old data, because the endpoint fails for it"] for each in behind
                }
                raise StaleError(self._report(number, found))
            await asyncio.sleep(0.02)
        self.counts["ailing"] += len([each for each in ailing if each in steady and (each.scope, each.key) in served])

    def _expect_nothing_foreign(self, number: int) -> None:
        found = self.server.findings_path.read_text()
        if found:
            raise ForeignError(f"in round {number}; seed {self.seed!r}:\n{found[:3000]}")

    # Faults

    async def _cut(self, chance: random.Random) -> None:
        for _ in range(chance.randint(1, 4)):
            self.proxy.cut(chance, share=chance.uniform(0.1, 0.6))
            await asyncio.sleep(chance.uniform(0.05, 0.4))

    async def _stall(self, chance: random.Random) -> None:
        stalled = chance.sample(self.viewers, chance.randint(3, 20))
        for viewer in stalled:
            viewer.note("stops reading")
            viewer.reads.clear()
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        for viewer in stalled:
            viewer.note("reads again")
            viewer.reads.set()

    async def _kill(self, chance: random.Random) -> None:
        self.server.kill()
        await asyncio.sleep(chance.uniform(0, 0.5))
        await self.server.start()

    async def _refuse(self, chance: random.Random) -> None:
        self.proxy.refusing = True
        self.proxy.cut(chance, share=0.5)
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        self.proxy.refusing = False

    async def _slow(self, chance: random.Random) -> None:
        for board in chance.sample(self.boards, 3):
            await self._post(board, "trouble", {"failing": 0.0, "delay": chance.uniform(0.05, 0.4)})

    async def _fail(self, chance: random.Random) -> None:
        for board in chance.sample(self.boards, 3):
            asked = {"failing": chance.choice((0.3, 0.7, 1.0)), "delay": chance.choice((0, 0.05))}
            await self._post(board, "trouble", asked)

    async def _burst(self, chance: random.Random) -> None:
        board = chance.choice(self.boards)
        paths = chance.sample(PATHS, 5)
        first, self._value = self._value + 1, self._value + 2000
        async with board.lock:
            await self._post(board, "burst", {"events": 2000, "paths": paths, "first": first})
            board.note_change(set(paths), lambda _: True)

    async def _reload(self, chance: random.Random) -> None:
        for viewer in chance.sample(self.viewers, chance.randint(5, 25)):
            if not viewer.lock.locked():
                viewer.note("reloads")
                viewer.reload()
                await asyncio.sleep(chance.uniform(0, 0.03))
