"""The changes of the tutorial apply and work as described, and so do the programs of the patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from .support import quiet, request, stream, view

DOCS = Path(__file__).parents[2] / "docs"
PLAIN = DOCS / "tutorial" / "plain"


def apply(diff: str, files: dict[str, str]) -> dict[str, str]:
    """Apply a unified diff. Every line of its context must match."""
    changed = dict(files)
    for part in re.split(r"^--- ", diff, flags=re.MULTILINE)[1:]:
        header, *hunks = re.split(r"^@@ ", part, flags=re.MULTILINE)
        name = header.split()[0]
        text = changed[name]
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)[1:]
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            assert text.count(before) == 1, f"{name} does not contain exactly once: {before}"
            text = text.replace(before, after)
        changed[name] = text
    return changed


def stages() -> list[dict[str, str]]:
    files = [{name: (PLAIN / name).read_text() for name in ("app.py", "templates/board.html")}]
    for name in ("wire.diff", "live.diff", "tell.diff"):
        files.append(apply((DOCS / "tutorial" / "changes" / name).read_text(), files[-1]))
    return files


Run = Callable[[dict[str, str]], SimpleNamespace]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a program next to its files."""
    monkeypatch.setenv("REACTIVE_SECRET", "a secret for tests")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "static").mkdir()

    def run(files: dict[str, str]) -> SimpleNamespace:
        for name, text in files.items():
            for path in (tmp_path / name, tmp_path / "templates" / name):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        program = SimpleNamespace(__name__="program")
        exec(compile(files["app.py"], "app.py", "exec", dont_inherit=True), vars(program))
        return program

    return run


def added(name: str) -> list[str]:
    lines = (DOCS / "tutorial" / "changes" / name).read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")]


def test_one_line_tracks_the_database_and_three_make_the_page_of_the_tutorial_live() -> None:
    assert added("wire.diff")[-1] == "reactive.track(engine)"
    assert added("live.diff") == [
        "from fastapi import Depends, FastAPI, Form",
        '@reactive.page("board.html")',
        "def board(board_id: int, session: Database) -> dict[str, object]:",
        '    return {"board_id": board_id, "tasks": tasks}',
        "{{ live_scripts() }}",
        "<div {{ live() }}></div>",
    ]


async def add_task(app: ASGIApp, title: str) -> None:
    answer = await request(app, "/boards/1/tasks", method="POST", data={"title": title})
    assert (answer.status, answer.headers["location"]) == (303, "/boards/1")


async def test_every_stage_of_the_tutorial_works(run: Run) -> None:
    for number, files in enumerate(stages()):
        program = run(files)
        await add_task(program.app, f"Order {number} chairs")
        assert f"<li>Order {number} chairs</li>" in (await request(program.app, "/boards/1")).text
        assert "<li>" not in (await request(program.app, "/boards/2")).text
        program.engine.dispose()


@pytest.mark.parametrize("stage", [2, 3])
async def test_the_page_of_the_tutorial_follows_the_database(run: Run, stage: int) -> None:
    program = run(stages()[stage])
    async with view(program.app, "/boards/1") as one, view(program.app, "/boards/2") as other:
        await add_task(program.app, "Order chairs")
        assert 'hx-target="#count" hx-swap="innerHTML transition:false">1 to do<' in (
            (await one.next_update()).data or ""
        )
        assert "<li>Order chairs</li>" in ((await one.next_update()).data or "")
        await quiet(other)
    program.engine.dispose()


async def test_the_last_stage_of_the_tutorial_emits_what_is_in_no_database(run: Run) -> None:
    program = run(stages()[-1])
    async with view(program.app, "/boards/1") as one, view(program.app, "/boards/2") as other:
        await request(program.app, "/boards/1/topic", method="POST", data={"text": "Friday"})
        assert (await one.next_update()).data == (
            '<hx-partial hx-target="#topic" hx-swap="innerHTML transition:false">Friday</hx-partial>'
        )
        await quiet(other)
    program.engine.dispose()


def pattern(name: str) -> dict[str, str]:
    page = (DOCS / "patterns" / f"{name}.md").read_text()
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL))


async def send(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, **options)


async def test_display_only(run: Run) -> None:
    app = run(pattern("display-only")).app
    async with view(app, "/") as connection:
        await send(app, "POST", "/goals/home")
        assert (await connection.next_update()).data == (
            '<hx-partial hx-target="#score" hx-swap="innerHTML transition:false">1 : 0</hx-partial>'
        )
        await quiet(connection)


async def test_client_managed(run: Run) -> None:
    app = run(pattern("client-managed")).app
    async with view(app, "/") as connection:
        await send(app, "PUT", "/text?text=Dear%20Ada")
        assert "saved 1 times" in ((await connection.next_update()).data or "")
        await quiet(connection)
    assert "Dear Ada</textarea>" in (await request(app, "/")).text


async def test_streaming_append(run: Run) -> None:
    app = run(pattern("streaming-append")).app
    assert (await request(app, "/")).status == 200
    async with stream(app, "/words") as connection:
        await connection.ended.wait()
        assert [(frame.event, frame.data) for frame in connection.updates] == [
            ("line", "<li>one</li>"),
            ("line", "<li>two</li>"),
            ("line", "<li>&lt;three&gt;</li>"),
            ("done", "close"),
        ]


async def test_one_shot_mutation(run: Run) -> None:
    app = run(pattern("one-shot-mutation")).app
    assert "0 people" in (await request(app, "/")).text
    answer = await send(app, "POST", "/people", data={"name": "A"})
    assert (answer.status_code, answer.text) == (422, '<input name="name" value="A"><em>is too short</em>')
    answer = await send(app, "POST", "/people", data={"name": "Ada"})
    assert answer.text == (
        '<input name="name" value=""><hx-partial hx-target="#count" hx-swap="innerHTML">1 people</hx-partial>'
    )
    answer = await send(app, "DELETE", "/people")
    assert (answer.status_code, answer.headers["hx-refresh"]) == (204, "true")


async def test_mixing(run: Run) -> None:
    program = run(pattern("mixing"))
    app = program.app
    author, other = await request(app, "/"), await request(app, "/")
    async with stream(app, author.url) as one, stream(app, other.url) as two:
        headers = {"Reactive-Origin": author.origin}
        answer = await send(app, "POST", "/said", data={"line": "<hi>"}, headers=headers)
        assert answer.text == "<li>&lt;hi&gt;</li>"
        assert "<li>&lt;hi&gt;</li>" in ((await two.next_update()).data or "")
        await program.reactive.emit("room", "drawing")
        await quiet(one)
