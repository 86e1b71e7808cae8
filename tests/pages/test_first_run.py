"""In debug mode, mistakes of the first hour are reported without being asked for."""

from __future__ import annotations

import logging
import multiprocessing
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from starlette_reactive import Issue, Reactive, Severity
from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._pages.first_run import summary
from starlette_reactive._pages.kept_secret import FOLDER, kept_secret
from starlette_reactive._pages.near_misses import NearMisses
from starlette_reactive.testing import TestClient
from tests.support import environment

SECRET = "a secret for the tests"
FAULTY = """<html><head><link rel=icon href='data:,'>{{ live_scripts() }}</head>
<p>{% block a %}{{ x }}{% endblock %}</p><div {{ live() }}></div></html>"""
SOUND = FAULTY.replace("<p>", "<p id='a'>")


def application(page: str, *, nonce: str = "", **options: Any) -> Starlette:
    """Return an application with one page."""
    source = page.replace("live_scripts()", f"live_scripts(nonce={nonce!r})") if nonce else page
    reactive = Reactive(environment(page=source), **{"secret": SECRET, "debug": True, **options})

    @reactive.page("page.html", scope="board:{number}")
    async def show(request: Request) -> dict[str, object]:
        return {"x": request.path_params["number"]}

    @reactive.html
    async def emit(request: Request) -> str:
        await reactive.emit(request.path_params["scope"], "x")
        return ""

    routes = [*reactive.routes, Route("/boards/{number}", show), Route("/emit/{scope}", emit, methods=["POST"])]
    return Starlette(routes=routes, lifespan=reactive.lifespan)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


# At start-up


