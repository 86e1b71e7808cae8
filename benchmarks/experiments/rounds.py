"""Changes made in turns: every variant in every round."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator, Mapping

from ..figures import Rounds, figure
from ..load import Server, Viewers

__all__ = ["PAUSE", "Running", "change", "cost", "interleaved", "warmed_up"]

PAUSE = 0.025
"""Seconds between two changes; a group gathers changes for 20 ms."""

Running = dict[str, tuple[Server, Viewers]]


def change(server: Server, viewers: Viewers) -> float:
    """Make a change, wait until it has reached everyone, and return the seconds that took."""
    number = server.next_change()
    started = time.perf_counter()
    server.tell("emit", number)
    taken = viewers.wait_for(server.marker(number)) - started
    time.sleep(PAUSE)
    return taken


def cost(server: Server, viewers: Viewers, changes: int) -> tuple[float, float]:
    """Return the processor microseconds for each viewer and change, and the median milliseconds to the last viewer."""
    before = server.cpu
    taken = [change(server, viewers) for _ in range(changes)]
    return (server.cpu - before) / changes / len(viewers) * 1e6, figure(taken).median * 1e3


@contextlib.contextmanager
def warmed_up(running: Running) -> Iterator[None]:
    """Make some changes with each variant, and collect no garbage in this process meanwhile."""
    for server, viewers in running.values():
        for _ in range(3):
            change(server, viewers)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleaved(running: Running, rounds: int, changes: int | Mapping[str, int]) -> tuple[Rounds, Rounds]:
    """Measure every variant in every round, in an order that moves on by one."""
    cpu: Rounds = {label: [] for label in running}
    latency: Rounds = {label: [] for label in running}
    labels = list(running)
    for number in range(rounds):
        first = number % len(labels)
        for label in labels[first:] + labels[:first]:
            count = changes if isinstance(changes, int) else changes[label]
            each, taken = cost(*running[label], count)
            cpu[label].append(each)
            latency[label].append(taken)
    return cpu, latency
