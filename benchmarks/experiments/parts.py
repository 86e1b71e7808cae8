"""The parts without a server: the index, the registration of a template, and emits from a thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import uvloop
from jinja2 import DictLoader, Environment

from starlette_reactive import BlockRef, ChangeEvent, DependencyIndex, ReactiveBus

from ..figures import Experiment, Goal, Rounds, Table, comparison, figure, ratio
from . import Settings

__all__ = ["index", "registration", "threads"]


def index(settings: Settings) -> Experiment:
    """``affected_blocks`` of a leaf and of a path that nothing shows."""
    counts = settings.pick([1000, 10_000, 100_000], [1000, 10_000])
    indexes = {count: _index_of(count) for count in counts}
    cost: Rounds = {}
    for _ in range(settings.pick(15, 5)):
        for count, built in indexes.items():
            leaf = frozenset({f"area{count // 20}.item5.title"})
            miss = frozenset({"nowhere.at.all"})
            cost.setdefault(f"leaf {count}", []).append(_microseconds(built.affected_blocks, leaf))
            cost.setdefault(f"miss {count}", []).append(_microseconds(built.affected_blocks, miss))
    rows = [[str(count), str(figure(cost[f"leaf {count}"])), str(figure(cost[f"miss {count}"]))] for count in counts]
    table = Table("affected_blocks of one path, by registered paths", ["paths", "a leaf, us", "a miss, us"], rows)
    most, least = counts[-1], counts[0]
    goals = [
        Goal("affected_blocks, 10,000 paths, a leaf: us", 2, figure(cost["leaf 10000"])),
        Goal("affected_blocks, 10,000 paths, a miss: us", 1, figure(cost["miss 10000"])),
        Goal(f"a leaf with {most:,} paths, x {least:,}", 1.2, ratio(cost[f"leaf {most}"], cost[f"leaf {least}"])),
        Goal(f"a miss with {most:,} paths, x {least:,}", 1.2, ratio(cost[f"miss {most}"], cost[f"miss {least}"])),
    ]
    return Experiment("index", [table], goals, {"us": cost})


def _index_of(paths: int) -> DependencyIndex:
    built = DependencyIndex()
    for number in range(paths):
        built.register(f"area{number // 10}.item{number % 10}.title", BlockRef("page.html", f"block{number // 10}"))
    built.affected_blocks({"warm.up"})
    return built


def _microseconds(function: Callable[..., Any], *args: Any, times: int = 2000) -> float:
    gc.collect()
    gc.disable()
    try:
        started = time.thread_time()
        for _ in range(times):
            function(*args)
        return (time.thread_time() - started) / times * 1e6
    finally:
        gc.enable()


_BLOCK = """<section id="b{i}">{{% block b{i} %}}{{% for task in board{i}.tasks %}}{{% if task.done %}}
<li class="done">{{{{ task.title|upper }}}} {{{{ task.owner.name }}}}</li>{{% else %}}<li>{{{{ task.title }}}}</li>
{{% endif %}}{{% endfor %}}<p>{{{{ board{i}.total }}}}</p>{{% endblock %}}</section>
"""


def registration(settings: Settings) -> Experiment:
    """``register_template`` against Jinja's own parsing of the template."""
    source = "<html><body>" + "".join(_BLOCK.format(i=number) for number in range(50)) + "</body></html>"
    taken: Rounds = {"parse": [], "register_template": []}
    for _ in range(settings.pick(15, 5)):
        environment = Environment(loader=DictLoader({"page.html": source}), autoescape=True)
        taken["parse"].append(_microseconds(environment.parse, source, times=1) / 1e3)
        register = DependencyIndex().register_template
        taken["register_template"].append(_microseconds(register, environment, "page.html", times=1) / 1e3)
    beyond = [whole - parse for whole, parse in zip(taken["register_template"], taken["parse"], strict=True)]
    goal = Goal("register_template, 50 blocks: beyond parsing, x parsing", 1, ratio(beyond, taken["parse"]))
    table = comparison("A template of 50 blocks", taken, "ms", "parse")
    return Experiment("registration", [table], [goal], {"ms": taken})


def threads(settings: Settings) -> Experiment:
    """An emit until the last of 1,000 subscribers has it, from a thread and in the loop."""
    taken: Rounds = uvloop.run(_threads(settings.pick(12, 4), settings.pick(40, 10)))
    goal = Goal("emit to 1,000 subscribers from a thread, x in the loop", 1.5, ratio(taken["thread"], taken["loop"]))
    table = comparison("An emit until the last of 1,000 subscribers has it", taken, "ms", "loop")
    return Experiment("threads", [table], [goal], {"ms": taken})


async def _threads(rounds: int, emits: int) -> Rounds:
    bus = ReactiveBus()
    received = _Count(1000)
    tasks = [asyncio.create_task(_subscriber(bus, received)) for _ in range(received.wanted)]
    await asyncio.sleep(0.1)
    gc.collect()
    gc.freeze()
    taken: Rounds = {"loop": [], "thread": []}
    loop = asyncio.get_running_loop()
    for _ in range(rounds):
        for kind in taken:
            times = []
            for _ in range(emits):
                done = received.expect()
                await asyncio.sleep(0.002)  # by then all subscribers sleep
                if kind == "loop":
                    started = time.perf_counter()
                    bus.emit_sync(ChangeEvent("s", {"path"}))
                else:
                    begun: asyncio.Future[float] = loop.create_future()
                    threading.Thread(target=_emit, args=(bus, begun)).start()
                await done
                if kind == "thread":
                    started = await begun
                times.append(received.at - started)
            taken[kind].append(figure(times).median * 1e3)
    for task in tasks:
        task.cancel()
    return taken


def _emit(bus: ReactiveBus, begun: asyncio.Future[float]) -> None:
    time.sleep(0.002)  # by then the loop sleeps
    started = time.perf_counter()
    bus.emit_sync(ChangeEvent("s", {"path"}))
    begun.get_loop().call_soon_threadsafe(begun.set_result, started)


async def _subscriber(bus: ReactiveBus, received: _Count) -> None:
    with bus.subscribe("s") as events:
        async for _ in events:
            received.one_more()


class _Count:
    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.at = 0.0
        self._count = 0
        self._done: asyncio.Future[None] | None = None

    def expect(self) -> asyncio.Future[None]:
        self._count = 0
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def one_more(self) -> None:
        self._count += 1
        if self._count == self.wanted and self._done is not None:
            self.at = time.perf_counter()
            self._done.set_result(None)
