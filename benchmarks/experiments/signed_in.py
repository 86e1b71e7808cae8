"""What pages of signed-in people cost: private pages, and pages whose viewers share a run by team."""

from __future__ import annotations

import contextlib
import statistics
import time

from ..browsers import PATH, Browser, open_connections, open_pages, viewing
from ..figures import Experiment, Goal, Rounds, Table, comparison, figure, ratio
from ..load import Server, Viewers
from . import Settings
from .rounds import PAUSE, Running, change, cost, interleaved, warmed_up

__all__ = ["member_memory", "personal_block", "private_update", "room_for_requests", "signed_in"]

_VARIANTS = ["private", "share", "share-async", "shared", "sse-template", "sse-fragments", "pyview"]
_PRIVATE = {"FastAPI": "private", "Starlette": "private-starlette"}


def signed_in(settings: Settings) -> Experiment:
    """A change of ten rows that all viewers see, each signed in with a session of its own."""
    counts = settings.pick([100, 1000], [200])
    labelled = {f"{variant} {count}": (variant, count) for count in counts for variant in _VARIANTS}
    with contextlib.ExitStack() as stack:
        running: Running = {
            label: stack.enter_context(viewing(variant, count)) for label, (variant, count) in labelled.items()
        }
        stack.enter_context(warmed_up(running))
        changes = {label: max(3, 1000 // count) for label, (_, count) in labelled.items()}
        cpu, latency = interleaved(running, settings.pick(10, 3), changes)
    found = Experiment(
        "signed_in", data={"points": counts, "variants": _VARIANTS, "cpu_us": cpu, "latency_ms": latency}
    )
    for count in counts:
        title = f"{count} signed-in viewers"
        found.tables += [
            comparison(f"{title}: processor time for each viewer and change", _at(cpu, count), "us", "share"),
            comparison(f"{title}: from the change to the last viewer", _at(latency, count), "ms", "share"),
        ]
    most = _at(cpu, counts[-1])
    what = f"{counts[-1]:,} signed-in viewers in four teams: processor time"
    found.goals += [
        Goal(f"{what} of share=, x shared=True", 1.3, ratio(most["share"], most["shared"])),
        Goal(f"{what} of a private page, x share=", 30, ratio(most["private"], most["share"]), at_least=True),
    ]
    return found


def _at(rounds: Rounds, count: int) -> Rounds:
    """Return the figures of each variant with so many viewers."""
    return {variant: rounds[f"{variant} {count}"] for variant in _VARIANTS}


def private_update(settings: Settings) -> Experiment:
    """An update of a private page beside a GET request of the same page, a hundred at a time of either."""
    count, times = 100, settings.pick(5, 2)
    cpu: Rounds = {f"{what}, {framework}": [] for framework in _PRIVATE for what in ("update", "GET")}
    with contextlib.ExitStack() as stack:
        running: Running = {}
        requests: dict[str, tuple[Viewers, dict[int, bytes]]] = {}
        for framework, variant in _PRIVATE.items():
            server, readers = running[framework] = stack.enter_context(viewing(variant, count))
            connections = Viewers()
            stack.callback(connections.close)
            requests[framework] = connections, open_connections(server, connections, range(count))
            _gets_cost(server, *requests[framework], times)
        stack.enter_context(warmed_up(running))
        for _ in range(settings.pick(15, 4)):
            for framework, (server, readers) in running.items():
                cpu[f"update, {framework}"].append(cost(server, readers, times)[0])
                cpu[f"GET, {framework}"].append(_gets_cost(server, *requests[framework], times))
    ratios = {each: ratio(cpu[f"update, {each}"], cpu[f"GET, {each}"]) for each in _PRIVATE}
    rows = [
        [each, str(figure(cpu[f"update, {each}"])), str(figure(cpu[f"GET, {each}"])), str(ratios[each])]
        for each in _PRIVATE
    ]
    title = "A private page: processor time of an update and of a GET request"
    table = Table(title, ["", "update, us", "GET, us", "x GET"], rows)
    goals = [Goal(f"private update, {each}: processor time, x GET", 1.1, found) for each, found in ratios.items()]
    return Experiment("private_update", [table], goals, {"viewers": count, "cpu_us": cpu})


def _gets_cost(server: Server, connections: Viewers, requests: dict[int, bytes], times: int) -> float:
    """Return the processor microseconds for a request of the page."""
    before = server.cpu
    for _ in range(times):
        connections.send(requests)
        connections.wait_for(b"</html>")
        time.sleep(PAUSE)
    return (server.cpu - before) / times / len(requests) * 1e6


def room_for_requests(settings: Settings) -> Experiment:
    """How long a GET request takes while a change has the server run the updates of very many private viewers."""
    count = settings.pick(1000, 200)
    usual: list[list[float]] = []
    meanwhile: list[list[float]] = []
    lasts: list[float] = []
    with viewing("private", count) as (server, viewers):
        browser = Browser(server.port)
        cookies: dict[str, str] = {}
        browser.get("/sign-in/member0", cookies)
        lasts += [change(server, viewers) for _ in range(3)]
        for _ in range(settings.pick(10, 3)):
            usual.append([_request(browser, cookies) for _ in range(20)])
            until = statistics.median(lasts) * 0.9
            number = server.next_change()
            started = time.perf_counter()
            server.tell("emit", number)
            during = []
            while time.perf_counter() - started < until:
                during.append(_request(browser, cookies))
            lasts.append(viewers.wait_for(server.marker(number)) - started)
            meanwhile.append(during)
            time.sleep(PAUSE)
        browser.close()
    medians = {
        "usual": [*map(statistics.median, usual)],
        "during the updates": [*map(statistics.median, meanwhile)],
    }
    slowest = {"usual": max(map(max, usual)), "during the updates": max(map(max, meanwhile))}
    times = ratio(medians["during the updates"], medians["usual"])
    rows = [[name, str(figure(values)), f"{slowest[name]:.1f}"] for name, values in medians.items()]
    title = (
        f"A GET request and {count} private updates, which take {statistics.median(lasts) * 1e3:.0f} ms "
        f"({sum(map(len, meanwhile))} requests meanwhile)"
    )
    table = Table(title, ["", "ms, median of a round", "slowest"], rows)
    goal = Goal("a GET request during private updates, x its usual time", 3, times)
    data = {
        "viewers": count,
        "usual_ms": usual,
        "meanwhile_ms": meanwhile,
        "updates_ms": [each * 1e3 for each in lasts],
    }
    return Experiment("room_for_requests", [table], [goal], data)


def _request(browser: Browser, cookies: dict[str, str]) -> float:
    """Request the page and return the milliseconds until it has come."""
    time.sleep(0.002)
    started = time.perf_counter()
    browser.get(PATH, cookies)
    return (time.perf_counter() - started) * 1e3


def personal_block(settings: Settings) -> Experiment:
    """A change of a personal block, for one member among very many who look at the same page."""
    count = settings.pick(1000, 200)
    variants = ["share", "private"]
    runs: Rounds = {variant: [] for variant in variants}
    cpu: Rounds = {variant: [] for variant in variants}
    with contextlib.ExitStack() as stack:
        running: Running = {variant: stack.enter_context(viewing(variant, 0)) for variant in variants}
        numbers = {variant: open_pages(server, readers, range(count)) for variant, (server, readers) in running.items()}
        stack.enter_context(warmed_up(running))
        for turn in range(settings.pick(30, 8)):
            member = turn * 37 % count
            for variant, (server, readers) in running.items():
                run, taken = _note(server, readers, numbers[variant], member)
                runs[variant].append(run)
                cpu[variant].append(taken)
    rows = [[each, str(figure(runs[each])), str(figure(cpu[each]))] for each in variants]
    table = Table(f"A personal block of one of {count} viewers", ["", "runs", "us for the change"], rows)
    most = figure([max(runs["share"])])
    goal = Goal(f"a personal block of one of {count} viewers with share=: runs, at the most", 1, most)
    return Experiment("personal_block", [table], [goal], {"viewers": count, "runs": runs, "cpu_us": cpu})


def _note(server: Server, readers: Viewers, numbers: list[int], member: int) -> tuple[float, float]:
    """Return how many runs a change for one member causes, and its processor microseconds."""
    number, runs, before = server.next_change(), server.ask("runs"), server.cpu
    server.tell("note", f"member{member}", number)
    readers.wait_for(server.marker(number), among=[numbers[member]])
    time.sleep(PAUSE)
    return float(server.ask("runs") - runs), (server.cpu - before) * 1e6


def member_memory(settings: Settings) -> Experiment:
    """Memory of the server for each signed-in viewer who has received a change."""
    count = settings.pick(2000, 300)
    found: Rounds = {variant: [] for variant in _VARIANTS}
    for _ in range(settings.pick(3, 1)):
        for variant in _VARIANTS:
            with viewing(variant, 100) as (server, viewers):
                change(server, viewers)
                before = server.memory
                open_pages(server, viewers, range(100, 100 + count))
                change(server, viewers)
                found[variant].append((server.memory - before) / count / 1024)
    table = comparison(f"Memory for each of {count} signed-in viewers", found, "KiB", "shared")
    goals = [
        Goal(f"memory of a viewer of share= above {name}, KiB", 4, figure(_above(found["share"], found[other])))
        for name, other in (("shared=True", "shared"), ("a private page", "private"))
    ]
    return Experiment("member_memory", [table], goals, {"viewers": count, "kib": found})


def _above(values: list[float], base: list[float]) -> list[float]:
    return [one - other for one, other in zip(values, base, strict=True)]
