"""After any faults between server and browser, every page shows what a new page would show once changes stop."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from .harness import Chaos, ForeignError, StaleError
from .member import Member


def seed_of(config: pytest.Config) -> str:
    return str(config.getoption("--chaos-seed") or secrets.token_hex(4))


async def endure(chaos: Chaos, rounds: int) -> None:
    async with chaos.running():
        for number in range(rounds):
            await chaos.round(number)


def test_every_page_matches_a_new_one_once_changes_stop(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    rounds = int(pytestconfig.getoption("--chaos-rounds"))
    chaos = Chaos(tmp_path, seed_of(pytestconfig))
    print(f"seed {chaos.seed}")
    asyncio.run(endure(chaos, rounds))
    print(f"{rounds} rounds, seed {chaos.seed}; the slowest took {chaos.slowest:.2f} s to settle; {dict(chaos.counts)}")
    print(f"{chaos.proxy.refused} times 502, {chaos.proxy.cut_in_midst} cut")
    print(f"{sum(viewer.frames for viewer in chaos.viewers)} frames")
    assert chaos.counts["changes"] > rounds
    assert chaos.counts["keys changed"] > rounds
    assert chaos.counts["ailing"] > rounds
    assert chaos.counts["lost answers"]
    assert sum(viewer.own_updates for viewer in chaos.viewers if isinstance(viewer, Member))
    assert chaos.proxy.cut_in_midst


@pytest.mark.parametrize(
    ("loses", "error", "message"),
    [
        ("what changed before", StaleError, "pages are stale"),
        ("keys", ForeignError, "is sent"),
        ("replaced blocks", StaleError, "pages are stale"),
    ],
)
def test_the_same_chaos_notices_what_a_server_loses(
    loses: str, error: type[AssertionError], message: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chaos = Chaos(tmp_path, seed_of(pytestconfig), loses=loses)
    with pytest.raises(error, match=message):
        asyncio.run(endure(chaos, rounds=20))
