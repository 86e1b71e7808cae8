"""Every asynchronous test runs on asyncio and on trio, and every test of a page in the same kind of browser."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from .browser.support import chromium_path, launch_chromium
from .support import require

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")  # a machine that has other things to do fails no test

if os.environ.get("REACTIVE_REQUIRE_ALL") == "1" and not importlib.util.find_spec("playwright"):
    raise pytest.UsageError("REACTIVE_REQUIRE_ALL=1 lets nothing be skipped, and the package playwright is missing")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Each module has its own: an open Playwright holds its thread's event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is missing")
    require(chromium_path(), "Chromium")
    playwright.expect.set_options(timeout=30_000)  # milliseconds, for a machine that has other things to do
    with playwright.sync_playwright() as running:
        browser = launch_chromium(running)
        yield browser
        browser.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-rounds", type=int, default=10, help="how many rounds the chaos test takes")
    chaos.addoption("--chaos-seed", help="what the chaos test draws from, to repeat a run")
    chaos.addoption("--engine-rounds", type=int, default=1, help="how many rounds of each fault the engines take")
    chaos.addoption("--engine-seed", help="what the rounds on engines draw from, to repeat a run")
    chaos.addoption("--engine-faults", help="names of faults with commas between; all by default")
