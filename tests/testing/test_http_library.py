"""The test clients use httpx2 or httpx, whichever is installed, and prefer the one that Starlette prefers."""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from starlette_reactive.testing._http_library import httpx
from tests.support import require

ROOT = Path(__file__).parents[2]
CORE = [f"tests/testing/{name}" for name in ("test_assertions.py", "test_client.py", "test_page.py")]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_without(tmp_path: Path) -> Run:
    """Return a function that runs Python where some modules seem not to be installed."""

    def run(modules: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        for name in modules:
            (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError({name!r}, name={name!r})")
        variables = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        variables["PYTHONPATH"] = str(tmp_path)
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def both_libraries() -> None:
    for name in ("httpx", "httpx2"):
        require(importlib.util.find_spec(name), f"the package {name}")


@pytest.mark.usefixtures("both_libraries")
def test_httpx2_is_preferred_as_in_starlette() -> None:
    import starlette.testclient

    assert httpx.__name__ == "httpx2"
    if "httpx2" in inspect.getsource(starlette.testclient):  # Starlette 1.2 and later
        assert vars(starlette.testclient)["httpx"] is httpx


@pytest.mark.usefixtures("both_libraries")
@pytest.mark.parametrize(("missing", "used"), [("httpx", "httpx2"), ("httpx2", "httpx")])
def test_the_installed_library_is_used(run_without: Run, missing: str, used: str) -> None:
    code = "from starlette_reactive.testing import TestClient; print(TestClient.__base__.__module__)"
    result = run_without([missing], "-W", "error", "-c", code)
    assert result.stdout.strip().partition(".")[0] == used, result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("both_libraries")
def test_the_core_tests_pass_with_httpx(run_without: Run) -> None:
    result = run_without(["httpx2"], "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not thousand", *CORE)
    assert result.returncode == 0, result.stdout


def test_a_missing_library_is_named_with_the_extra(run_without: Run) -> None:
    result = run_without(["httpx", "httpx2"], "-c", "import starlette_reactive.testing")
    assert "needs httpx2: install starlette-reactive[testing]" in result.stderr


def test_the_package_imports_none_of_the_libraries(run_without: Run) -> None:
    code = """
import sys
import starlette_reactive
print({"httpx", "httpx2", "pytest"} & set(sys.modules))
"""
    result = run_without([], "-c", code)
    assert result.stdout.strip() == "set()", result.stderr
