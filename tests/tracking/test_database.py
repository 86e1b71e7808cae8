"""Pages that read a database with SQLAlchemy: in endpoints, dependencies, middleware, threads and templates."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Form
from sqlalchemy import ForeignKey, create_engine, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload, sessionmaker
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, ReactiveError
from starlette_reactive.testing import TestClient
from tests.pages.support import SECRET, quiet, request, stream, view
from tests.pages.test_own_changes import updates_of
from tests.support import environment

from .site import LIVE, SINK, shows
from .site import text as text_of

pytestmark = pytest.mark.anyio

PAGE = LIVE.format("title", "{{ board.title }}") + LIVE.format(
    "tasks", "{% for task in tasks %}<li>{{ task.name }} {{ task.owner.name }}</li>{% endfor %}"
)


class Base(DeclarativeBase):
    pass


class Board(Base):
    __tablename__ = "board"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Task(Base):
    __tablename__ = "task"
    id: Mapped[int] = mapped_column(primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("board.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    name: Mapped[str]
    owner: Mapped[Person] = relationship()


def rows() -> list[Any]:
    return [
        Board(id=1, title="first"),
        Board(id=2, title="second"),
        Person(id=1, name="Ada"),
        Person(id=2, name="Ben"),
        Task(id=1, board_id=1, owner_id=1, name="sow"),
        Task(id=2, board_id=2, owner_id=2, name="reap"),
    ]


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(f"sqlite:///{tmp_path / 'rows.db'}")
    Base.metadata.create_all(engine)
    made = sessionmaker(engine)
    with made.begin() as session:
        session.add_all(rows())
    yield made
    engine.dispose()


def change(sessions: sessionmaker[Session], model: type[Any], row_id: int, **values: Any) -> None:
    with sessions.begin() as session:
        for name, value in values.items():
            setattr(session.get(model, row_id), name, value)


def fastapi_app(sessions: sessionmaker[Session]) -> tuple[FastAPI, Reactive]:
    """Return an application that reads its board in a dependency, in a thread, and the owners in the template."""
    app, reactive = FastAPI(), Reactive(environment(page=PAGE + SINK), secret=SECRET)
    reactive.track(sessions)
    app.include_router(reactive.router)

    def opened() -> Iterator[Session]:
        with sessions() as made:
            yield made

    def board_of(board_id: int, session: Annotated[Session, Depends(opened)]) -> Board:
        return session.get_one(Board, board_id)

    @app.get("/boards/{board_id}")
    @reactive.page("page.html")
    def page(
        board_id: int, board: Annotated[Board, Depends(board_of)], session: Annotated[Session, Depends(opened)]
    ) -> dict[str, Any]:
        return {"board": board, "tasks": session.scalars(select(Task).where(Task.board_id == board_id)).all()}

    @app.post("/rename")
    @reactive.html
    def rename(name: Annotated[str, Form()]) -> str:
        change(sessions, Task, 1, name=name)
        return "renamed"

    return app, reactive


async def test_a_page_follows_what_its_dependencies_its_thread_and_its_template_have_read(
    sessions: sessionmaker[Session],
) -> None:
    app, _ = fastapi_app(sessions)
    async with view(app, "/boards/1") as page:
        change(sessions, Task, 1, name="weed")
        await shows(page, "weed Ada")
        change(sessions, Board, 1, title="renamed")
        await shows(page, "renamed")
        change(sessions, Person, 1, name="Cy")
        await shows(page, "weed Cy")
        change(sessions, Person, 2, name="Di")
        change(sessions, Task, 2, name="other")
        change(sessions, Board, 2, title="another")
        await quiet(page)
        change(sessions, Task, 2, board_id=1)
        await shows(page, "other Di")


async def test_a_relationship_that_the_template_loads_matters_before_any_update(
    sessions: sessionmaker[Session],
) -> None:
    app, _ = fastapi_app(sessions)
    async with view(app, "/boards/1") as page:
        change(sessions, Person, 1, name="Cy")
        await shows(page, "sow Cy")


async def test_a_rolled_back_change_sends_nothing(sessions: sessionmaker[Session]) -> None:
    app, _ = fastapi_app(sessions)
    async with view(app, "/boards/1") as page:
        with sessions() as session:
            session.get_one(Task, 1).name = "weed"
            session.flush()
            session.rollback()
        await quiet(page)


async def test_a_form_of_the_page_that_commits_is_its_own_change(sessions: sessionmaker[Session]) -> None:
    app, _ = fastapi_app(sessions)
    seen = await request(app, "/boards/1")
    async with stream(app, f"{seen.url}&script=1", headers=seen.cookies) as mine, view(app, "/boards/1") as other:
        headers = {**seen.cookies, "Reactive-Origin": seen.origin}
        await request(app, "/rename", method="POST", headers=headers, data={"name": "weed"})
        await shows(other, "weed")
        await shows(mine, "weed")
        assert {update.id: update.own for update in updates_of(mine)}["tasks"]


async def test_the_test_client_runs_the_lifespan_of_an_application_without_scopes(
    sessions: sessionmaker[Session],
) -> None:
    app, _ = fastapi_app(sessions)
    async with TestClient(app) as client:
        page = await client.live("/boards/1")
        await client.post("/rename", data={"name": "weed"})
        await page.expect("#tasks li", "weed Ada")


class _ReadingUser:
    """Middleware that reads who the viewer is."""

    def __init__(self, app: ASGIApp, sessions: sessionmaker[Session]) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with self._sessions() as session:
                scope["state"] = {**scope.get("state", {}), "user": session.get_one(Person, 1)}
        await self._app(scope, receive, send)


async def test_what_middleware_reads_matters(sessions: sessionmaker[Session]) -> None:
    reactive = Reactive(environment(page=LIVE.format("user", "{{ person.name }}") + SINK), secret=SECRET)
    reactive.track(sessions.kw["bind"])

    @reactive.page("page.html")
    async def page(request: Request) -> dict[str, Any]:
        return {"person": request.scope["state"]["user"]}

    middleware = [Middleware(_ReadingUser, sessions=sessions)]
    app = Starlette(routes=[*reactive.routes, Route("/", page)], middleware=middleware)
    async with view(app, "/") as found:
        change(sessions, Person, 1, name="Cy")
        await shows(found, "Cy")


async def test_a_statement_that_is_not_understood_is_followed_by_each_commit(sessions: sessionmaker[Session]) -> None:
    reactive = Reactive(environment(page=LIVE.format("names", "{{ names }}") + SINK), secret=SECRET)
    reactive.track(sessions)

    @reactive.page("page.html")
    def page(request: Request) -> dict[str, Any]:
        with sessions() as session:
            return {"names": ", ".join(session.scalars(text("select name from person order by id")))}

    app = Starlette(routes=[*reactive.routes, Route("/", page)])
    async with view(app, "/") as found:
        change(sessions, Person, 2, name="Cy")
        await shows(found, "Ada, Cy")


async def test_tracking_ends_when_it_is_stopped(sessions: sessionmaker[Session]) -> None:
    reactive = Reactive(environment(page=LIVE.format("names", "{{ names }}") + SINK), secret=SECRET)
    stop = reactive.track(sessions)
    events: list[Any] = []
    with_events = reactive.bus.observe(events.append)
    stop()
    stop()
    change(sessions, Person, 2, name="Cy")
    with_events()
    assert events == []
    reactive.page("page.html")(_nothing)
    with pytest.raises(ReactiveError, match=re.escape("call reactive.track(engine)")):
        async with reactive.lifespan(Starlette()):
            pass


async def _nothing(request: Request) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # aiosqlite
async def test_a_page_follows_asynchronous_sessions(tmp_path: Path, anyio_backend: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'rows.db'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with sessions.begin() as session:
        session.add_all(rows())
    reactive = Reactive(environment(page=PAGE + SINK), secret=SECRET)
    app = FastAPI()
    app.include_router(reactive.router)

    async def used() -> AsyncIterator[AsyncSession]:
        async with sessions() as made:
            yield made

    @app.get("/boards/{board_id}")
    @reactive.page("page.html")
    async def page(board_id: int, session: Annotated[AsyncSession, Depends(used)]) -> dict[str, Any]:
        tasks = select(Task).where(Task.board_id == board_id).options(selectinload(Task.owner))
        return {"board": await session.get(Board, board_id), "tasks": (await session.scalars(tasks)).all()}

    reactive.track(engine)
    async with view(app, "/boards/1") as found:
        async with sessions.begin() as session:
            (await session.get_one(Task, 1)).name = "weed"
            (await session.get_one(Person, 2)).name = "Di"
        await shows(found, "weed Ada")
        async with sessions.begin() as session:
            (await session.get_one(Person, 1)).name = "Cy"
        await shows(found, "weed Cy")
        async with sessions.begin() as session:
            (await session.get_one(Task, 2)).name = "not shown"
        await quiet(found)
        assert "not shown" not in text_of(found)
    await engine.dispose()
