"""A page that viewers with an equal key share, for the applications under test, and a judge of what it sends.

Every value is shown with a mark: of the key that it was read for, or of the viewer whose own it is. The judge sees each
message when it is sent, in the event loop in which keys change too. So what it compares is exact: a stream may be sent
marks of the key that its viewer has at that moment, and a page those of keys that the viewer had since it asked for it.

A run may see the key of its viewer change once. A key that changes and then changes back, both between two looks at it,
cannot be noticed by anybody who looks. So before a key changes again, the runs that saw the last change end.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_reactive import ChangeEvent, DependencyIndex, Reactive, ReactiveBus

KEYS = ("red", "green", "blue")
STREAMS = "/_reactive/live"
PARTS = {"even:{scope}": 0, "odd:{scope}": 1}
"""The scopes of the page with two, and which of the data's paths, by their numbers, change in each."""

_MARK = re.compile(rb"(key|who):([\w-]+)")


def cookies_of(member: str, user: str) -> str:
    """Return the header line by which a member is known."""
    return f"Cookie: member={member}; user={user}"


def marked(
    values: Mapping[str, Any], key: str | None, member: str, own: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return values as a member of a key is shown them; some of them are the member's own."""
    shown = {name: f"{value} who:{member}" if name in own else f"{value} key:{key}" for name, value in values.items()}
    rows = [(row, f"{value} key:{key}") for row, value in values.get("rows", ())]
    return {**shown, "rows": rows, "me": f"who:{member}"}


def events_of(
    scope: str, paths: Iterable[str], origin: str | None = None, audience: frozenset[str] | None = None
) -> Iterator[ChangeEvent]:
    """Yield the events of a change: for pages with one scope, and for the page with two."""
    yield ChangeEvent(scope, paths, origin, audience)
    for part, remainder in PARTS.items():
        if own := {path for path in paths if int(path[1:]) % 2 == remainder}:
            yield ChangeEvent(part.format(scope=scope), own, origin, audience)


def page_source(blocks: str) -> str:
    """Return a template whose blocks are in the element ``all``."""
    return f'<!doctype html><div id="all">{blocks}</div><div {{{{ live() }}}}></div><p {{{{ live_origin() }}}}></p>'


class KeyFile:
    """The keys of members, in a file that survives a killed server.

    Args:
        path: The file.
        members: Their names.
    """

    def __init__(self, path: str | Path, members: int) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), members)

    @staticmethod
    def create(path: Path, members: int) -> KeyFile:
        path.write_bytes(bytes(members))
        return KeyFile(path, members)

    def read(self, member: str) -> str | None:
        number = self._memory[_number(member)]
        return None if number == len(KEYS) else KEYS[number]

    def write(self, member: str, key: str | None) -> None:
        self._memory[_number(member)] = len(KEYS) if key is None else KEYS.index(key)


def _number(member: str) -> int:
    return int(member.rpartition("-")[2])


class Run:
    """A request for the page, of a browser or for an update.

    Args:
        since: How often the viewer's key had changed when it began.
    """

    def __init__(self, since: int) -> None:
        self.since = since
        self.ended = asyncio.Event()


