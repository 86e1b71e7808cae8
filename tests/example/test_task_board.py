"""What the example does with requests, and what it tells the bus."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest

import starlette_reactive
from example_app import boards, live
from example_app.app import create_app
from starlette_reactive import ChangeEvent

ROOT = Path(__file__).parents[2]
HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # aiosqlite runs on nothing else


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on the way" / "taskboard.sqlite3"


@pytest.fixture
async def client(database: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, with one board named “Party” beside the first one."""
    async with client_of(database) as client:
        await client.post("/boards", data={"name": "Party"})
        yield client


@asynccontextmanager
async def client_of(database: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Start the application on this file, and give a client of it."""
    app = create_app(database)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://example") as client,
    ):
        yield client


async def test_the_first_run_makes_the_file_and_a_board_to_look_at(database: Path) -> None:
    async with client_of(database) as client:
        assert await anyio.Path(database).is_file()
        assert "Welcome" in (await client.get("/")).text
        page = (await client.get("/boards/welcome")).text
    assert all(title in page for title in boards.WELCOME_TASKS)


async def test_what_was_written_is_there_after_a_restart(database: Path) -> None:
    async with client_of(database) as client:
        await client.post("/boards/welcome/tasks", data={"title": "Stay"})
    async with client_of(database) as client:
        page = (await client.get("/boards/welcome")).text
    assert page.count('class="task-title">Stay<') == 1
    assert page.count(boards.WELCOME_TASKS[0]) >= 1


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Launch party", "launch-party"), ("  Q3: plans / ideas ", "q3-plans-ideas"), ("Größe 日本", "größe-日本")],
)
async def test_a_board_is_at_the_words_of_its_name(client: httpx.AsyncClient, name: str, slug: str) -> None:
    answer = await client.post("/boards", data={"name": name})
    assert answer.status_code == 303
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    assert f'hx-post="/boards/{slug}/tasks"' in page.text


async def test_creating_a_board_that_exists_opens_it(client: httpx.AsyncClient) -> None:
    await client.post("/boards/party/tasks", data={"title": "Cake"})
    answer = await client.post("/boards", data={"name": "party!"}, follow_redirects=True)
    assert "Cake" in answer.text
    assert (await client.get("/")).text.count('href="/boards/party"') == 1


@pytest.mark.parametrize("name", ["", "   ", "!?", "x" * 61])
async def test_a_board_without_a_usable_name_is_refused(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.post("/boards", data={"name": name})).status_code == 422


@pytest.mark.parametrize("title", ["", "   ", "x" * 201])
async def test_a_task_without_a_usable_title_is_refused(client: httpx.AsyncClient, title: str) -> None:
    assert (await client.post("/boards/party/tasks", data={"title": title}, headers=HTMX)).status_code == 422
    assert "Nothing here yet" in (await client.get("/boards/party")).text


async def test_a_plain_form_is_sent_back_to_the_board_and_htmx_needs_no_content(client: httpx.AsyncClient) -> None:
    plain = await client.post("/boards/party/tasks", data={"title": "Cake"})
    assert (plain.status_code, plain.headers["location"]) == (303, "/boards/party")
    by_htmx = await client.post("/boards/party/tasks", data={"title": "Band"}, headers=HTMX)
    assert (by_htmx.status_code, by_htmx.content) == (204, b"")


async def test_each_mutation_is_in_the_page_when_its_change_is_told(client: httpx.AsyncClient) -> None:
    steps = {
        "tasks": ({"title": "Cake"}, "Added <q>Cake</q>"),
        "tasks/4/toggle": ({"done": "true"}, "Finished <q>Cake</q>"),
        "tasks/4/rename": ({"title": "Every cake"}, "Renamed <q>Cake</q> to <q>Every cake</q>"),
        "tasks/4/delete": ({}, "Deleted <q>Every cake</q>"),
    }
    with live.bus.subscribe("board:party") as changes:
        for path, (form, shown) in steps.items():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(client.post, f"/boards/party/{path}", data=form))
                assert await anext(changes) == ChangeEvent("board:party", {"tasks", "activity"})
                assert shown in (await client.get("/boards/party")).text


async def test_doing_the_same_twice_is_noted_once(client: httpx.AsyncClient) -> None:
    await client.post("/boards/party/tasks", data={"title": "Cake"})
    for _ in range(2):
        await client.post("/boards/party/tasks/4/toggle", data={"done": "true"})
        await client.post("/boards/party/tasks/4/rename", data={"title": "Pie"})
    page = (await client.get("/boards/party")).text
    assert page.count("Finished <q>") == page.count("Renamed <q>") == 1


async def test_fifty_people_adding_at_once_lose_nothing(client: httpx.AsyncClient) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(partial(client.post, "/boards/party/tasks", data={"title": f"Task {number}"}))
    page = (await client.get("/boards/party")).text
    assert page.count('class="task-title">Task ') == 50


@pytest.mark.parametrize(
    ("method", "path", "offers"),
    [
        ("GET", "/boards/nowhere", "Create this board"),
        ("POST", "/boards/nowhere/tasks", "Create this board"),
        ("GET", "/boards/party/tasks/99/rename", "Back to the board"),
        ("POST", "/boards/party/tasks/99/toggle", "Back to the board"),
        ("POST", "/boards/party/tasks/1/delete", "Back to the board"),  # a task of another board
        ("GET", "/nothing", "All boards"),
    ],
)
async def test_what_is_not_there_is_said_in_a_page(
    client: httpx.AsyncClient, method: str, path: str, offers: str
) -> None:
    answer = await client.request(method, path, data={"title": "Cake", "done": "true"})
    assert answer.status_code == 404
    assert offers in answer.text


async def test_titles_are_escaped_wherever_they_are_shown(client: httpx.AsyncClient) -> None:
    await client.post("/boards", data={"name": '"><b>Bold'})
    await client.post("/boards/b-bold/tasks", data={"title": '"><b>Cake'})
    for path in ("/", "/boards/b-bold", "/boards/b-bold/tasks/4/rename"):
        page = (await client.get(path)).text
        assert "&#34;&gt;&lt;b&gt;" in page
        assert "<b>" not in page


def test_every_block_that_shows_tasks_is_known_to_show_tasks() -> None:
    def events(*paths: str) -> list[str]:
        return [ref.event_name for ref in live.index.affected_blocks(paths)]

    assert events("people") == ["people"]
    assert events("tasks") == ["count", "tasks"]
    assert events("tasks", "activity") == ["count", "tasks", "activity"]


@pytest.mark.parametrize(
    "path", [*ROOT.glob("example_app/*.py"), ROOT / "docs/examples/smallest/app.py"], ids=lambda path: path.name
)
def test_only_public_names_of_the_library_are_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("starlette_reactive.") for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("starlette_reactive"):
            assert node.module == "starlette_reactive"
            assert {name.name for name in node.names} <= set(starlette_reactive.__all__)
