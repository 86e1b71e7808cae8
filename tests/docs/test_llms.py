"""The file for agents, ``llms.txt``: its code runs, and it names only what is public."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import jinja2
import pytest
import typer.main

import starlette_reactive
from starlette_reactive import Reactive
from starlette_reactive._cli.main import app as command
from starlette_reactive._clients.htmx import VENDORED
from starlette_reactive.testing import TestClient

from .blocks import DOCS, ROOT
from .prose import findings

TEXT = (DOCS / "llms.txt").read_text()
PUBLIC_MODULES = ("", ".sqlalchemy", ".testing")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The file's program, with its template, and then its test."""
    monkeypatch.setenv("REACTIVE_SECRET", "a secret for the tests")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "board.html").write_text(fenced("html")[0])
    module = types.ModuleType("program")
    for code in fenced("python"):
        exec(compile(code, "llms.txt", "exec"), vars(module))  # annotations are evaluated
    return module


async def test_its_program_passes_its_test(program: types.ModuleType) -> None:
    await program.test_a_task_appears_for_others()


def test_its_program_has_no_issues(program: types.ModuleType) -> None:
    assert [issue for issue in program.reactive.check() if issue.severity != "info"] == []


async def test_both_blocks_of_its_page_are_live(program: types.ModuleType) -> None:
    async with TestClient(program.app) as client:
        page = await client.live("/boards/2")
        await client.post("/boards/2/tasks", data={"title": "Milk"})
        await page.expect("#tasks", contains="Milk")
        await page.expect("#count", "1 to do")


def test_every_name_in_it_is_public() -> None:
    names = {name for module in PUBLIC_MODULES for name in _public(f"starlette_reactive{module}")}
    classes = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*|OOB)\b(?=[(`])", TEXT)) - {"EventSource", "Starlette"}
    assert classes
    assert classes <= names
    members = set(re.findall(r"\breactive\.([a-z_]+)\b", TEXT))
    assert members
    assert not {name for name in members if not hasattr(Reactive, name)}
    assert all(hasattr(starlette_reactive, name) for name in re.findall(r"`(is_update)\(", TEXT))


def _public(module: str) -> Iterator[str]:
    yield from __import__(module, fromlist=["__all__"]).__all__


def test_every_argument_and_template_function_in_it_exists() -> None:
    page = inspect.signature(Reactive.page).parameters
    assert {"scope", "shared", "share"} <= page.keys()
    environment = jinja2.Environment(autoescape=True)
    Reactive(environment, secret="a secret for the tests")
    assert set(re.findall(r"\{\{ (live\w*)\(", TEXT)) <= environment.globals.keys()


def test_every_command_in_it_exists() -> None:
    group = typer.main.get_command(command)
    assert set(re.findall(r"^starlette-reactive (\w+)", TEXT, re.MULTILINE)) <= set(group.commands)  # type: ignore[attr-defined]


def test_its_versions_are_those_that_the_package_requires() -> None:
    required = {
        match[1]: match[2]
        for each in requires("starlette-reactive") or ()
        if (match := re.match(r"(starlette|fastapi)>=([\d.]+)", each))
    }
    assert f"Starlette {required['starlette']} or later" in TEXT
    assert f"FastAPI {required['fastapi']} or later" in TEXT
    assert f"htmx {VENDORED[2]} or later" in TEXT


def test_every_page_that_it_links_exists() -> None:
    paths = re.findall(r"\(https://\S+/blob/main/([^)]+)\)", TEXT)
    assert len(paths) > 5
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_it_is_in_plain_english_and_linked() -> None:
    assert not findings(TEXT)
    assert "](llms.txt)" in (DOCS / "index.md").read_text()
    assert re.search(r"^\[llms\.txt\]: \S+/docs/llms\.txt$", (ROOT / "README.md").read_text(), re.MULTILINE)
