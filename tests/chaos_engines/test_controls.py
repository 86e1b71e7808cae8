"""Ways of running on an engine that are known to lose changes do leave stale pages here: the harness is not blind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ..engines.servers import EngineServer, PostgresServer, RedisServer
from .faults import POSTGRES_FAULTS, REDIS_FAULTS, Fault
from .harness import Fleet
from .test_faults import seed_of

MOST_ROUNDS = 30
PATIENCE = 8.0  # seconds; what these lose does not come later


async def rounds_until_stale(fleet: Fleet, faults: list[tuple[str, Fault]]) -> int | None:
    async with fleet.running():
        await fleet.settle()
        for number in range(MOST_ROUNDS):
            name, fault = faults[number % len(faults)]
            if not await fleet.round(name, fault, number):
                return number + 1
    return None


def expect_stale_pages(fleet: Fleet, faults: dict[str, Fault], names: tuple[str, ...]) -> None:
    fleet.patience, fleet.second_look = PATIENCE, 0.0
    rounds = asyncio.run(rounds_until_stale(fleet, [(name, faults[name]) for name in names]))
    print(f"{fleet.control}: stale pages in round {rounds}; seed {fleet.seed}; {fleet.tallies}")
    assert rounds is not None


def control(name: str, engine: EngineServer, directory: Path, config: pytest.Config) -> Fleet:
    return Fleet(directory, engine, seed_of(config), control=name)


def test_publish_and_subscribe_alone_loses_changes(
    redis: RedisServer, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    fleet = control("without log", redis, tmp_path, pytestconfig)
    expect_stale_pages(fleet, REDIS_FAULTS, ("engine_killed", "path_frozen_and_cut", "clients_killed"))


def test_a_stored_epoch_hides_what_an_old_file_has_lost(
    redis: RedisServer, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    fleet = control("stored epoch", redis, tmp_path, pytestconfig)
    expect_stale_pages(fleet, REDIS_FAULTS, ("old_file_restored",))


def test_notify_alone_loses_changes(postgres: PostgresServer, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    fleet = control("without log", postgres, tmp_path, pytestconfig)
    expect_stale_pages(fleet, POSTGRES_FAULTS, ("engine_killed", "path_frozen_and_cut", "backends_terminated"))


def test_reading_ids_above_the_last_one_misses_late_transactions(
    postgres: PostgresServer, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    fleet = control("ids above the last", postgres, tmp_path, pytestconfig)
    expect_stale_pages(fleet, POSTGRES_FAULTS, ("transaction_open",))
