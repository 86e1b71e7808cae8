"""What a change of one row of a long list costs, in bytes and in processor time."""

from __future__ import annotations

import contextlib

from ..browsers import viewing
from ..figures import Experiment, Goal, Table, comparison, figure, ratio
from ..load import Server, Viewers, serving
from . import Settings
from .rounds import Running, interleaved, warmed_up

__all__ = ["rows"]

_ROWS = 500
_SCRIPT = "&script=1"
_READY = "ready bytes of one row"


def rows(settings: Settings) -> Experiment:
    """One of 500 rows changes: the row for viewers that take rows, the whole list for others, and ready bytes."""
    count = settings.pick(1000, 200)
    with contextlib.ExitStack() as stack:
        running: Running = {
            "row by row": stack.enter_context(viewing("rows", count, f"{_SCRIPT}&rows=1", rows=_ROWS)),
            "whole": stack.enter_context(viewing("rows", count, _SCRIPT, rows=_ROWS)),
            _READY: stack.enter_context(serving("asgi", count, rows=3)),
        }
        stack.enter_context(warmed_up(running))
        cpu, latency = interleaved(running, settings.pick(10, 4), 4)
        sizes = {label: [_size(*each)] for label, each in running.items()}
    found = Experiment(
        "rows", data={"viewers": count, "rows": _ROWS, "cpu_us": cpu, "latency_ms": latency, "bytes": sizes}
    )
    title = f"One of {_ROWS} rows, {count} viewers"
    found.tables += [
        comparison(f"{title}: processor time for each viewer and change", cpu, "us", _READY),
        comparison(f"{title}: from the emit to the last viewer", latency, "ms", _READY),
        Table(f"{title}: bytes for each", ["", "bytes"], [[label, f"{size[0]:.0f}"] for label, size in sizes.items()]),
    ]
    found.goals += [
        Goal(f"one of {_ROWS} rows: bytes for each viewer", 400, figure(sizes["row by row"])),
        Goal(f"one of {_ROWS} rows: processor time, x ready bytes", 1.05, ratio(cpu["row by row"], cpu[_READY])),
    ]
    return found


def _size(server: Server, viewers: Viewers) -> float:
    """Return how many bytes a viewer receives for a change, with those of the transfer's encoding."""
    server.tell("emit", server.next_change())
    return viewers.drain(1) / len(viewers)
