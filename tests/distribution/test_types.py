"""Type checkers know the type of everything that the installed package exports."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..support import require
from .conftest import EXTRAS, Built, Shelf

Found = dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("types")


@pytest.fixture(scope="module")
def found(shelf: Shelf, built: Built, bare: Path, place: Path) -> Found:
    """What pyright reports of the installed package."""
    require(importlib.util.find_spec("pyright"), "the package pyright")
    everything = f"starlette-reactive[{','.join(EXTRAS)}] @ {built.wheel.as_uri()}"
    python = shelf.install(place / "env", everything, beside=bare)
    command = (sys.executable, "-m", "pyright", "--verifytypes", "starlette_reactive", "--ignoreexternal")
    path = os.pathsep.join((str(python.parent), os.environ["PATH"]))  # pyright asks the first Python on the path
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        (*command, "--outputjson"), cwd=place, env=kept | {"PATH": path}, capture_output=True, text=True, check=False
    )
    completeness: Found = json.loads(done.stdout)["typeCompleteness"]
    return completeness


def test_every_type_is_known(found: Found, place: Path) -> None:
    unknown = [
        f"{symbol['name']}: {problem['message']}"
        for symbol in found["symbols"]
        if symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"]
        for problem in symbol["diagnostics"]
    ]
    assert unknown == []
    assert Path(found["packageRootDirectory"]).is_relative_to(place)
    assert found["otherSymbolCounts"]["withKnownType"] > 300  # what the exported names consist of
    assert found["completenessScore"] == 1


def test_few_symbols_are_exported(found: Found) -> None:
    modules = {symbol["name"].rpartition(".")[0] for symbol in found["symbols"] if symbol["isExported"]}
    assert [name for name in modules if "._" in name] == []
    assert 50 < found["exportedSymbolCounts"]["withKnownType"] < 100
