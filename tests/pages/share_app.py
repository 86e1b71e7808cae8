"""An application whose pages are shared by teams, and its viewers."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive, ReactiveBus
from tests.support import Connection, environment, eventually

from .support import SECRET, request, stream, view

LIVE = '<div id="{0}">{{% block {0} %}}{1}{{% endblock %}}</div>'
TASKS = "{% for task in tasks %}<li>{{ task }}</li>{% endfor %}"
PAGE = "<!doctype html>" + LIVE.format("tasks", TASKS) + LIVE.format("hello", "{{ me }} has {{ unread }}")
SINK = "<div {{ live() }}></div><p {{ live_origin() }}></p>"


class Club:
    """An application whose members see what their team may see.

    Args:
        page: The template.
        bus: The bus.
        members: Members of the team ``red``, besides those that each club has.
        audit: The part of the updates that is audited.
        debug: Whether the application is in debug mode.
        inspector: Whether it has an inspector.
        scope: The scope of the page, or several.
        options: Further arguments of the page.
    """

    def __init__(
        self,
        page: str = PAGE,
        *,
        bus: ReactiveBus | None = None,
        members: Sequence[str] = (),
        audit: float = 0.0,
        debug: bool = False,
        inspector: bool = False,
        scope: str | list[str] = "all",
        **options: Any,
    ) -> None:
        self.teams: dict[str, Any] = {
            "ada": "red",
            "ben": "red",
            "cy": "blue",
            "dee": "red",
            **dict.fromkeys(members, "red"),
        }
        self.tasks = {"red": ["red 1"], "blue": ["blue 1"]}
        self.unread = dict.fromkeys(self.teams, 0)
        self.refused: set[str] = set()
        self.failing: set[str] = set()
        self.runs: list[str] = []
        self.before_reading: Callable[[str], Any] | None = None
        self.before_answering: Callable[[str], Any] | None = None
        self.env: Environment = environment(page=page + SINK)
        names = ["me", "unread"]
        self.reactive = Reactive(self.env, bus=bus, secret=SECRET, viewer_names=names, debug=debug, inspector=inspector)
        options = {"share": self.team_of, "user": self.name_of, "share_audit": audit, **options}
        self.page = self.reactive.page("page.html", scope=scope, **options)(self.endpoint)
        self.app = Starlette(routes=[*self.reactive.routes, Route("/", self.page)])

    def name_of(self, request: Request) -> str:
        return request.cookies["name"]

    def team_of(self, request: Request) -> Any:
        return self.teams.get(self.name_of(request))

    async def endpoint(self, request: Request) -> dict[str, Any]:
        name = self.name_of(request)
        self.runs.append(name)
        if self.before_reading is not None:
            await self.before_reading(name)
        if name in self.refused:
            raise HTTPException(403)
        if name in self.failing:
            raise RuntimeError(f"the endpoint fails for {name}")
        found = {"tasks": self.tasks.get(self.teams.get(name, ""), []), "me": name, "unread": self.unread[name]}
        if self.before_answering is not None:
            await self.before_answering(name)
        return found

    def has_run(self, times: int) -> bool:
        """Return whether the endpoint has been run so often."""
        return len(self.runs) == times

    async def add(self, team: str, task: str) -> None:
        """Add a task to those of a team."""
        self.tasks[team] = [*self.tasks[team], task]
        await self.reactive.emit("all", "tasks")

    async def remind(self, name: str, **options: Any) -> None:
        """Change what one member has not read."""
        self.unread[name] += 1
        await self.reactive.emit("all", "unread", **options)

    @asynccontextmanager
    async def view(self, *names: str) -> AsyncIterator[list[Connection]]:
        """Open the page for members, and forget the runs that admitted them."""
        async with anyio.create_task_group() as tasks:
            connections: dict[int, Connection] = {}
            leaving = anyio.Event()

            async def visit(number: int, name: str) -> None:
                async with view(self.app, "/", headers={"cookie": f"name={name}"}) as connection:
                    connections[number] = connection
                    await leaving.wait()

            for number, name in enumerate(names):  # one after the other, so that the first one serves first
                tasks.start_soon(visit, number, name)
                await eventually(functools.partial(connections.__contains__, number))
            self.runs.clear()
            yield [connections[number] for number in range(len(names))]
            leaving.set()

    async def url_for(self, name: str) -> str:
        """Return the live URL of a member's page."""
        return (await request(self.app, "/", headers={"cookie": f"name={name}"})).url

    def stream(self, name: str, url: str, last_id: str | None = None) -> Any:
        """Open a stream of a member."""
        headers = {"cookie": f"name={name}", **({} if last_id is None else {"last-event-id": last_id})}
        return stream(self.app, url, headers=headers)


class Hold:
    """Holds up the first run of a club that has read its data, or the first one of a member.

    Args:
        club: The club.
        name: The member.
    """

    def __init__(self, club: Club, name: str | None = None) -> None:
        self.reached = anyio.Event()
        self._released = anyio.Event()
        self._name = name
        club.before_answering = self._wait

    async def _wait(self, name: str) -> None:
        if self._name in (None, name) and not self.reached.is_set():
            self.reached.set()
            await self._released.wait()

    def release(self) -> None:
        """Let it go on."""
        self._released.set()


def text(connection: Connection) -> str:
    """Return the data that a stream has sent."""
    return "".join(frame.data or "" for frame in connection.updates)


async def shows(connection: Connection, *parts: str) -> None:
    """Wait until a stream has sent some texts."""
    await eventually(lambda: all(part in text(connection) for part in parts))


def last_id(connection: Connection) -> str:
    """Return the id that a client sends back when it reconnects."""
    return next(frame.id for frame in reversed(connection.frames) if frame.id is not None)
