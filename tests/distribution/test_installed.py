"""The wheel in new environments: without extras, and with each extra."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import EXTRAS, Built, Shelf, run

BROUGHT = {
    "": set[str](),
    "fastapi": {"fastapi"},
    "redis": {"redis"},
    "postgres": {"psycopg"},
    "sqlalchemy": {"sqlalchemy"},
    "metrics": {"prometheus_client"},
    "cli": {"typer"},
    "testing": {"httpx2"},
    "example": {"fastapi", "sqlalchemy"},
}
"""The optional dependencies that each extra installs."""
OPTIONAL = set[str]().union(*BROUGHT.values())

SUITE = """
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.routing import Route
from starlette_reactive import Reactive

count = 0
page = '<html><body><div {{ live() }}></div><p id="count">{% block count %}{{ count }}{% endblock %}</p></body></html>'
reactive = Reactive(Environment(loader=DictLoader({"page.html": page}), autoescape=True), secret="a secret for tests")

@reactive.page("page.html", scope="room")
def show():
    return {"count": count}

app = Starlette(routes=[Route("/", show), *reactive.routes], lifespan=reactive.lifespan)

async def test_a_change_is_shown(live_page):
    global count
    shown = await live_page(app, "/")
    assert shown.text("#count") == "0"
    count = 1
    await reactive.emit("room", "count")
    await shown.expect("#count", "1")
"""


def probe(python: Path, extra: str) -> None:
    absent = sorted(OPTIONAL - BROUGHT[extra])
    run(python, "-I", Path(__file__).with_name("probe.py"), *absent, cwd=python.parent)


Install = Callable[[str], Path]


@pytest.fixture
def install(shelf: Shelf, built: Built, bare: Path, tmp_path: Path) -> Install:
    """Return a function that creates an environment with an extra and returns its Python."""
    place = tmp_path / "env"
    return lambda extra: shelf.install(place, f"starlette-reactive[{extra}] @ {built.wheel.as_uri()}", beside=bare)


def test_the_wheel_works_without_extras_and_names_those_that_are_missing(bare: Path, tmp_path: Path) -> None:
    probe(bare, "")
    command = bare.with_name("starlette-reactive")
    asked = subprocess.run([command, "check", "x:y"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert asked.returncode == 1
    assert "starlette-reactive[cli]" in asked.stderr
    assert "Traceback" not in asked.stderr


def test_every_extra_is_tested() -> None:
    assert set(BROUGHT) == {"", *EXTRAS}


@pytest.mark.parametrize("extra", [extra for extra in EXTRAS if extra not in ("cli", "testing", "example")])
def test_an_extra_installs_what_its_part_of_the_package_needs(install: Install, extra: str) -> None:
    probe(install(extra), extra)


def test_the_extra_cli_installs_the_command(install: Install, tmp_path: Path) -> None:
    python = install("cli")
    probe(python, "cli")
    (tmp_path / "shown.py").write_text(
        "from jinja2 import DictLoader, Environment\nfrom starlette_reactive import Reactive\n"
        "reactive = Reactive(Environment(loader=DictLoader({'p.html': '<html>'}), autoescape=True), "
        "secret='a secret for tests')\n"
    )
    assert run(python.with_name("starlette-reactive"), "check", "shown:reactive", cwd=tmp_path) == "No issues found.\n"


def test_the_extra_testing_installs_the_pytest_plugin(install: Install, tmp_path: Path) -> None:
    python = install("testing")
    probe(python, "testing")
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_live.py").write_text(SUITE)
    options = ("-q", "-p", "no:cacheprovider", "-o", "anyio_mode=auto", "--rootdir", str(suite))
    assert "1 passed" in run(python, "-m", "pytest", *options, "test_live.py", cwd=suite)


def test_the_sdist_can_be_installed_and_runs_the_example(
    shelf: Shelf, built: Built, bare: Path, tmp_path: Path
) -> None:
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    python = shelf.install(tmp_path / "env", f"starlette-reactive[example] @ {built.sdist.as_uri()}", beside=bare)
    probe(python, "example")
    code = "from example_app.app import create_app; import starlette_reactive; print(starlette_reactive.__file__)"
    (source / "starlette_reactive").rename(source / "elsewhere")
    assert "site-packages" in run(python, "-c", code, cwd=source)
