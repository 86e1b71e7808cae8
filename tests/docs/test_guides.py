"""The programs of the guides and the tutorial do what their pages describe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from starlette_reactive.testing import TestClient, assert_sse_wired
from tests.pages.test_documents import stages
from tests.support import eventually

from .blocks import DOCS, blocks_of
from .running import run_page

Names = dict[str, Any]
Program = Callable[[str], Names]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return a function that runs a page up to its first ``app.py`` and returns the names of the program."""

    def run(page: str) -> Names:
        blocks = blocks_of(DOCS / page)
        first = next(number for number, block in enumerate(blocks) if block.title == "app.py")
        files = [block for block in blocks[first + 1 :] if block.title.endswith(".html")]
        return run_page(DOCS / page, [*files, *blocks[: first + 1]], tmp_path, monkeypatch)

    return run


async def test_a_member_receives_updates_until_removed(program: Program) -> None:
    names = program("guides/fastapi.md")
    async with TestClient(names["app"], cookies={"user": "ada"}) as ada, TestClient(names["app"]) as stranger:
        assert (await stranger.get("/boards/1")).status_code == 403
        assert (await ada.get("/boards/2")).status_code == 404
        hers, other = await ada.live("/boards/1"), await ada.live("/boards/1")
        answer = await ada.post("/boards/1/tasks", data={"title": "Taste <cake>"}, headers=hers.headers)
        assert answer.text == "<li>Taste &lt;cake&gt;</li>"
        await other.expect("#tasks", "Taste <cake>")
        await hers.expect_nothing()
        names["boards"][1].members.discard("ada")
        await names["reactive"].emit("board:1", "board")
        await eventually(lambda: not names["reactive"].presence("board:1"))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # aiosqlite
async def test_a_page_follows_what_it_has_read(program: Program, anyio_backend: str) -> None:
    names = program("guides/tracking.md")
    async with TestClient(names["app"]) as client:
        async with names["sessions"].begin() as session:
            session.add_all([names["Board"](id=1, name="Garden"), names["Board"](id=2, name="House")])
        garden, house = await client.live("/boards/1"), await client.live("/boards/2")
        await client.post("/boards/1/tasks", data={"title": "Sow <carrots>"}, headers=garden.headers)
        await garden.expect("#tasks", "Sow <carrots>")
        await house.expect_nothing()
        async with names["sessions"].begin() as session:
            (await session.get(names["Board"], 2)).name = "Shed"
        await house.expect("#name", "Shed")


async def test_visits_are_counted_on_every_page(program: Program) -> None:
    names = program("guides/starlette.md")
    async with TestClient(names["app"]) as client:
        page = await client.live("/")
        await client.post("/visit")
        await page.expect("#visits", "1 visits")
        await page.expect("#here", "1 here now")


async def test_the_parts_make_the_same_page_as_the_decorator(program: Program) -> None:
    names = program("guides/streams.md")
    async with TestClient(names["app"]) as client:
        page = await client.live("/")
        await client.post("/guests", data={"name": "Ada"})
        await page.expect("#count", "1 on the list")
        await page.expect("#names", "Ada")
        await assert_sse_wired(client, "/")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_generator_sends_prices_before_the_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "guides" / "from-sse-starlette.md"
    before = next(block for block in blocks_of(page) if block.title == "before.py")
    templates = [block for block in blocks_of(page) if block.title.endswith(".html")]
    names = run_page(page, [*templates, before], tmp_path, monkeypatch)
    async with TestClient(names["app"]) as client:
        shown = await client.live("/")
        await client.put("/prices/tea?price=5")
        await shown.expect("ul", contains="tea: 5")


async def test_prices_are_live_after_the_move(program: Program) -> None:
    names = program("guides/from-sse-starlette.md")
    async with TestClient(names["app"]) as client:
        shown = await client.live("/")
        await client.put("/prices/tea?price=5")
        await shown.expect("#prices", contains="tea: 5")


async def test_jobs_are_live_instead_of_polled(program: Program) -> None:
    names = program("guides/from-polling.md")
    async with TestClient(names["app"]) as client:
        page = await client.live("/")
        await client.post("/jobs/backup")
        await page.expect("#jobs", "backup")


def test_what_the_guide_on_security_shows_is_the_real_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = DOCS / "guides" / "security.md"
    blocks = blocks_of(page)
    run_page(page, blocks, tmp_path, monkeypatch)
    shown = [block.text for block in blocks if block.language == "text"]
    assert len(shown) == 2
    assert capsys.readouterr().out == "".join(shown)


def test_the_command_prints_what_the_tutorial_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, text in stages()[-1].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "static").mkdir()
    monkeypatch.chdir(tmp_path)
    environment = os.environ | {"REACTIVE_SECRET": "a secret for tests"}
    for arguments in (["check", "app:app"], ["explain", "app:app", "topic"]):
        command = [sys.executable, "-c", "from starlette_reactive._cli.main import main; main()", *arguments]
        subprocess.run(command, env=environment, check=True)
    shown = [block.text for block in blocks_of(DOCS / "tutorial" / "index.md") if block.language == "text"]
    assert capfd.readouterr().out == "".join(shown)


async def test_a_team_shares_its_renders_and_each_member_has_a_greeting(program: Program) -> None:
    names = program("guides/sharing.md")
    app, reactive, tasks = names["app"], names["reactive"], names["tasks"]
    async with (
        TestClient(app, cookies={"user": "ada"}) as ada,
        TestClient(app, cookies={"user": "bob"}) as bob,
        TestClient(app, cookies={"user": "cy"}) as cy,
    ):
        hers, his, other = [await client.live("/boards/monday") for client in (ada, bob, cy)]
        tasks["red"].append("Taste")
        await reactive.emit("board:monday", "tasks", "me")
        for page, name in ((hers, "ada"), (his, "bob")):
            await page.expect("#tasks", contains="Taste")
            assert page.text("#greeting") == f"Good morning, {name}"
        names["teams"].pop("bob")
        await reactive.emit("board:monday", "tasks")
        await eventually(lambda: len(reactive.presence("board:monday")) == 2)
        assert other.text("#tasks") == "Paint"


async def test_people_are_told_of_what_others_do(program: Program) -> None:
    names = program("guides/notifications.md")
    async with TestClient(names["app"], cookies={"user": "Ann"}) as ann, TestClient(names["app"]) as other:
        page = await other.live("/boards/1")
        for number, card in enumerate(("Bake", "<Taste>"), start=1):
            assert (await ann.post("/boards/1/cards", data={"card": card})).status_code == 204
            await page.expect(f"#toasts .toast:nth-child({number})", contains=f"Ann has added {card}")
            await page.expect(f"#cards li:nth-child({number})", card)
