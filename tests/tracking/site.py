"""A database in memory whose statements are recorded by hand, and a page that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from starlette_reactive import ChangeEvent, Reactive, ReactiveBus
from starlette_reactive._core.facts import COMMITS, table_path, table_scope, value_path
from tests.pages.support import SECRET, Seen, request, stream
from tests.support import Connection, environment, eventually

LIVE = '<div id="{0}">{{% block {0} %}}{1}{{% endblock %}}</div>'
TITLE = LIVE.format("title", "{{ title }}")
TASKS = LIVE.format("tasks", "{% for task in tasks %}<li>{{ task.name }}</li>{% endfor %}")
OWNERS = LIVE.format("owners", "{% for task in tasks %}<b>{{ db.one('person', id=task.owner).name }}</b>{% endfor %}")
HELLO = LIVE.format("hello", "{{ me }} is {{ status }}")
BELL = LIVE.format("bell", "{{ bell }}")
SINK = "<div {{ live() }}></div><p {{ live_origin() }}></p>"

Row = dict[str, Any]


class Database:
    """Tables of rows. A value that is an integer has a path, as one of a database has."""

    def __init__(self, reactive: Reactive) -> None:
        self._reactive = reactive
        self.rows: dict[str, dict[int, Row]] = {
            "setting": {1: {"id": 1, "board": 1}},
            "board": {1: {"id": 1, "title": "first board"}, 2: {"id": 2, "title": "second board"}},
            "task": {
                1: {"id": 1, "board": 1, "owner": 1, "name": "sow"},
                2: {"id": 2, "board": 2, "owner": 2, "name": "reap"},
            },
            "person": {1: {"id": 1, "name": "Ada"}, 2: {"id": 2, "name": "Ben"}},
        }
        self.statements = 0

    def select(self, table: str, **where: int) -> list[Row]:
        """Return the rows with these values, and record that they were read."""
        self.statements += 1
        self._reactive.reads(table, **where)
        return [dict(row) for row in self.rows[table].values() if where.items() <= row.items()]

    def one(self, table: str, **where: int) -> Row:
        return self.select(table, **where)[0]

    def change(self, table: str, row_id: int, **values: Any) -> dict[str, set[str]]:
        """Change or add a row, and return the paths of what changed, by scope."""
        old = self.rows[table].get(row_id, {})
        new = self.rows[table][row_id] = {"id": row_id, **old, **values}
        return self._paths(table, old, new)

    def delete(self, table: str, row_id: int) -> dict[str, set[str]]:
        return self._paths(table, self.rows[table].pop(row_id), {})

    def _paths(self, table: str, *images: Row) -> dict[str, set[str]]:
        paths = {value_path(name, str(each)) for row in images for name, each in row.items() if isinstance(each, int)}
        return {table_scope(table): paths, COMMITS: {table_path(table)}}


class Site:
    """An application with one page that reads the database.

    Args:
        template: The blocks of the page.
        bus: The bus.
        scope: The scope of the page.
        track: Whether the database is tracked.
        debug: Whether the application is in debug mode.
        inspector: Whether it has an inspector.
        options: Further arguments of the page.
    """

    def __init__(
        self,
        template: str = TITLE + TASKS,
        *,
        bus: ReactiveBus | None = None,
        scope: Any = None,
        track: bool = True,
        debug: bool = False,
        inspector: bool = False,
        **options: Any,
    ) -> None:
        names = ["me"]
        self.reactive = Reactive(
            environment(page="<!doctype html>" + template + SINK),
            bus=bus,
            secret=SECRET,
            viewer_names=names,
            debug=debug,
            inspector=inspector,
        )
        self.db = Database(self.reactive)
        if track:
            self.reactive._databases.add(lambda: None)
        self.runs: list[str] = []
        self.values: Row = {}
        self.read: Callable[[], Mapping[str, Any]] = self.read_board
        self.before_reading: Callable[[], Any] | None = None
        self.after_reading: Callable[[], Any] | None = None
        self.page = self.reactive.page("page.html", scope=scope, **options)(self.endpoint)
        routes = [
            Route("/{board:int}", self.page),
            Route("/", self.page),
            Route("/rename", self.rename, methods=["POST"]),
        ]
        self.app = Starlette(routes=[*self.reactive.routes, *routes])

    def read_board(self) -> Row:
        """Return what the page shows: the board that the setting names, and its tasks."""
        board = self.db.one("setting", id=1)["board"]
        return {"title": self.db.one("board", id=board)["title"], "tasks": self.db.select("task", board=board)}

    async def endpoint(self, request: Request) -> Row:
        me = request.cookies.get("name", "")
        self.runs.append(me)
        if self.before_reading is not None:
            await self.before_reading()
        found = self.read()
        if self.after_reading is not None:
            await self.after_reading()
        return {"db": self.db, "me": me, "bell": "", **found, **self.values}

    async def rename(self, request: Request) -> Response:
        await self.change("task", 1, name="own", origin=self.reactive.origin(request))
        return Response(status_code=204)

    async def change(self, table: str, row_id: int, *, origin: str | None = None, **values: Any) -> None:
        """Change a row, and commit."""
        await self.emit(self.db.change(table, row_id, **values), origin)

    def change_meanwhile(self, table: str, row_id: int, **values: Any) -> None:
        """Change a row as another request does that is served meanwhile."""
        for scope, changed in self.db.change(table, row_id, **values).items():
            Context().run(self.reactive.bus.emit_sync, ChangeEvent(scope, changed))

    async def delete(self, table: str, row_id: int) -> None:
        await self.emit(self.db.delete(table, row_id))

    async def emit(self, paths: Mapping[str, set[str]], origin: str | None = None) -> None:
        for scope, changed in paths.items():
            await self.reactive.bus.emit(ChangeEvent(scope, changed, origin))

    # Viewers

    async def visit(self, name: str = "ada", path: str = "/1") -> Seen:
        return await request(self.app, path, headers={"cookie": f"name={name}"})

    def stream(
        self,
        seen: Seen,
        last_id: str | None = None,
        name: str = "ada",
        *,
        script: bool = False,
        cookies: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> Any:
        more = {} if last_id is None else {"last-event-id": last_id}
        own = (seen.cookies if cookies is None else cookies).get("Cookie", "")
        headers = {"cookie": f"name={name}; {own}".rstrip("; "), **more}
        return stream(self.app, f"{seen.url}&script=1" if script else seen.url, headers=headers, wait=wait)

    @contextmanager
    def not_running(self) -> Iterator[None]:
        """Check that the page does not run in the block."""
        before = len(self.runs)
        yield
        assert len(self.runs) == before


def text(connection: Connection) -> str:
    return "".join(frame.data or "" for frame in connection.updates)


def last_id(connection: Connection) -> str:
    return next(frame.id for frame in reversed(connection.frames) if frame.id)


async def shows(connection: Connection, *texts: str) -> None:
    """Wait until a stream has sent some texts."""
    await eventually(lambda: all(each in text(connection) for each in texts))
