"""The workspace as a whole: its first start, who is let in, and what it is made of."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import anyio
import pytest
from fastapi import FastAPI
from sqlalchemy import URL

import starlette_reactive
from example_app import people, seed, settings
from example_app.app import create_app
from example_app.live import reactive
from example_app.models import Task
from starlette_reactive import assets, sqlalchemy
from starlette_reactive.testing import TestClient
from tests.support import eventually

from .conftest import Enter

ROOT = Path(__file__).parents[2]
PAGES = ["/", "/boards/1", "/boards/1/tasks/1", "/documents/1", "/chat", "/ask", "/notifications"]
PUBLIC_MODULES = {"starlette_reactive": starlette_reactive}
PUBLIC_MODULES |= {f"starlette_reactive.{module.__name__.split('.')[-1]}": module for module in (assets, sqlalchemy)}

pytestmark = pytest.mark.anyio


async def test_the_first_start_makes_the_file_and_something_to_look_at(database: URL, enter: Enter) -> None:
    ada = await enter("Ada")
    assert await anyio.Path(str(database.database)).is_file()
    page = (await ada.get("/")).text
    assert all(name in page for name in seed.TASKS)
    board = (await ada.get("/boards/1")).text
    assert all(title in board for title, *_ in seed.TASKS["Summer fair"])


async def test_what_was_written_is_there_after_a_restart(database: URL) -> None:
    for start in (1, 2):
        async with TestClient(create_app(database)) as client:
            await client.post("/sign-in", data={"name": "Ada"})
            await client.post("/boards/1/tasks", data={"title": f"Stay {start}"})
            page = (await client.get("/boards/1")).text
    assert page.count("<p>Stay 1</p>") == page.count("<p>Stay 2</p>") == 1
    assert page.count("<p>Order 40 chairs</p>") == 1


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_asks_who_you_are(enter: Enter, path: str) -> None:
    stranger = await enter(None)
    answer = await stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?back={path}")
    by_htmx = await stranger.get(path, headers={"HX-Request": "true"})
    assert by_htmx.headers["hx-redirect"] == "/sign-in"


@pytest.mark.parametrize("name", ["", "   ", "<b>", "x" * 31])
async def test_a_name_that_cannot_be_is_refused(enter: Enter, name: str) -> None:
    stranger = await enter(None)
    answer = await stranger.post("/sign-in", data={"name": name})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


async def test_a_name_is_one_person_however_it_is_written(enter: Enter) -> None:
    first, second = await enter("Dora  May"), await enter("dora may")
    await first.post("/chat", data={"text": "Hello"})
    assert "Dora May: account" in (await second.get("/")).text


async def test_signing_in_leads_to_where_somebody_wanted_to_go_and_nowhere_else(enter: Enter) -> None:
    stranger = await enter(None)
    for back, leads in {"/chat": "/chat", "//evil.example": "/", "https://evil.example": "/", "/\\evil": "/"}.items():
        answer = await stranger.post("/sign-in", data={"name": "Ada", "back": back})
        assert answer.headers["location"] == leads


async def test_who_signs_out_is_asked_again(enter: Enter) -> None:
    ada = await enter("Ada")
    await ada.post("/sign-out")
    assert (await ada.get("/")).status_code == 303


async def test_signing_out_ends_the_live_pages_of_this_browser_and_no_others(enter: Enter) -> None:
    here, elsewhere = await enter("Ada"), await enter("Ada", htmx=4)
    board, home, other = await here.live("/boards/1"), await here.live("/"), await elsewhere.live("/boards/1")
    await here.post("/sign-out")
    await eventually(lambda: board.streams[0].closed and home.streams[0].closed)
    await elsewhere.post("/boards/1/tasks", data={"title": "For those who are signed in"})
    await other.expect("main", contains="For those who are signed in")
    assert "For those who are signed in" not in board.html("main")
    assert not other.streams[0].closed


async def test_the_stream_of_somebody_who_is_not_there_any_more_ends(
    app: FastAPI, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = await enter("Ada"), await enter("Ben")
    page = await ben.live("/boards/1")
    monkeypatch.setattr(people, "person_id", lambda request: None)
    async with app.state.sessions.begin() as session:
        session.add(Task(1, "Cake"))
    with anyio.fail_after(20):
        while not page.streams[0].closed:  # noqa: ASYNC110 - a connection sets no event
            await anyio.sleep(0.01)
    monkeypatch.undo()
    assert (await ada.get("/boards/1")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/boards/99"),
        ("POST", "/boards/99/tasks"),
        ("GET", "/boards/1/tasks/99"),
        ("POST", "/boards/1/tasks/99/move"),
        ("POST", "/boards/2/tasks/1/delete"),  # a task of another board
        ("GET", "/documents/99"),
        ("GET", "/wall/99"),
        ("GET", "/nothing"),
    ],
)
async def test_what_is_not_there_is_said_in_a_page_or_in_a_word(enter: Enter, method: str, path: str) -> None:
    ada = await enter("Ada")
    form = {"title": "Cake", "state": "done"}
    answer = await ada.request(method, path, data=form)
    assert answer.status_code == 404
    assert "Not found" in answer.text
    by_htmx = await ada.request(method, path, data=form, headers={"HX-Request": "true"})
    assert "notice" in by_htmx.headers["hx-trigger"]


@pytest.mark.parametrize("htmx", [2, 4])
async def test_each_version_of_htmx_is_a_choice_of_the_browser(enter: Enter, htmx: int) -> None:
    ada = await enter("Ada", htmx)
    page = (await ada.get("/")).text
    assert f"/htmx-{htmx}." in page
    assert f"/htmx-{6 - htmx}." not in page
    await ada.post("/htmx", data={"version": 3})
    assert f"/htmx-{htmx}." in (await ada.get("/")).text


async def test_its_health_is_told_to_a_load_balancer(enter: Enter) -> None:
    answer = await (await enter(None)).get("/health")
    assert (answer.status_code, answer.json()) == (200, {"engine": "memory", "connected": True, "waiting": 0})


def test_nothing_is_found_by_the_check() -> None:
    assert reactive.check() == []


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("sqlite:///file.sqlite3", "sqlite+aiosqlite:///file.sqlite3"),
        ("postgresql://user@host/name", "postgresql+psycopg://user@host/name"),
        ("postgresql+psycopg://host/name", "postgresql+psycopg://host/name"),
    ],
)
def test_the_environment_names_the_database(monkeypatch: pytest.MonkeyPatch, given: str, taken: str) -> None:
    monkeypatch.setenv("DATABASE_URL", given)
    assert settings.database_url().render_as_string() == taken


@pytest.mark.parametrize("path", sorted(ROOT.glob("example_app/*.py")), ids=lambda path: path.name)
def test_only_public_names_of_the_library_are_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("starlette_reactive"):
            assert {name.name for name in node.names} <= set(PUBLIC_MODULES[str(node.module)].__all__)


@pytest.mark.parametrize("path", sorted(ROOT.glob("example_app/*.py")), ids=lambda path: path.name)
def test_modules_are_short_and_say_what_lives_in_them(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 230


TEMPLATES = ROOT / "example_app" / "templates"
SHOWN = sorted(path.name for path in TEMPLATES.glob("*.html") if 'extends "base.html"' in path.read_text())


@pytest.mark.parametrize("template", SHOWN)
def test_each_page_says_how_it_works_and_links_its_module_and_its_template(template: str) -> None:
    source = (TEMPLATES / template).read_text()
    (module, named), *others = re.findall(r'call how\("(\w+\.py)", "(\w+\.html)"', source)
    assert (named, others) == (template, [])
    assert (ROOT / "example_app" / module).is_file()


async def test_the_panel_is_on_each_page(enter: Enter) -> None:
    ada = await enter("Ada")
    for path in (*PAGES, "/wall/1", "/sign-in", "/nothing"):
        page = (await ada.get(path)).text
        assert ("How this page works" in page) == ("<html" in page), path
        assert page.count("/blob/main/example_app/") in (0, 2)
