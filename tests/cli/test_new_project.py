"""The command ``new`` writes a project that runs at once, whose tests pass, and whose page is live."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from starlette_reactive._cli.main import app

from ..browser.support import ROOT, Server, running, watched_pages
from ..support import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def new(folder: Path) -> str:
    result = CliRunner().invoke(app, ["new", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def project(tmp_path: Path) -> Path:
    require(importlib.util.find_spec("sqlmodel"), "the package sqlmodel")
    new(tmp_path / "shop")
    return tmp_path / "shop"


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project, without the settings of these tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "REACTIVE"))}
    environment = kept | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def test_the_tests_of_a_new_project_pass(project: Path) -> None:
    done = run(project, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_code_of_a_new_project_is_typed_and_formatted(project: Path) -> None:
    for arguments in (["mypy", "--strict", "app", "tests"], ["ruff", "format", "--check", "--line-length=120", "."]):
        done = run(project, "-m", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_of_a_new_project_finds_nothing_that_cannot_work(project: Path) -> None:
    done = run(project, "-c", "from starlette_reactive._cli.main import main; main()", "check", "app.main:app")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors, 0 warnings" in done.stdout


def test_the_project_has_the_name_of_its_folder_and_needs_this_version(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert settings["project"]["name"] == "shop"
    assert (
        f"starlette-reactive[fastapi,sqlalchemy]>={version('starlette-reactive')}"
        in (settings["project"]["dependencies"])
    )
    assert (project / "README.md").read_text().startswith("# shop\n")
    assert not [path for path in project.rglob("*") if path.is_file() and "__NAME__" in path.read_text()]


def test_what_must_not_be_committed_is_ignored(project: Path) -> None:
    assert {".venv/", ".reactive/", "*.sqlite3"} <= set((project / ".gitignore").read_text().splitlines())
    assert {".venv", ".reactive", "*.sqlite3"} <= set((project / ".dockerignore").read_text().splitlines())


def test_the_command_says_how_to_start_the_project(tmp_path: Path) -> None:
    output = new(tmp_path / "shop")
    assert "pip install -e . --group dev" in output
    assert "uvicorn app.main:app --reload" in output


@pytest.mark.parametrize("name", ["-shop", "a shop", "shop-"])
def test_a_folder_whose_name_is_not_one_of_a_project_is_refused(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["new", "--", str(tmp_path / name)])
    assert result.exit_code == 2
    assert "cannot be the name of a project" in result.output
    assert not (tmp_path / name).exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    result = CliRunner().invoke(app, ["new", str(tmp_path)])
    assert result.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


# In Chromium


@pytest.fixture(params=[2, 4])
def server(project: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The project, started as its README says, with each version of htmx."""
    base = project / "app" / "templates" / "base.html"
    base.write_text(base.read_text().replace("live_scripts(htmx=2)", f"live_scripts(htmx={request.param})"))
    env = {"PYTHONPATH": str(ROOT), "DEBUG": "1"}
    with running(["-m", "uvicorn", "app.main:app"], cwd=project, env=env) as server:
        yield server
    assert "Traceback" not in "".join(server.output)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    context = browser.new_context()
    with watched_pages(context, lambda message: "422" in message.text) as opened:
        yield opened
    context.close()


def test_two_windows_show_the_same_tasks(server: Server, open_page: Callable[[str], Page]) -> None:
    from playwright.sync_api import expect

    one, other = open_page(server.url), open_page(server.url)
    one.get_by_label("New task").fill("Buy milk")
    one.get_by_role("button", name="Add").click()
    expect(one.get_by_label("New task")).to_have_value("")
    for page in (one, other):
        expect(page.locator("#tasks li")).to_have_count(1)
        expect(page.locator("#summary")).to_have_text("1 of 1 open")
    other.get_by_role("button", name="Buy milk", exact=True).click()
    expect(one.locator("#summary")).to_have_text("0 of 1 open")
    one.get_by_label("New task").fill(" ")
    one.get_by_role("button", name="Add").click()
    expect(one.get_by_text("Write a title")).to_be_visible()
    one.get_by_role("button", name="Remove Buy milk").click()
    expect(other.locator("#tasks")).to_have_text("Nothing to do")
