"""Which tests run by default, the event loops they run on, and the browser.

Each test is marked by what it needs: ``browser`` (Chromium), ``engine`` (Redis or PostgreSQL), ``slow``. Without an
argument, pytest runs the tests that need none of these, and ends with what it left out. Paths, ``-m`` and
``REACTIVE_REQUIRE_ALL=1`` choose for themselves.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from .browser.support import chromium_path, running_chromium
from .support import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # no test fails because the machine is busy

if os.environ.get("REACTIVE_REQUIRE_ALL") == "1" and not importlib.util.find_spec("playwright"):
    raise pytest.UsageError("REACTIVE_REQUIRE_ALL=1 lets nothing be skipped, and the package playwright is missing")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def chromium() -> Iterator[str]:
    """The address of the session's Chromium, for Playwright's ``connect``."""
    pytest.importorskip("playwright", reason="the package playwright is not installed")
    require(chromium_path(), "Chromium")
    with running_chromium() as address:
        yield address


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium, over a connection that lasts for one module: an open Playwright occupies its thread's event loop."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # milliseconds, enough for a busy machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect(chromium)
        yield browser
        browser.close()


NEEDS = {
    "browser": "Chromium",
    "engine": "Redis or PostgreSQL",
    "slow": "more than a few seconds each",
}
"""The markers of tests that are left out by default, with what these tests need."""

SLOW = {"chaos", "chaos_engines", "distribution", "recovery", "servers", "test_server", "test_site"}
"""Directories and modules whose tests are slow."""
ENGINE_MODULES = {"test_postgres", "test_redis", "test_servers"}
"""Modules whose tests all need an engine."""
ENGINES = {"redis", "postgres", "postgresql"}
LEFT_OUT = pytest.StashKey[dict[str, int]]()


def _needs(item: pytest.Item) -> set[str]:
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = {str(value) for value in getattr(getattr(item, "callspec", None), "params", {}).values()}
    needs = {name for name in NEEDS if item.get_closest_marker(name)}
    if "browser" in fixtures:
        needs.add("browser")
    named = {parameter.partition("+")[0] for parameter in parameters}
    if (
        item.path.stem in ENGINE_MODULES
        or named & ENGINES
        or (fixtures & {"servers", "redis", "postgres"} and not named & {"memory", "sqlite"})
    ):
        needs.add("engine")
    if {item.path.parent.name, item.path.stem} & SLOW:
        needs.add("slow")
    return needs


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for name in _needs(item):
            item.add_marker(name)
    if config.option.markexpr or os.environ.get("REACTIVE_REQUIRE_ALL") == "1" or _names_paths(config):
        return
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (left_out if any(item.get_closest_marker(name) for name in NEEDS) else chosen).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=left_out)
    counts = {name: sum(item.get_closest_marker(name) is not None for item in left_out) for name in NEEDS}
    config.stash[LEFT_OUT] = counts
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = counts


def _names_paths(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist left out; each of them collects everything."""
    if "left_out" in getattr(node, "workeroutput", {}):
        node.config.stash[LEFT_OUT] = node.workeroutput["left_out"]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash.get(LEFT_OUT, {})
    if any(counts.values()):
        terminalreporter.section("left out")
        for name, count in counts.items():
            terminalreporter.write_line(f"{count:5} tests marked {name} need {NEEDS[name]}: python -m pytest -m {name}")
        terminalreporter.write_line("everything, with nothing skipped: REACTIVE_REQUIRE_ALL=1 python -m pytest -n auto")


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-rounds", type=int, default=10, help="how many rounds the chaos test takes")
    chaos.addoption("--chaos-seed", help="what the chaos test draws from, to repeat a run")
    chaos.addoption("--engine-rounds", type=int, default=1, help="how many rounds of each fault the engines take")
    chaos.addoption("--engine-seed", help="what the rounds on engines draw from, to repeat a run")
    chaos.addoption("--engine-faults", help="names of faults with commas between; all by default")
