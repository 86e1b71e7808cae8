"""Event loops, the browser, and which tests run by default.

A test is marked by what it needs: ``browser`` (Chromium), ``engine`` (Redis or PostgreSQL) or ``slow``. Without
arguments, pytest runs the tests that carry none of these marks and lists at the end what it left out. A path, ``-m``
or ``REACTIVE_REQUIRE_ALL=1`` turns this off.
"""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from starlette_reactive._engines import this_process

from .browser.support import chromium_path, running_chromium
from .support import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # no test fails because the machine is busy

REQUIRE_ALL = os.environ.get("REACTIVE_REQUIRE_ALL") == "1"
if REQUIRE_ALL and not importlib.util.find_spec("playwright"):
    raise pytest.UsageError("REACTIVE_REQUIRE_ALL=1 allows no skips, but the package playwright is not installed")

MARKS = {"browser": "Chromium", "engine": "Redis or PostgreSQL", "slow": "more time"}
"""Marks of tests that do not run by default, and what these tests need."""

ENGINE_MODULES = {"test_deployment", "test_postgres", "test_redis", "test_servers"}
"""Modules whose tests all need an engine."""

ENGINE_FIXTURES = {"postgres", "postgresql", "redis", "servers", "shared", "urls"}
ENGINE_PARAMETERS = {"postgresql", "redis"}
OTHER_PARAMETERS = {"memory", "sqlite"}

BROWSER_MODULES = {"test_browser", "test_example_app", "test_in_chromium", "test_swaps_in_chromium"}
"""Modules that look at so many pages that they are slow."""

SLOW = {
    *(
        "chaos",
        "chaos_engines",
        "distribution",
        "recovery",
        "servers",
        "test_plugin",
        "test_random_pages",
        "test_server",
        "test_site",
    ),
    *BROWSER_MODULES,
}
"""Directories and modules whose tests are all slow. So are the tests in ``engines`` that need an engine."""

LONG = SLOW | {"test_conformance", "test_packages", "test_postgres", "test_recipes"}
"""Directories and modules that take longest in total. Workers begin with them."""

SHARING_DIRECTORIES = {"tests/distribution"}
"""Directories whose tests share session fixtures that take long: they run in one worker."""

_COMMAND = ".venv/bin/python -m pytest"

left_out = pytest.StashKey[Counter[str]]()


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


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-rounds", type=int, default=10, help="number of rounds of the chaos test")
    chaos.addoption("--chaos-seed", help="seed of the chaos test, to repeat a run")
    chaos.addoption("--engine-rounds", type=int, default=1, help="number of rounds of each engine fault")
    chaos.addoption("--engine-seed", help="seed of the engine faults, to repeat a run")
    chaos.addoption("--engine-faults", help="comma-separated names of engine faults; all by default")
    generated = parser.getgroup("generated templates")
    generated.addoption("--template-sites", type=int, default=640, help="number of sites of eight templates each")
    tracking = parser.getgroup("tracking")
    tracking.addoption("--tracking-commits", type=int, default=40, help="number of random commits of each test")
    tracking.addoption("--tracking-seed", default="0", help="seed of the random commits")
    fidelity = parser.getgroup("fidelity")
    fidelity.addoption("--fidelity-pages", type=int, default=50, help="number of random pages for each client")
    fidelity.addoption("--fidelity-seed", default="0", help="seed of the random pages")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite on all processors unless ``-n`` is given, and give workers whole files."""
    options = config.option
    if hasattr(config, "workerinput") or not hasattr(options, "numprocesses") or options.usepdb:
        return
    if options.numprocesses is None and not _names_paths(config):
        options.numprocesses = "logical"
    if options.numprocesses and options.dist == "no":
        options.dist = "loadfile"
        options.loadscopereorder = False


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        os.environ.pop("COVERAGE_PROCESS_START", None)  # measure the workers, not the processes that tests start


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files, and whole directories where files share what takes long to build."""
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            directory = file.rpartition("/")[0]
            return directory if directory in SHARING_DIRECTORIES else file

    return Scheduling(config, log) if config.option.dist == "loadfile" else None


def pytest_itemcollected(item: pytest.Item) -> None:
    for mark in _marks(item):
        item.add_marker(mark)


def _marks(item: pytest.Item) -> Iterator[str]:
    fixtures = set(getattr(item, "fixturenames", ()))
    parameters = {
        str(value).partition("+")[0] for value in getattr(getattr(item, "callspec", None), "params", {}).values()
    }
    needs_engine = (
        item.path.stem in ENGINE_MODULES
        or parameters & ENGINE_PARAMETERS
        or (fixtures & ENGINE_FIXTURES and not parameters & OTHER_PARAMETERS)
    )
    directory = item.path.parent.name
    if "browser" in fixtures:
        yield "browser"
    if needs_engine:
        yield "engine"
    if {directory, item.path.stem} & SLOW or (needs_engine and directory == "engines"):
        yield "slow"


def pytest_unconfigure() -> None:
    """Forget what tests have emitted to engines that are down, which would make this process exit with status 120."""
    this_process._kept.clear()
    this_process._finishers.clear()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not {item.path.parent.name, item.path.stem} & LONG)
    if config.option.markexpr or REQUIRE_ALL or _names_paths(config):
        return
    marks = {item: {mark.name for mark in item.iter_markers()} & MARKS.keys() for item in items}
    counts = Counter(mark for item in items for mark in marks[item])
    config.hook.pytest_deselected(items=[item for item in items if marks[item]])
    items[:] = [item for item in items if not marks[item]]
    config.stash[left_out] = counts
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = dict(counts)


def _names_paths(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the counts of a worker of pytest-xdist: each worker collects everything, the controller nothing."""
    if "left_out" in getattr(node, "workeroutput", {}):
        node.config.stash[left_out] = Counter(node.workeroutput["left_out"])


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash.get(left_out, Counter())
    if not counts:
        return
    terminalreporter.section("left out")
    for mark, need in MARKS.items():
        terminalreporter.write_line(f"{counts[mark]:5} tests that need {need}: {_COMMAND} -m {mark}")
    terminalreporter.write_line(f"everything, without skips: REACTIVE_REQUIRE_ALL=1 {_COMMAND}")
