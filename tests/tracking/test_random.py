"""Random commits, visits, and streams that break: in the end, each page shows what the database holds."""

from __future__ import annotations

import random
import re
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus
from anyio.lowlevel import checkpoint

from tests.pages.support import Seen
from tests.support import Connection, eventually

from .site import BELL, HELLO, OWNERS, TASKS, TITLE, Site

pytestmark = pytest.mark.anyio

NAMES = {"ada": 1, "ben": 2, "cy": 3}
KINDS: dict[str, dict[str, Any]] = {
    "private": {},
    "shared": {"shared": True},
    "key": {"share": lambda request: "team"},
    "mixed": {"scope": "bell"},
    "mixed key": {"scope": "bell", "share": lambda request: "team"},
    "mixed shared": {"scope": "bell", "shared": True},
}
_BLOCK = re.compile(r'<div id="(\w+)">(.*?)</div>', re.DOTALL)
_PATCH = re.compile(r'<hx-partial hx-target="#(\w+)"[^>]*>(.*)</hx-partial>', re.DOTALL)


class Page:
    """A tab: what it shows, over several streams."""

    def __init__(self, name: str, seen: Seen) -> None:
        self.name = name
        self.seen = seen
        self.shown: dict[str, str] = dict(_BLOCK.findall(seen.text))
        self.cursor: str | None = None
        self.connection: Connection | None = None
        self._leaves = anyio.Event()
        self._has_left = anyio.Event()

    async def connect(self, site: Site, tasks: TaskGroup, *, wait: bool) -> None:
        await tasks.start(self._stay, site, wait)

    async def _stay(self, site: Site, wait: bool, *, task_status: TaskStatus[None]) -> None:
        self._leaves, self._has_left = anyio.Event(), anyio.Event()
        async with site.stream(self.seen, self.cursor, self.name, wait=wait) as connection:
            self.connection = connection
            task_status.started()
            await self._leaves.wait()
        self.connection = None
        self.shown, self.cursor = self.after(connection)
        self._has_left.set()

    async def disconnect(self) -> None:
        self._leaves.set()
        await self._has_left.wait()

    def after(self, connection: Connection) -> tuple[dict[str, str], str | None]:
        """Return what it shows after what a stream has sent, and the last id."""
        shown, cursor = dict(self.shown), self.cursor
        for frame in connection.frames:
            if frame.data is not None and (found := _PATCH.fullmatch(frame.data)):
                shown[found[1]] = found[2]
            cursor = frame.id or cursor
        return shown, cursor


class Play:
    """Random steps on one site."""

    def __init__(self, site: Site, tasks: TaskGroup, seed: int) -> None:
        self.site = site
        self.tasks = tasks
        self.random = random.Random(seed)
        self.pages: list[Page] = []
        self.serial = 0
        site.read = self.read

    def read(self) -> dict[str, Any]:
        db, me = self.site.db, self.site.runs[-1]
        board = db.one("setting", id=1)["board"]
        found = db.select("board", id=board)
        title = found[0]["title"] if found else "none"
        if "2" in title:  # some titles make it read more
            title += db.one("person", id=1)["name"]
        status = db.one("person", id=NAMES.get(me, 1))["name"] if "3" not in title else "busy"
        return {"title": title, "tasks": db.select("task", board=board), "status": status}

    def commit(self) -> dict[str, set[str]]:
        self.serial += 1
        db, name = self.site.db, f"v{self.serial}"
        table = self.random.choice(["setting", "board", "task", "task", "person"])
        if table == "setting":
            return db.change(table, 1, board=self.random.choice([1, 2]))
        if table == "board":
            return db.change(table, self.random.choice([1, 2]), title=name)
        if table == "person":
            return db.change(table, self.random.choice([1, 2, 3]), name=name)
        number = self.random.randrange(1, 5)
        if number in db.rows[table] and self.random.random() < 0.3:
            return db.delete(table, number)
        return db.change(table, number, board=self.random.choice([1, 2]), owner=self.random.choice([1, 2]), name=name)

    async def step(self) -> None:
        chance = self.random.random()
        if chance < 0.5:
            await self.site.emit(self.commit())
        elif chance < 0.55 and self.site.values:
            self.site.values["bell"] = f"bell {self.serial}"
            await self.site.reactive.emit("bell", "bell")
        elif chance < 0.7 and len(self.pages) < 5:
            name = self.random.choice(list(NAMES))
            self.pages.append(Page(name, await self.site.visit(name)))
        elif self.pages:
            page = self.random.choice(self.pages)
            await (page.disconnect() if page.connection is not None else self.connect(page))
        for _ in range(self.random.randrange(3)):
            await checkpoint()

    async def connect(self, page: Page) -> None:
        await page.connect(self.site, self.tasks, wait=self.random.random() < 0.5)

    async def end(self) -> None:
        for page in self.pages:
            if page.connection is None:
                await self.connect(page)
        for page in self.pages:
            await self.check(page)
        for page in self.pages:
            await page.disconnect()

    async def check(self, page: Page) -> None:
        truth = dict(_BLOCK.findall((await self.site.visit(page.name)).text))
        connection = page.connection
        assert connection is not None
        try:
            await eventually(lambda: page.after(connection)[0] == truth, timeout=10)
        except TimeoutError:
            pytest.fail(f"{page.name} sees {page.after(connection)[0]}, and the database holds {truth}")


@pytest.mark.parametrize("kind", KINDS)
async def test_each_page_shows_what_the_database_holds(kind: str) -> None:
    for seed in range(12):
        options = KINDS[kind]
        personal = "" if "shared" in options else HELLO
        site = Site(TITLE + TASKS + OWNERS + BELL + personal, user=lambda request: request.cookies["name"], **options)
        site.db.rows["person"][3] = {"id": 3, "name": "Cy"}
        site.values = {"bell": "none"} if "scope" in options else {}
        async with anyio.create_task_group() as tasks:
            play = Play(site, tasks, seed)
            for _ in range(40):
                await play.step()
            await play.end()
