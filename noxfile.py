"""Sessions of nox, the command that runs the checks. ``nox --list`` shows them; ``nox`` runs fast, lint and types.

``fast``, ``lint``, ``types`` and ``docs`` use the environment that nox itself is in, which the dependency group ``dev``
fills. ``test`` and ``lowest`` make environments of their own.
"""

from __future__ import annotations

import sys
import tempfile

import nox

nox.needs_version = ">=2025.2"
nox.options.sessions = ["fast", "lint", "types"]
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
NEEDS_NOTHING = ("-n", "auto", "-m", "not browser and not engine and not slow")
DEPENDENT = [f"tests/{room}" for room in ("bus", "checks", "clients", "core", "index", "log", "pages", "streams")]
"""The tests of the rooms that depend on the versions of other packages."""
TOOLS = ("aiosqlite", "classy-fastapi", "httpx", "hypothesis", "itsdangerous", "psutil", "pytest-xdist", "trio")
"""What these tests need in addition to the extras."""


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    """Run the tests that need nothing but Python, on each supported Python that is found."""
    session.install("-e", ".", "--group", "test")
    session.run("python", "-m", "pytest", *NEEDS_NOTHING, *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run the tests of the main rooms with the lowest supported version of each dependency."""
    extras = ",".join(PROJECT["project"]["optional-dependencies"])
    lowest = f"{session.create_tmp()}/lowest.txt"
    session.install("uv")
    session.run(
        "uv", "pip", "compile", "-q", "--all-extras", "--resolution", "lowest-direct", "-o", lowest, "pyproject.toml"
    )
    session.install("-c", lowest, "-e", f".[{extras}]", *TOOLS)
    session.run("python", "-m", "pytest", *NEEDS_NOTHING, *(session.posargs or DEPENDENT))


@nox.session(python=False)
def fast(session: nox.Session) -> None:
    """Run the quick tests here; of one room with ``nox -s fast -- tests/bus``."""
    _run(session, "pytest", *NEEDS_NOTHING, *session.posargs)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check the code and its format."""
    _run(session, "ruff", "check", ".")
    _run(session, "ruff", "format", "--check", ".")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Check all types, strictly."""
    _run(session, "mypy")


@nox.session(python=False)
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    with tempfile.TemporaryDirectory() as folder:
        _run(session, "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder)


def _run(session: nox.Session, module: str, *arguments: str) -> None:
    session.run(sys.executable, "-m", module, *arguments, env={"NO_MKDOCS_2_WARNING": "1"}, external=True)
