"""What compressing a stream costs and saves: once for all viewers, for each one, and not at all."""

from __future__ import annotations

import contextlib

from ..figures import Experiment, Goal, Rounds, Table, figure, ratio
from ..load import serving
from . import Settings
from .rounds import change, interleaved, warmed_up

__all__ = ["compression"]

_PLAIN, _SHARED, _EACH = "reactive", "reactive-gzip", "reactive-gzip-each"
_ROWS = 300
_WARM_UP = 5  # changes until what a connection remembers is full


def compression(settings: Settings) -> Experiment:
    """Change a line of a block of 21 kB."""
    count = settings.pick(500, 200)
    memory: Rounds = {variant: [] for variant in (_PLAIN, _SHARED, _EACH)}
    sizes: Rounds = {variant: [] for variant in memory}
    with contextlib.ExitStack() as stack:
        running = {}
        for variant in memory:
            gzip = variant != _PLAIN
            server, viewers = stack.enter_context(serving(variant, 1, gzip=gzip, rows=_ROWS))
            for _ in range(_WARM_UP):
                change(server, viewers)
            before = server.memory
            viewers.connect(server.port, ["/stream"] * count, gzip=gzip)
            running[variant] = server, viewers
            for _ in range(_WARM_UP):
                change(server, viewers)
            memory[variant].append((server.memory - before) / count / 1024)
        stack.enter_context(warmed_up(running))
        for variant, (server, viewers) in running.items():
            for _ in range(settings.pick(10, 4)):
                received = viewers.received_bytes
                change(server, viewers)
                sizes[variant].append((viewers.received_bytes - received) / len(viewers))
        cpu, latency = interleaved(running, settings.pick(20, 5), 4)
    rows = [
        [
            variant,
            *(str(figure(each[variant])) for each in (sizes, cpu)),
            str(ratio(cpu[variant], cpu[_PLAIN])),
            str(figure(latency[variant])),
            str(figure(memory[variant])),
        ]
        for variant in memory
    ]
    header = ["variant", "bytes a viewer", "us a viewer", f"x {_PLAIN}", "ms to the last viewer", "KiB a viewer"]
    table = Table(f"A line of a block of 21 kB changes, {count} viewers", header, rows)
    above = figure([one - other for one, other in zip(memory[_SHARED], memory[_PLAIN], strict=True)])
    what = "1 change of 21 kB, compressed once for all viewers"
    goals = [
        Goal(f"{what}: bytes of a plain stream, x its own", 40, ratio(sizes[_PLAIN], sizes[_SHARED]), True),
        Goal(f"{what}: processor time, x a plain stream", 1.1, ratio(cpu[_SHARED], cpu[_PLAIN])),
        Goal(f"{what}: memory of a viewer above a plain stream, KiB", 10, above),
    ]
    data = {"viewers": count, "bytes": sizes, "cpu_us": cpu, "latency_ms": latency, "kib": memory}
    return Experiment("compression", [table], goals, data)