async def test_the_log_says_at_start_up_what_cannot_work(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(application(FAULTY)):
        (message,) = warnings(caplog)
    assert message.startswith("the check of the live pages finds 1 problem (no_live_block 1):")
    assert "page.html:2 error no_live_block:" in message
    assert "starlette-reactive check" in message


@pytest.mark.parametrize(("page", "debug"), [(SOUND, True), (FAULTY, False)])
async def test_sound_pages_and_production_are_silent(page: str, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(application(page, debug=debug)):
        assert warnings(caplog) == []


async def test_a_setting_that_cannot_be_read_does_not_keep_the_application_from_starting(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.starlette-reactive]\nno_such_rule = 'off'")
    monkeypatch.chdir(tmp_path)
    async with TestClient(application(SOUND)) as client:
        assert (await client.get("/boards/1")).status_code == 200
    assert "cannot be checked" in caplog.text
    assert "no_such_rule" in caplog.text


def test_the_summary_names_the_worst_three_and_counts_the_rest() -> None:
    issues = [Issue(Severity.WARNING, "swap_target", "p", line, "m", "f") for line in range(1, 5)]
    issues += [
        Issue(Severity.ERROR, "template", "q", 9, "m", "f"),
        Issue(Severity.INFO, "could_share", "p", 1, "m", "f"),
    ]
    first, *lines = summary(issues).split("\n  ")
    assert first == "the check of the live pages finds 5 problems (template 1, swap_target 4):"
    assert lines[:-1] == [
        "q:9 error template: m",
        "p:1 warning swap_target: m",
        "p:2 warning swap_target: m",
        "and 2 more",
    ]


# In the browser's console


async def test_a_page_loads_the_findings_only_if_there_are_some() -> None:
    async with TestClient(application(FAULTY)) as client:
        assert "/_reactive/findings.js" in (await client.get("/boards/1")).text
        script = await client.get("/_reactive/findings.js")
        assert script.text.startswith('console.warn("starlette-reactive: the check')
        assert script.headers["cache-control"] == "no-store"
    async with TestClient(application(SOUND)) as client:
        assert "findings.js" not in (await client.get("/boards/1")).text
        assert (await client.get("/_reactive/findings.js")).text == ""
    async with TestClient(application(FAULTY, debug=False)) as client:
        assert "findings.js" not in (await client.get("/boards/1")).text
        assert (await client.get("/_reactive/findings.js")).status_code == 404


async def test_the_tag_has_the_page_s_nonce_and_the_path_of_a_mount() -> None:
    inner = application(FAULTY, nonce="n0nce", app=Starlette())
    outer = Starlette(routes=[Mount("/inner", inner)], lifespan=inner.router.lifespan_context)
    async with TestClient(outer) as client:
        response = await client.get("/inner/boards/1")
    assert '<script src="/inner/_reactive/findings.js" nonce="n0nce" async></script>' in response.text


# Scopes that are nearly those of a page


@pytest.mark.parametrize("scope", ["boards:1", "Board:1", "boards:2f1c9a3e-0c1d-4a77-9d53-0f3f2b6d1c55", "board-7"])
async def test_an_emit_to_a_scope_that_is_nearly_that_of_a_page_is_logged_once(
    scope: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with TestClient(application(SOUND)) as client:
        for _ in range(2):
            await client.post(f"/emit/{scope}")
        (message,) = warnings(caplog)
    assert f"the scope {scope!r}, which no page has" in message
    assert "'board:{number}'" in message


@pytest.mark.parametrize("scope", ["board:1", "board:any text", "chat:1", "presence"])
async def test_scopes_of_pages_and_other_scopes_are_not_logged(scope: str, caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(application(SOUND)) as client:
        await client.post(f"/emit/{scope}")
        assert warnings(caplog) == []


async def test_the_scope_of_a_stream_is_not_a_near_miss_of_a_page(caplog: pytest.LogCaptureFixture) -> None:
    part = "<p sse-swap='a'>{% block a %}{{ x }}{% endblock %}</p>"
    reactive = Reactive(environment(page=SOUND, part=part), secret=SECRET, debug=True)
    reactive.page("page.html", scope="board:{number}")(lambda number: {})
    reactive.stream("part.html", scope="boards:{number}")(lambda number: dict)
    async with reactive.lifespan(Starlette()):
        await reactive.emit("boards:1", "x")
    assert "which no page has" not in caplog.text


def test_changes_of_tables_and_of_the_package_itself_are_not_near_misses(caplog: pytest.LogCaptureFixture) -> None:
    observer = NearMisses(["db:{name}s", "d"])
    for scope in ("db", "db:tasks", "db:*"):
        observer(ChangeEvent(scope, {"x"}))
    assert warnings(caplog) == []


async def test_nothing_is_observed_without_debug_mode(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(application(SOUND, debug=False)) as client:
        await client.post("/emit/boards:1")
        assert warnings(caplog) == []


# A secret that survives a restart


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REACTIVE_SECRET", raising=False)
    return tmp_path


async def test_a_page_that_was_opened_before_a_restart_in_debug_mode_stays_live(working_directory: Path) -> None:
    async with TestClient(application(SOUND, secret=None)) as client:
        page = await client.live("/boards/1")
        address = page.streams[0].address
    async with TestClient(application(SOUND, secret=None)) as client:
        assert (await client.sse(address, disconnect_after=0.1)).status == 200


def test_without_debug_mode_no_secret_is_kept(working_directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    application(SOUND, secret=None, debug=False)
    assert list(working_directory.iterdir()) == []
    assert "signed with a random one" in caplog.text


def test_a_secret_that_is_set_is_not_replaced(working_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    application(SOUND)
    monkeypatch.setenv("REACTIVE_SECRET", SECRET)
    application(SOUND, secret=None)
    assert list(working_directory.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_only_its_owner_can_read_the_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret, file = kept_secret(tmp_path), tmp_path / FOLDER / "secret"
    assert secret is not None
    assert len(secret) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / FOLDER).stat().st_mode) == 0o700
    file.chmod(0o644)
    assert kept_secret(tmp_path) is None
    assert "Delete it to get a new one" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_making_the_secret_overwrites_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / ".gitignore").symlink_to(tmp_path / "precious")
    kept_secret(tmp_path)
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_no_secret_is_kept_behind_a_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    directory.mkdir()
    elsewhere.mkdir()
    (directory / FOLDER).symlink_to(elsewhere)
    assert kept_secret(directory) is None
    assert list(elsewhere.iterdir()) == []
    assert "or is a link" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_secret_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text("a text that somebody else knows, of enough length")
    known.chmod(0o600)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "secret").symlink_to(known)
    assert kept_secret(tmp_path) is None


@pytest.mark.skipif(os.name != "posix", reason="users of POSIX")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FOLDER).mkdir()
    somebody = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    assert kept_secret(tmp_path) is None
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_git_ignores_the_secret(tmp_path: Path) -> None:
    kept_secret(tmp_path)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    status = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert status.stdout == ""


def test_processes_that_start_together_keep_one_secret(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        secrets = set(pool.map(kept_secret, [tmp_path] * 16, chunksize=1))
    assert len(secrets) == 1
    assert None not in secrets
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [".gitignore", "secret"]


@pytest.mark.parametrize("content", ["", "short", "x" * 300, "ä" * 40])
def test_a_file_that_holds_no_secret_is_not_used(tmp_path: Path, content: str) -> None:
    assert kept_secret(tmp_path) is not None
    (tmp_path / FOLDER / "secret").write_text(content, "utf-8")
    assert kept_secret(tmp_path) is None


def test_a_directory_that_cannot_be_written_leaves_the_secret_random(working_directory: Path) -> None:
    (working_directory / FOLDER).write_text("a file where the folder would be")
    assert kept_secret(working_directory) is None
    application(SOUND, secret=None)
