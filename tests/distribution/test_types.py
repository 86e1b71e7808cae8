"""What type checkers see of the installed package: a known type for everything that it exports."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from ..support import require
from .conftest import EXTRAS, Built, Shelf


def test_every_type_is_known(shelf: Shelf, built: Built, bare: Path, tmp_path: Path) -> None:
    require(importlib.util.find_spec("pyright"), "the package pyright")
    everything = f"starlette-reactive[{','.join(EXTRAS)}] @ {built.wheel.as_uri()}"
    python = shelf.install(tmp_path / "env", everything, beside=bare)
    command = (sys.executable, "-m", "pyright", "--verifytypes", "starlette_reactive", "--ignoreexternal")
    path = os.pathsep.join((str(python.parent), os.environ["PATH"]))  # it asks the first Python there
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        (*command, "--outputjson"), cwd=tmp_path, env=kept | {"PATH": path}, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)["typeCompleteness"]
    unknown = [
        f"{symbol['name']}: {problem['message']}"
        for symbol in found["symbols"]
        if symbol["isExported"] and (symbol["isTypeAmbiguous"] or not symbol["isTypeKnown"])
        for problem in symbol["diagnostics"]
    ]
    assert unknown == []
    assert Path(found["packageRootDirectory"]).is_relative_to(tmp_path)
    assert found["exportedSymbolCounts"]["withKnownType"] > 1000
    assert found["completenessScore"] == 1