class Club:
    """The page with its members.

    Args:
        bus: What its changes come from.
        index: The derived paths.
        source: The template.
        data: Reads the values of a scope for a user.
        keys: Where keys are kept.
        findings: The file that the judge writes to.
        chance: Draws when a run looks at the key.
        own: The values that are a member's own.
        heartbeat: Seconds between the heartbeats of streams.
    """

    def __init__(
        self,
        bus: ReactiveBus,
        index: DependencyIndex,
        source: str,
        data: Callable[[str, str], Awaitable[Mapping[str, Any]]],
        keys: KeyFile,
        findings: str | Path,
        chance: random.Random,
        own: frozenset[str] = frozenset(),
        heartbeat: float = 15.0,
    ) -> None:
        self._data = data
        self._keys = keys
        self._findings = os.open(findings, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._chance = chance
        self._own = own
        self._histories: dict[str, list[str | None]] = {}
        self._runs: dict[str, set[Run]] = {}
        self._ailing: set[str] = set()
        env = Environment(loader=DictLoader({"club.html": source}), autoescape=True)
        self.reactive = Reactive(
            env,
            bus=bus,
            index=index,
            secret="of the club" * 4,
            viewer_names=["me", *own],
            heartbeat=heartbeat,
        )
        more: dict[str, Any] = {
            "user": lambda request: request.cookies["user"],
            "share_audit": 0,
            "compress": True,
        }
        page = self.reactive.page("club.html", scope="{scope}", share=self._key_of, **more)(self._endpoint)
        slow = self.reactive.page("club.html", scope="{scope}", share=self._key_of_later, recheck=0, **more)(
            self._endpoint_of_slow
        )
        pair = self.reactive.page("club.html", scope=[*PARTS], share=self._key_of, **more)(self._endpoint_of_pair)
        self.routes = [
            *self.reactive.routes,
            Route("/{scope}/club", page),
            Route("/{scope}/slow-club", slow),
            Route("/{scope}/pair-club", pair),
            Route("/{scope}/key", self._change_key, methods=["POST"]),
            Route("/{scope}/ailing", self._ail, methods=["POST"]),
        ]
        self.middleware = [Middleware(_Watch, club=self)]

    # The application

    def _history(self, member: str) -> list[str | None]:
        history = self._histories.get(member)
        if history is None:
            history = self._histories[member] = [self._keys.read(member)]
        return history

    def _key(self, member: str) -> str | None:
        return self._history(member)[-1]

    def _key_of(self, request: Request) -> str | None:
        member = request.cookies["member"]
        key = self._key(member)
        if key is None and _number(member) % 2:
            raise HTTPException(403)
        return key

    async def _key_of_later(self, request: Request) -> str | None:
        await asyncio.sleep(0)
        return self._key_of(request)

    async def _endpoint(self, request: Request) -> dict[str, Any]:
        return await self.context(request.path_params["scope"], request.cookies["member"], request.cookies["user"])

    async def _endpoint_of_slow(self, request: Request) -> dict[str, Any]:
        return await self._endpoint(request)

    async def _endpoint_of_pair(self, request: Request) -> dict[str, Any]:
        return await self._endpoint(request)

    async def context(self, scope: str, member: str, user: str) -> dict[str, Any]:
        """Return what the endpoint does."""
        looks_first = self._chance.random() < 0.5
        key = self._key(member)
        values = await self._data(scope, user)
        if not looks_first:
            key = self._key(member)
        if key is None:
            raise HTTPException(403)
        if member in self._ailing:
            raise RuntimeError(f"the endpoint fails for {member}")
        return marked(values, key, member, self._own)

    async def _change_key(self, request: Request) -> Response:
        asked = await request.json()
        member, key = asked["member"], asked["key"]
        history = self._history(member)
        for run in list(self._runs.get(member, ())):
            if run.since < len(history):
                await run.ended.wait()
        self._keys.write(member, key)
        history.append(key)
        return JSONResponse({})

    async def _ail(self, request: Request) -> Response:
        self._ailing = set((await request.json())["members"])
        return JSONResponse({})

    # The judge

    async def watch(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of a member, and judge what is sent to it."""
        member = Request(scope).cookies.get("member")
        if member is None:
            await app(scope, receive, send)
            return
        history = self._history(member)
        is_stream = scope["path"] == STREAMS
        run = Run(len(history))

        async def judged(message: Message) -> None:
            if message["type"] == "http.response.start":
                end()
            elif body := message.get("body", b""):
                self._judge(member, {history[-1]} if is_stream else set(history[run.since - 1 :]), body)
            await send(message)

        def end() -> None:
            self._runs.get(member, set()).discard(run)
            run.ended.set()

        if not is_stream:
            self._runs.setdefault(member, set()).add(run)
        try:
            await app(scope, receive, judged)
        finally:
            end()

    def _judge(self, member: str, keys: set[str | None], body: bytes) -> None:
        allowed = {b"who:" + member.encode(), *(b"key:" + key.encode() for key in keys if key is not None)}
        found = {mark[0] for mark in _MARK.finditer(body)}
        if None in keys and len(keys) == 1:
            allowed = set()
        if not found <= allowed:
            text = f"{member} has {keys} and is sent {sorted(found)}: {body[:300]!r}\n"
            os.write(self._findings, text.encode())


class _Watch:
    def __init__(self, app: ASGIApp, club: Club) -> None:
        self._app = app
        self._club = club

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._club.watch(self._app, scope, receive, send)
