"""Whatever happens to the engine, the workers and the paths between: once changes stop, no page is stale."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from ..engines.servers import EngineServer, PostgresServer, RedisServer
from .faults import POSTGRES_FAULTS, REDIS_FAULTS, Fault
from .harness import Fleet

THOROUGH = 10  # rounds of each fault from which on outages last longer, and relays take their usual time


def seed_of(config: pytest.Config) -> str:
    return str(config.getoption("--engine-seed") or secrets.token_hex(4))


def fleet_on(engine: EngineServer, directory: Path, config: pytest.Config) -> Fleet:
    fleet = Fleet(directory, engine, seed_of(config))
    if int(config.getoption("--engine-rounds")) >= THOROUGH:
        fleet.longest_outage, fleet.long_transaction, fleet.beat = 8.0, 30.0, 5.0
    return fleet


async def endure(fleet: Fleet, faults: dict[str, Fault], rounds: int) -> None:
    async with fleet.running():
        await fleet.settle()
        for number in range(rounds):
            for name, fault in faults.items():
                await fleet.round(name, fault, number)
                print(f"{name}: {fleet.tallies[name]}", flush=True)


def expect_no_stale_page(fleet: Fleet, faults: dict[str, Fault], config: pytest.Config) -> None:
    wanted = config.getoption("--engine-faults")
    chosen = {name: fault for name, fault in faults.items() if not wanted or name in wanted.split(",")}
    print(f"seed {fleet.seed}")
    asyncio.run(endure(fleet, chosen, int(config.getoption("--engine-rounds"))))
    print(f"{dict(fleet.counts)}, {sum(tab.frames for tab in fleet.tabs)} frames")
    assert not fleet.reports, "\n\n".join(fleet.reports)


def test_on_redis_no_page_stays_stale(redis: RedisServer, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    fleet = fleet_on(redis, tmp_path, pytestconfig)
    expect_no_stale_page(fleet, REDIS_FAULTS, pytestconfig)
    if "buffer_overflowed" in fleet.tallies:
        assert fleet.counts["overflows"] == fleet.tallies["buffer_overflowed"].rounds


def test_on_postgres_no_page_stays_stale(postgres: PostgresServer, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    expect_no_stale_page(fleet_on(postgres, tmp_path, pytestconfig), POSTGRES_FAULTS, pytestconfig)
