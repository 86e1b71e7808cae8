"""After any faults between server and browser, every page shows what a new page would show once changes stop."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from .board import ForeignError, StaleError
from .harness import Chaos


def seed_of(config: pytest.Config) -> str:
    return str(config.getoption("--chaos-seed") or secrets.token_hex(4))


async def endure(chaos: Chaos, rounds: int) -> None:
    async with chaos.stage.running():
        for number in range(rounds):
            await chaos.round(number)


def test_every_page_matches_a_new_one_once_changes_stop(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    rounds = int(pytestconfig.getoption("--chaos-rounds"))
    chaos = Chaos(tmp_path, seed_of(pytestconfig))
    stage = chaos.stage
    print(f"seed {stage.seed}")
    asyncio.run(endure(chaos, rounds))
    print(f"{rounds} rounds, seed {stage.seed}; the slowest took {chaos.checks.slowest:.2f} s to settle")
    print(dict(stage.counts))
    print(f"{stage.proxy.refused} times 502, {stage.proxy.cut_in_midst} cut")
    print(f"{sum(viewer.frames for viewer in stage.viewers)} frames")
    print(f"{sum(member.row_updates for member in stage.members)} updates of rows")
    assert stage.counts["changes"] > rounds
    assert stage.counts["keys changed"] > rounds
    assert stage.counts["ailing"] > rounds
    assert stage.counts["lost answers"]
    assert sum(member.own_updates for member in stage.members)
    assert sum(member.row_updates for member in stage.members) > rounds
    assert stage.counts["frozen"]
    assert stage.proxy.cut_in_midst
    assert any(viewer.compressed_frames for viewer in stage.viewers if viewer not in stage.members)
    assert any(member.compressed_frames for member in stage.members)


@pytest.mark.parametrize(
    ("loses", "error", "message"),
    [
        ("what changed before", StaleError, "pages are stale"),
        ("keys", ForeignError, "is sent"),
        ("replaced blocks", StaleError, "pages are stale"),
        ("rows", StaleError, "pages are stale"),
    ],
)
def test_the_same_chaos_notices_what_a_server_loses(
    loses: str, error: type[AssertionError], message: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chaos = Chaos(tmp_path, seed_of(pytestconfig), loses=loses)
    with pytest.raises(error, match=message):
        asyncio.run(endure(chaos, rounds=20))


def test_the_same_chaos_notices_scripts_that_do_not_watch_for_silence(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chaos = Chaos(tmp_path, seed_of(pytestconfig), watches=False)
    with pytest.raises(StaleError, match="pages are stale"):
        asyncio.run(endure(chaos, rounds=20))
