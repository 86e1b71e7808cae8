"""Every asynchronous test runs on asyncio and on trio."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-rounds", type=int, default=10, help="how many rounds the chaos test takes")
    chaos.addoption("--chaos-seed", help="what the chaos test draws from, to repeat a run")
