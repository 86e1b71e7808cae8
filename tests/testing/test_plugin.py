"""The pytest plugin, tested in separate suites."""

from __future__ import annotations

import pytest

from tests.browser.support import ROOT

pytest_plugins = ["pytester"]

TESTS = """
import anyio
import pytest
from tests.testing.apps import board
from starlette_reactive import ChangeEvent

{mark}

async def test_a_client_and_pages(reactive_client, live_page, captured_changes):
    made = board()
    client = await reactive_client(made.app)
    one, other = await live_page(made.app, "/boards/1"), await live_page(made.app, "/boards/1", htmx=4)
    await client.post("/tasks", content="milk")
    await one.expect("#count", "1 open")
    await other.expect("#list", "milk")
    assert captured_changes == [ChangeEvent("board:1", {{"tasks"}})]
    assert made.started == 1
    global last
    last = made

async def test_everything_was_closed():
    assert last.stopped == 1
    assert not last.reactive.presence("board:1")

async def test_an_exception_at_the_end(reactive_client):
    client = await reactive_client(board().app, headers={{"x": "y"}})
    assert client.headers["x"] == "y"
"""
SYNC = """
from tests.testing.apps import board
from starlette_reactive.testing import SyncTestClient

def test_changes_are_captured_in_a_synchronous_suite(captured_changes):
    made = board()
    with SyncTestClient(made.app) as client:
        client.post("/tasks", content="milk")
    assert [change.scope for change in captured_changes] == ["board:1"]

def test_the_bus_is_restored():
    from starlette_reactive import ReactiveBus
    assert ReactiveBus.emit_sync.__qualname__ == "ReactiveBus.emit_sync"
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_fixtures_work_under_anyio(suite: pytest.Pytester, backend: str) -> None:
    mark = f"pytestmark = pytest.mark.anyio\n@pytest.fixture\ndef anyio_backend():\n    return {backend!r}"
    suite.makepyfile(TESTS.format(mark=mark))
    suite.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=3)


def test_the_fixtures_work_under_anyios_automatic_mode(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nfilterwarnings = error\nanyio_mode = auto\n")
    suite.makepyfile(TESTS.format(mark=""))
    suite.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=6)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_the_fixtures_work_under_pytest_asyncio(suite: pytest.Pytester, mode: str) -> None:
    pytest.importorskip("pytest_asyncio")
    suite.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    suite.makepyfile(TESTS.format(mark="pytestmark = pytest.mark.asyncio" if mode == "strict" else ""))
    suite.runpytest_subprocess(f"--asyncio-mode={mode}").assert_outcomes(passed=3)


def test_changes_are_captured_in_any_test(suite: pytest.Pytester) -> None:
    suite.makepyfile(SYNC)
    suite.runpytest_subprocess("-p", "no:asyncio").assert_outcomes(passed=2)


def test_a_synchronous_test_that_requests_a_client_fails_with_advice(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(live_page):\n    pass\n")
    result = suite.runpytest_subprocess("-p", "no:asyncio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*SyncTestClient*"])


def test_a_suite_that_uses_no_fixture_is_unaffected(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            assert not {"starlette_reactive.testing", "httpx", "httpx2"} & set(sys.modules)
        """
    )
    result = suite.runpytest_subprocess("-p", "no:asyncio")
    result.assert_outcomes(passed=1)
    plain = suite.runpytest_subprocess("-p", "no:asyncio", "-p", "no:starlette_reactive")
    lines = [line for line in result.outlines if "plugins:" not in line and " in " not in line]
    assert lines == [line for line in plain.outlines if "plugins:" not in line and " in " not in line]


def test_the_fixtures_are_listed_with_descriptions(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess("--fixtures", "-p", "no:asyncio")
    for name in ("reactive_client", "live_page", "captured_changes"):
        result.stdout.fnmatch_lines([f"{name} -- *"])
