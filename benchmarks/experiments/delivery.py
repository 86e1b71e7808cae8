"""What a change costs the server for each viewer, and how long it takes to reach the last one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..figures import Experiment, Goal, Rounds, Table, comparison, figure, ratio
from ..load import Server, Viewers, serving
from ..variants import VARIANTS
from . import Settings
from .rounds import PAUSE, Running, interleaved, warmed_up

__all__ = ["block_size", "blocks", "five_blocks", "one_block", "scopes", "viewers"]


@contextlib.contextmanager
def _all(variants: Mapping[str, tuple[str, dict[str, Any]]], viewers: int) -> Iterator[Running]:
    with contextlib.ExitStack() as stack:
        running = {
            label: stack.enter_context(serving(variant, options.pop("viewers", viewers), **options))
            for label, (variant, options) in variants.items()
        }
        stack.enter_context(warmed_up(running))
        yield running


def _compare(settings: Settings, name: str, title: str, variants: Sequence[str], **options: Any) -> Experiment:
    count = settings.pick(1000, 200)
    with _all({variant: (variant, dict(options)) for variant in variants}, count) as running:
        cpu, latency = interleaved(running, settings.pick(10, 4), 4)
    title = f"{title}, {count} viewers of one scope"
    found = Experiment(name, data={"viewers": count, **options, "cpu_us": cpu, "latency_ms": latency})
    found.tables += [
        comparison(f"{title}: processor time for each viewer and change", cpu, "us", "asgi"),
        comparison(f"{title}: from the emit to the last viewer", latency, "ms", "asgi"),
    ]
    return found


def one_block(settings: Settings) -> Experiment:
    variants = [each for each in VARIANTS if not each.endswith(("-sql", "-engine"))]
    found = _compare(settings, "one_block", "One block of 300 bytes", variants)
    cpu, latency = found.data["cpu_us"], found.data["latency_ms"]
    found.goals += [
        Goal("1 change, 1 block: processor time, x bare ASGI", 1.5, ratio(cpu["reactive"], cpu["asgi"])),
        Goal("emit to the last viewer, x bare ASGI", 1.5, ratio(latency["reactive"], latency["asgi"])),
    ]
    return found


def five_blocks(settings: Settings) -> Experiment:
    variants = ["floor", "asgi", "reactive", "reactive-sql", "sse", "sse-encoded", "per-viewer", "per-viewer-sql"]
    found = _compare(settings, "five_blocks", "Five blocks of 800 bytes", variants, blocks=5, rows=10)
    cpu = found.data["cpu_us"]
    what = "1 change, 5 blocks: processor time of the per-viewer render"
    found.goals += [
        Goal(f"{what} with a query, x this package", 60, ratio(cpu["per-viewer-sql"], cpu["reactive-sql"]), True),
        Goal(f"{what} without, x this package", 60, ratio(cpu["per-viewer"], cpu["reactive"]), True),
    ]
    return found


def _scale(
    settings: Settings, name: str, title: str, points: Mapping[int, dict[str, Any]], variants: Sequence[str]
) -> Experiment:
    labelled = {
        f"{variant} {point}": (variant, dict(options)) for variant in variants for point, options in points.items()
    }
    changes = {label: max(3, 1000 // options.get("viewers", 500)) for label, (_, options) in labelled.items()}
    with _all(labelled, 500) as running:
        cpu, latency = interleaved(running, settings.pick(8, 3), changes)
    rows = [
        [
            str(point),
            *(str(figure(cpu[f"{each} {point}"])) for each in variants),
            *(str(ratio(cpu[f"{each} {point}"], cpu[f"asgi {point}"])) for each in variants if each != "asgi"),
        ]
        for point in points
    ]
    header = [name, *(f"{each}, us" for each in variants), *(f"{each} x asgi" for each in variants if each != "asgi")]
    table = Table(f"{title}: processor time for each viewer and change", header, rows)
    return Experiment(
        name, [table], data={"points": list(points), "variants": list(variants), "cpu_us": cpu, "latency_ms": latency}
    )


def viewers(settings: Settings) -> Experiment:
    counts = settings.pick([10, 100, 1000, 5000], [10, 100, 1000])
    found = _scale(
        settings, "viewers", "Viewers of one scope", {each: {"viewers": each} for each in counts}, ["asgi", "reactive"]
    )
    cpu = found.data["cpu_us"]
    if not settings.quick:
        found.goals.append(
            Goal(
                "5,000 viewers: processor time for each, x 1,000 viewers",
                1.2,
                ratio(cpu["reactive 5000"], cpu["reactive 1000"]),
            )
        )
    return found


def blocks(settings: Settings) -> Experiment:
    counts = settings.pick([1, 5, 20, 50], [1, 5, 20])
    return _scale(
        settings,
        "blocks",
        "Blocks changed, 500 viewers",
        {each: {"blocks": each} for each in counts},
        ["asgi", "reactive"],
    )


def block_size(settings: Settings) -> Experiment:
    return _scale(
        settings,
        "rows",
        "Rows of the block (70 bytes each), 500 viewers",
        {each: {"rows": each} for each in (3, 30, 300)},
        ["asgi", "reactive"],
    )


def scopes(settings: Settings) -> Experiment:
    """Change up to 100 scopes of many, each with one viewer."""
    counts = settings.pick([1, 10, 100, 1000, 10_000], [1, 10, 100, 1000])
    cpu: Rounds = {str(count): [] for count in counts}
    latency: Rounds = {str(count): [] for count in counts}
    with contextlib.ExitStack() as stack:
        running = {}
        for count in counts:
            server, readers = stack.enter_context(serving("reactive"))
            numbers = readers.connect(server.port, [f"/stream?scope=board:{each}" for each in range(count)])
            running[count] = (server, readers, numbers)
        for number in range(settings.pick(9, 4)):
            for count, (server, readers, numbers) in running.items():
                cost, taken = _scopes_cost(server, readers, numbers, number)
                if number:
                    cpu[str(count)].append(cost)
                    latency[str(count)].append(taken)
    rows = [[count, str(figure(cpu[count])), str(figure(latency[count]))] for count in cpu]
    table = Table(
        "Scopes with one viewer each, up to 100 of them changed",
        ["scopes", "us for each change (context, render, write)", "ms to the last viewer"],
        rows,
    )
    return Experiment("scopes", [table], data={"cpu_us": cpu, "latency_ms": latency})


def _scopes_cost(server: Server, readers: Viewers, numbers: list[int], turn: int) -> tuple[float, float]:
    told = min(100, len(numbers))
    changes = max(3, 100 // told)
    first = turn * told % len(numbers)
    before = server.cpu
    taken = []
    for _ in range(changes):
        number = server.next_change()
        started = time.perf_counter()
        server.tell("scopes", number, first, told)
        last = readers.wait_for(server.marker(number), among=numbers[first : first + told])
        taken.append(last - started)
        time.sleep(PAUSE)
    return (server.cpu - before) / changes / told * 1e6, figure(taken).median * 1e3
