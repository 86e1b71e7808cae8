"""Rounds of changes with a fault each, and the question after each: is every page what a fresh one would be?

A change is made as users make it: through any worker, from a script, or as SQL in a transaction; and it is repeated
until it has been answered. What a worker only keeps for the engine may die with it, as is said of it, so that is
repeated too when the worker is killed. When the writers have stopped and what was broken works again, every page must
become the same as one that is rendered anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg

from starlette_reactive import ReactiveError
from starlette_reactive._engines import Publisher

from ..chaos.board import ForeignError
from ..chaos.club import KEYS, KeyFile
from ..chaos.dom import inner_html
from ..chaos.viewer import KINDS
from ..engines.servers import EngineServer, PostgresServer
from .faults import Fault
from .pages import MINE, OPEN_PATHS, OWN_PATHS, PLACES, USERS, PostgresStore, SQLiteStore, Store, open_store
from .workers import MemberTab, Tab, Worker

_T = TypeVar("_T")

BOARDS = 8
WRITERS = 8
MEMBERS = 16
MEMBER_KINDS = KINDS[1:]  # the first one may lose its id, and another process does not know what it was sent before
MEMBER_PORTS = 2  # so many workers serve members, so that some of them share
CONVERGE_SECONDS = 60.0  # a quiet machine takes one
ROUND_SECONDS = 180.0  # all writers have been answered by then, however long the engine was away


@dataclass(frozen=True, slots=True)
class Change:
    """One change and whom it is for."""

    scope: str
    user: str
    paths: list[str]
    values: dict[str, int]
    how: str
    origin: str | None = None
    audience: list[str] | None = None
    pause: float = 0.0


@dataclass(slots=True)
class Tally:
    """What came of one kind of fault."""

    rounds: int = 0
    stale_rounds: int = 0
    stale_pages: int = 0
    late_pages: int = 0
    slowest: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds, {self.stale_rounds} with stale pages ({self.stale_pages} pages, "
            f"{self.late_pages} of them right later), the slowest took {self.slowest:.1f} s"
        )


@dataclass(slots=True)
class Fleet:
    """The whole arrangement: an engine, workers on it, and tabs that view boards.

    Args:
        directory: Where data and logs go.
        engine: A running server.
        seed: What all is drawn from.
        control: Which way of losing changes the workers are given, if any.
        longest_outage: In seconds.
        long_transaction: In seconds.
        workers_wanted: How many processes serve.
        tabs_wanted: How many tabs view.
        members_wanted: How many tabs view the page with ``share=``.
        beat: Seconds between two signs of life of a relay.
        patience: How many seconds pages may take to be right.
        second_look: How many seconds more stale ones are looked at, to tell what is late from what is lost.
    """

    directory: Path
    engine: EngineServer
    seed: str
    control: str = ""
    longest_outage: float = 2.0
    long_transaction: float = 3.0
    workers_wanted: int = 4
    tabs_wanted: int = BOARDS * PLACES
    members_wanted: int = MEMBERS
    beat: float = 1.0
    patience: float = CONVERGE_SECONDS
    second_look: float = CONVERGE_SECONDS
    workers: list[Worker] = field(default_factory=list)
    tabs: list[Tab] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    tallies: dict[str, Tally] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)
    stores: dict[str, Store] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    keys: KeyFile = field(init=False, repr=False)
    late: psycopg.Connection = field(init=False, repr=False)
    _value: int = 0
    _lost: list[Change] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _client: httpx.AsyncClient = field(init=False)
    _publisher: Publisher = field(init=False)
    _outside: ThreadPoolExecutor = field(default_factory=functools.partial(ThreadPoolExecutor, 1))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Fleet]:
        self._client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        self._publisher = Publisher.from_url(self.engine.url)
        settings = self._open_stores()
        self.workers = [Worker(number, self.directory, self.engine, settings) for number in range(self.workers_wanted)]
        try:
            await asyncio.gather(*(worker.start() for worker in self.workers))
            self._seat_tabs()
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._client.aclose()
            for worker in self.workers:
                await worker.stop()
            for store in self.stores.values():
                await self._do_outside(store.close)
            await self._do_outside(self._publisher.close)
            self._outside.shutdown()

    def _open_stores(self) -> dict[str, str]:
        (self.directory / "findings").touch()
        self.keys = KeyFile.create(self.directory / "keys", MEMBERS)
        file = SQLiteStore(self.directory / "state.sqlite")
        file.create()
        self.stores = {"board": file}
        settings = {
            "CHAOS_STATE": str(self.directory / "state.sqlite"),
            "CHAOS_CONTROL": self.control,
            "CHAOS_BEAT": str(self.beat),
            "CHAOS_KEYS": str(self.directory / "keys"),
            "CHAOS_MEMBERS": str(MEMBERS),
            "CHAOS_FINDINGS": str(self.directory / "findings"),
        }
        names = ["board"] * BOARDS
        if isinstance(self.engine, PostgresServer):
            ledger = PostgresStore(self.engine.url)
            ledger.create()
            self.stores["ledger"] = ledger
            settings["CHAOS_LEDGER"] = self.engine.url
            names[BOARDS // 2 :] = ["ledger"] * (BOARDS - BOARDS // 2)
        self.scopes = [f"{name}-{number}" for number, name in enumerate(names)]
        return settings

    def _seat_tabs(self) -> None:
        chance = random.Random(f"{self.seed} tabs")
        ports = [worker.port for worker in self.workers]
        for number in range(self.tabs_wanted):
            user = chance.choice(USERS)
            tab = Tab(
                number // BOARDS,
                ports,
                name=f"tab-{number}",
                scope=f"{self.scopes[number % BOARDS]}/{user}",
                user=user,
                kind=KINDS[number % len(KINDS)],
                shared=chance.random() < 0.7,
                chance=random.Random(f"{self.seed} tab {number}"),
            )
            self._seat(tab)
        for number in range(self.members_wanted):
            name = f"member-{number}"
            member = MemberTab(
                -1,
                ports[:MEMBER_PORTS],
                path="club",
                key=self.keys.read(name),
                name=name,
                scope=self.scopes[-(number % 2)],  # on PostgreSQL, the data of the last one is in the engine
                user=chance.choice(USERS),
                kind=MEMBER_KINDS[number // 2 % len(MEMBER_KINDS)],
                shared=True,
                chance=random.Random(f"{self.seed} {name}"),
            )
            self._seat(member)

    def _seat(self, tab: Tab) -> None:
        self.tabs.append(tab)
        self._tasks.add(asyncio.create_task(tab.run(), name=tab.name))

    @property
    def members(self) -> list[MemberTab]:
        return [tab for tab in self.tabs if isinstance(tab, MemberTab)]

    @property
    def ledgers(self) -> list[str]:
        """The scopes whose data is in the engine."""
        return [scope for scope in self.scopes if scope.startswith("ledger-")]

    # Rounds

    async def settle(self) -> None:
        """Wait until every tab shows its page for the first time.

        Raises:
            AssertionError: That does not come about.
        """
        wrong = await self._converge(self.patience)
        assert not wrong, self._report("start", wrong)

    async def round(self, name: str, fault: Fault, number: int) -> bool:
        """Make changes amid a fault, then see that every page becomes what it should be; false: one did not."""
        chance = random.Random(f"{self.seed} {name} {number}")
        until = asyncio.get_running_loop().time() + chance.uniform(0.6, 2.0)
        jobs: list[Awaitable[None]] = [self._write(random.Random(chance.random()), until) for _ in range(WRITERS)]
        jobs += [self._publish(random.Random(chance.random()), until), self._disturb(random.Random(chance.random()))]
        jobs.append(self._change_keys(random.Random(chance.random()), until))
        jobs.append(self._later(chance.uniform(0.1, 0.8), fault, random.Random(chance.random())))
        async with asyncio.timeout(ROUND_SECONDS):
            await asyncio.gather(*jobs)
            await self._mend()
        self._expect_nothing_foreign(name)
        started = asyncio.get_running_loop().time()
        wrong = await self._converge(self.patience)
        self._expect_nothing_foreign(name)
        if wrong:
            await self._look_again(name, number, wrong)
        tally = self.tallies.setdefault(name, Tally())
        tally.rounds += 1
        tally.slowest = max(tally.slowest, asyncio.get_running_loop().time() - started)
        for worker in self.workers:
            worker.unsettled.clear()
        return not wrong

    async def _later(self, seconds: float, fault: Fault, chance: random.Random) -> None:
        await asyncio.sleep(seconds)
        self._note("the fault begins")
        await fault(self, chance)
        self._note("the fault is over")

    def _note(self, what: str) -> None:
        for tab in self.tabs:
            tab.note(what)

    async def _mend(self) -> None:
        lost, self._lost = self._lost, []
        for change in lost:
            self.counts["repeated"] += 1
            await self._make(dataclasses.replace(change, values={}, how="emit", pause=0.0))

    async def _look_again(self, name: str, number: int, wrong: Mapping[Tab, str]) -> None:
        report = self._report(f"{name} {number}", wrong)
        lost = await self._converge(self.second_look)
        late = [tab.name for tab in wrong if tab not in lost]
        self.reports.append(f"{report}\n{len(late)} of them became right later: {', '.join(late)}")
        print(self.reports[-1], flush=True)
        tally = self.tallies.setdefault(name, Tally())
        tally.stale_rounds += 1
        tally.stale_pages += len(wrong)
        tally.late_pages += len(late)
        for tab in wrong:
            tab.reload()

    # Judging

    async def _converge(self, patience: float) -> dict[Tab, str]:
        """Wait until every page is right, and return those that do not become so, each with what it should be."""
        loop = asyncio.get_running_loop()
        fresh = await self._insist(self._fresh_pages)
        deadline = loop.time() + patience
        while True:
            wrong = self._wrong(fresh)
            self._raise_from_tabs()
            self._return_to_closed_pages()
            if not wrong:
                await asyncio.sleep(0.1)
                wrong = self._wrong(fresh)  # an update that was on its way must not spoil it
            if not wrong or loop.time() > deadline:
                return wrong
            await asyncio.sleep(0.02)

    def _wrong(self, fresh: Mapping[Tab, str]) -> dict[Tab, str]:
        return {
            tab: page
            for tab, page in fresh.items()
            if tab.content != page or (isinstance(tab, MemberTab) and tab.faults())
        }

    def _fresh_pages(self) -> dict[Tab, str]:
        """Return a fresh page for each tab that may see one."""
        pages: dict[Tab, str] = {}
        shown: dict[str, str] = {}
        for tab in self.tabs:
            store = open_store(tab.scope, self.stores)
            if isinstance(tab, MemberTab):
                if tab.key is not None:
                    pages[tab] = store.club_page(tab.scope, tab.user, tab.name, tab.key)
                continue
            if tab.scope not in shown:
                shown[tab.scope] = store.page(tab.scope.partition("/")[0], tab.user)
            pages[tab] = shown[tab.scope]
        return pages

    def _raise_from_tabs(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    def _report(self, what: str, wrong: Mapping[Tab, str]) -> str:
        lines = [f"{len(wrong)} of {len(self.tabs)} pages are stale in round {what!r}; seed {self.seed!r}"]
        for tab, fresh in list(wrong.items())[:4]:
            lines.append(f"{tab.name}, {tab.kind}, shared {tab.shared}, origin {tab.origin} on {tab.scope}:")
            lines += tab.faults() if isinstance(tab, MemberTab) else []
            shown = (tab.content or "no page").splitlines()
            lines += [
                f"  shows {old}, not {new}" for old, new in zip(shown, fresh.splitlines(), strict=False) if old != new
            ]
            lines += [f"    {line}" for line in tab.story]
        return "\n".join(lines)

    # Changes

    def next_value(self) -> int:
        self._value += 1
        return self._value

    def transaction_seconds(self, chance: random.Random) -> float:
        return self.long_transaction if chance.random() < 0.1 else chance.uniform(0.5, 3.0)

    def repeat_later(self, changes: list[Change]) -> None:
        """Take note of changes that may have been lost with the worker that kept them."""
        self._lost += changes

    async def _write(self, chance: random.Random, until: float) -> None:
        while asyncio.get_running_loop().time() < until:
            kind = chance.choices(("open", "private", "own"), (6, 2, 2))[0]
            if kind == "own":
                await self._change_own(chance)
            else:
                await self._make(self._draw(chance, private=kind == "private"))
            self.counts[kind] += 1
            await asyncio.sleep(chance.choice((0.01, 0.05, 0.2)))

    def _draw(self, chance: random.Random, *, private: bool) -> Change:
        scope, user = chance.choice(self.scopes), chance.choice(USERS)
        how, pause = self._how(scope, chance), chance.choice((0, 0, 0.01, 0.1))
        if private:
            audience = chance.sample(USERS, chance.choice((1, 2)))
            values = {MINE[each]: self.next_value() for each in audience}
            return Change(scope, user, ["mine"], values, how, None, audience, pause)
        paths = chance.sample(OPEN_PATHS, chance.choice((1, 1, 2, 4)))
        values = {path: self.next_value() if chance.random() < 0.8 else chance.randint(1, 3) for path in paths}
        return Change(scope, user, paths, values, how, chance.choice((None, None, "a robot")), None, pause)

    @staticmethod
    def _how(scope: str, chance: random.Random) -> str:
        if scope.startswith("ledger-") and chance.random() < 0.7:
            return "transaction"
        return chance.choice(("emit", "emit", "emit_sync"))

    async def _change_own(self, chance: random.Random) -> None:
        tab = chance.choice(self.tabs[: self.tabs_wanted])  # members have no place at the board
        async with tab.lock:
            if tab.page is None:
                return
            scope, path = tab.scope.partition("/")[0], OWN_PATHS[tab.place]
            values = {path: self.next_value()}
            answer = await self._make(
                Change(scope, tab.user, [path], values, self._how(scope, chance), tab.origin, None, 0.0)
            )
            for block in answer["blocks"]:
                tab.note("its own change:")
                tab.swap(block, inner_html(answer["page"], block))

    async def _make(self, change: Change) -> Any:
        """Ask a worker for a change, again and again until one has answered."""
        while True:
            worker = random.choice(self.workers)
            life = worker.lives
            if worker.is_up:
                answer = await self._post(worker, change)
                if answer is not None:
                    if not answer["accepted"]:
                        (worker.unsettled if worker.is_up and worker.lives == life else self._lost).append(change)
                        self.counts["kept"] += 1
                    return answer
            await asyncio.sleep(0.05)

    async def _post(self, worker: Worker, change: Change) -> Any:
        """Return the answer; ``None``: the worker was killed before it answered, or its data was out of reach."""
        url = f"http://127.0.0.1:{worker.port}/{change.scope}/{change.user}/change"
        life = worker.lives
        try:
            answer = await self._client.post(url, json=dataclasses.asdict(change))
        except httpx.TransportError as error:
            if worker.is_up and worker.lives == life:
                raise AssertionError(f"worker {worker.number} did not answer: {worker.log_tail()}") from error
            return None
        if answer.status_code == 500 and change.scope.startswith("ledger-"):
            self.counts["data out of reach"] += 1
            return None
        answer.raise_for_status()
        return answer.json()

    async def _publish(self, chance: random.Random, until: float) -> None:
        """Make changes as a script does, from this process."""
        while asyncio.get_running_loop().time() < until:
            change = self._draw(chance, private=chance.random() < 0.2)
            await self._insist(functools.partial(self._commit, change))
            self.counts["from outside"] += 1
            await asyncio.sleep(chance.choice((0.01, 0.1)))

    def _commit(self, change: Change) -> None:
        store = open_store(change.scope, self.stores)
        if change.how == "transaction":
            assert isinstance(store, PostgresStore)
            store.write_and_emit(change.scope, change.values, change.paths, change.origin, change.audience)
        else:
            store.write(change.scope, change.values)
            self._publisher.emit(change.scope, *change.paths, origin=change.origin, audience=change.audience)

    async def _insist(self, work: Callable[[], _T]) -> _T:
        """Do something outside the workers until it succeeds: the engine may be away, or have cut the connection."""
        while True:
            try:
                return await self._do_outside(work)
            except (ReactiveError, psycopg.Error):
                self.counts["tried again outside"] += 1
                await asyncio.sleep(0.1)

    async def _do_outside(self, work: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._outside, work)  # a publisher belongs to one thread

    # Members

    async def _change_keys(self, chance: random.Random, until: float) -> None:
        """Give members other keys, take keys away and return them, and make a change after each time."""
        while asyncio.get_running_loop().time() < until:
            member, key = chance.choice(self.members), chance.choice((*KEYS[:2], *KEYS[:2], None))
            self.counts["keys changed" if key else "keys taken away"] += 1
            member.note_key(key, is_changed=False)
            self.keys.write(member.name, key)
            for worker in self.workers:
                await self._tell(worker, member, key)
            member.note_key(key, is_changed=True)
            path = chance.choice(OPEN_PATHS)
            await self._make(Change(member.scope, member.user, [path], {path: self.next_value()}, "emit"))
            await asyncio.sleep(chance.choice((0.01, 0.1)))

    async def _tell(self, worker: Worker, member: MemberTab, key: str | None) -> None:
        """Tell a worker of a key. It reads it from the file if it starts later."""
        url = f"http://127.0.0.1:{worker.port}/{member.scope}/key"
        while True:
            life = worker.lives
            if worker.is_up:
                try:
                    answer = await self._client.post(url, json={"member": member.name, "key": key})
                except httpx.TransportError as error:
                    if worker.is_up and worker.lives == life:
                        raise AssertionError(f"worker {worker.number} did not answer: {worker.log_tail()}") from error
                else:
                    answer.raise_for_status()
                    return
            await asyncio.sleep(0.05)

    def _return_to_closed_pages(self) -> None:
        for member in self.members:
            if member.is_closed and member.key is not None:
                self.counts["closed pages loaded again"] += 1
                member.note("comes back to its closed page")
                member.reload()

    def _expect_nothing_foreign(self, name: str) -> None:
        found = (self.directory / "findings").read_text()
        if found:
            raise ForeignError(f"in round {name!r}; seed {self.seed!r}:\n{found[:3000]}")

    async def flood(self, scope: str, count: int) -> None:
        """Emit many large events, of which just one path is shown."""
        names = [f"unseen.{'x' * 1000}{number}" for number in range(40)]

        def emit() -> None:
            for _ in range(count):
                self._publisher.emit(scope, "p0", *names)

        await self._insist(emit)

    async def _disturb(self, chance: random.Random) -> None:
        """Let tabs lose their connections, and reload."""
        for tab in chance.sample(self.tabs, 12):
            await asyncio.sleep(chance.uniform(0, 0.15))
            if chance.random() < 0.7:
                tab.move()
            elif not tab.lock.locked():
                tab.note("reloads")
                tab.reload()

    async def ask(self, worker: Worker, what: str, method: str = "GET") -> Any:
        """Ask a worker about its bus."""
        answer = await self._client.request(method, f"http://127.0.0.1:{worker.port}/{what}")
        answer.raise_for_status()
        return answer.json()
