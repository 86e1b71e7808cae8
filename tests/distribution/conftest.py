"""Fixtures: the wheel and the sdist, built once per session, and new environments with them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..support import require

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = tuple(PROJECT["optional-dependencies"])
"""The extras that users install."""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command without the settings of this environment, and return what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "REACTIVE"))}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=kept | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@dataclass(frozen=True)
class Built:
    """The wheel and the sdist."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Shelf:
    """A folder of wheels with everything that the package can depend on. Installations use nothing else."""

    folder: Path

    def install(self, place: Path, requirement: str, *, beside: Path | None = None) -> Path:
        """Install into a new environment, and return its Python.

        Args:
            place: The directory of the environment.
            requirement: What to install, with its dependencies.
            beside: The Python of an environment whose packages to reuse, except the package itself.
        """
        venv.create(place, with_pip=False, symlinks=True)
        python = place / "bin" / "python"
        if beside is not None:
            ignored = shutil.ignore_patterns("starlette_reactive*", "__pycache__")
            shutil.copytree(
                packages(beside), packages(python), copy_function=os.link, ignore=ignored, dirs_exist_ok=True
            )
        source = ("--no-index", "--find-links", self.folder, "--no-compile", "--isolated")
        run(sys.executable, "-m", "pip", "--python", python, "install", "-q", *source, requirement, cwd=place)
        return python


def packages(python: Path) -> Path:
    (found,) = (python.parents[1] / "lib").glob("python*/site-packages")
    return found


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist, and the wheel from the sdist."""
    require(importlib.util.find_spec("build"), "the package build")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="session")
def shelf(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Download the dependencies of all environments once."""
    folder = tmp_path_factory.mktemp("wheels")
    command = (sys.executable, "-m", "pip", "download", "-q", "--dest", folder, "--prefer-binary")
    wanted = f"starlette-reactive[{','.join(EXTRAS)}] @ {built.wheel.as_uri()}"
    fetched = subprocess.run([*command, wanted, "hatchling"], cwd=folder, capture_output=True, text=True, check=False)
    require(fetched.returncode == 0, f"a package index ({fetched.stderr[-500:]})")
    return Shelf(folder)


@pytest.fixture(scope="session")
def bare(shelf: Shelf, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and without extras."""
    return shelf.install(tmp_path_factory.mktemp("bare"), f"starlette-reactive @ {built.wheel.as_uri()}")
