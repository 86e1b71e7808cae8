"""The guide's program does what the guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from starlette_reactive import ChangeEvent
from starlette_reactive.testing import TestClient

from .support import EmittedEvents

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "sqlalchemy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program and the fragments after it in one module, except SQLModel's, which runs in its own process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REACTIVE_SECRET", "a secret for tests")
    module = ModuleType("guide")
    monkeypatch.setitem(sys.modules, "guide", module)
    write_templates(tmp_path)
    for language, _, text in BLOCKS:
        if language == "python" and "sqlmodel" not in text:
            exec(compile(text, "docs/guides/sqlalchemy.md", "exec", dont_inherit=True), vars(module))
    return module


def write_templates(folder: Path) -> None:
    (folder / "templates").mkdir()
    for language, title, text in BLOCKS:
        if language == "html":
            (folder / "templates" / title).write_text(text)


@asynccontextmanager
async def two_boards(guide: Any) -> AsyncIterator[TestClient]:
    async with TestClient(guide.app) as client:
        async with guide.sessions.begin() as session:
            session.add_all([guide.Board(name="Launch"), guide.Board(name="Party")])
        yield client


async def test_others_see_an_added_task_and_both_boards_show_a_moved_one(guide: Any) -> None:
    async with two_boards(guide) as client:
        one, two = await client.live("/boards/1"), await client.live("/boards/2")
        await client.post("/boards/1/tasks", data={"title": "Cake"})
        await one.expect("#tasks", "Cake")
        await client.post("/tasks/1/move", data={"board_id": "2"})
        await one.expect("#tasks", "")
        await two.expect("#tasks", "Cake")


async def test_every_tab_is_told_and_the_one_that_made_the_change_that_it_is_its_own(guide: Any) -> None:
    async with two_boards(guide) as client:
        page = await client.live("/boards/1")
        other = await client.live("/boards/1")
        response = await client.post("/boards/1/tasks", data={"title": "Cake"}, headers=other.headers)
        assert "Cake" in response.text
        await page.expect("#tasks", "Cake")
        await other.expect("#tasks", "Cake")


async def test_a_statement_is_emitted_by_hand_and_an_import_is_suppressed(
    guide: Any, emitted: EmittedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_boards(guide) as client:
        emitted()
        await guide.import_tasks(1, ["Cake", "Band"])
        assert emitted() == []
        assert (await client.post("/boards/1/finish")).status_code == 204
        assert emitted() == [("board:1", ["tasks"])]
        async with guide.sessions() as session:
            assert all(task.done for task in await session.scalars(guide.select(guide.Task)))
    assert [record for record in caplog.records if record.name.startswith("starlette_reactive")] == []


def test_a_function_returns_what_the_guide_says(guide: Any) -> None:
    assert guide.of_task(guide.Task(board_id=1)) == [
        ("board:1", {"tasks"}),
        ("overview", {"counts"}),
        ChangeEvent("inbox", {"assigned"}, audience={"ada"}),
    ]


def test_a_new_hero_is_emitted(tmp_path: Path) -> None:
    write_templates(tmp_path)
    program = "".join(text for language, _, text in BLOCKS if language == "python")
    program += "assert reactive.bus.emitted_count == 1\nprint('emitted')\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout == "emitted\n", done.stderr
