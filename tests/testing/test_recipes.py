"""The recipes in docs/testing.md pass unchanged."""

from __future__ import annotations

import re

import pytest

from tests.browser.support import ROOT

pytest_plugins = ["pytester"]

PAGE = (ROOT / "docs" / "testing.md").read_text()
FILES = dict(re.findall(r"^```(?:python|toml) title=\"(.+?)\"\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
RECIPES = [
    "fragment",
    "stream",
    "two_users",
    "presence",
    "reconnect",
    "failing_block",
    "sync",
    "fixtures",
    "live_script",
]


def test_all_recipes_are_found() -> None:
    assert sorted(FILES) == sorted(["app.py", "pyproject.toml", *(f"test_{name}.py" for name in RECIPES)])


def test_the_recipes_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    for name, text in FILES.items():
        pytester.path.joinpath(name).write_text(text)
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-W", "error")
    tests = sum(text.count("\nasync def test_") * 2 + text.count("\ndef test_") for text in FILES.values())
    result.assert_outcomes(passed=tests)


def test_the_failure_in_the_guide_is_the_real_one(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("app.py").write_text(FILES["app.py"])
    pytester.makepyfile(
        """
        from app import create_app
        from starlette_reactive.testing import SyncTestClient

        def test_it():
            with SyncTestClient(create_app()) as client:
                page = client.live("/")
                client.post("/tasks", json={"title": "Milk"})
                page.expect("#count", "2 to do", timeout=1)
        """
    )
    shown = re.search(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    lines = [line for line in shown[1].splitlines() if "stream:" not in line and "(unnamed)" not in line]
    result = pytester.runpytest_subprocess("-p", "no:asyncio")
    output = re.sub(r"^E +", "", result.stdout.str(), flags=re.MULTILINE)
    for line in lines:
        assert line.strip() in output, output
