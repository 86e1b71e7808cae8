"""What a server goes through: idle viewers, bursts, page requests during a fan-out, and hours of churn."""

from __future__ import annotations

import random
import socket
import statistics
import time
from typing import Any

from ..figures import Experiment, Figure, Goal, Rounds, Table, comparison, figure
from ..load import Server, Viewers, serving
from . import Settings

__all__ = ["burst", "fairness", "memory", "soak"]


def memory(settings: Settings) -> Experiment:
    """Memory of the server for each idle connection."""
    count = settings.pick(2000, 500)
    variants = ["floor", "asgi", "reactive", "starlette", "sse", "sse-middleware", "fastapi", "datastar", "django"]
    found: Rounds = {variant: [] for variant in variants}
    for _ in range(settings.pick(3, 1)):
        for variant in variants:
            with serving(variant, 100) as (server, viewers):
                before = server.memory
                viewers.connect(server.port, ["/stream"] * count)
                found[variant].append((server.memory - before) / count / 1024)
    above = figure([one - other for one, other in zip(found["reactive"], found["asgi"], strict=True)])
    table = comparison(f"Memory for each of {count} idle connections", found, "KiB", "asgi")
    goal = Goal("memory of an idle viewer above bare ASGI, KiB", 16, above)
    return Experiment("memory", [table], [goal], {"viewers": count, "kib": found})


def burst(settings: Settings) -> Experiment:
    """A thousand events at once: how often is a block rendered?"""
    contexts = []
    with serving("reactive", 100) as (server, viewers):
        for _ in range(settings.pick(10, 3)):
            number = server.next_change()
            before = server.ask("stats")["contexts"]
            server.tell("burst", number, 1000)
            viewers.wait_for(server.marker(number))
            viewers.drain(0.3)
            contexts.append(float(server.ask("stats")["contexts"] - before))
    goal = Goal("a burst of 1,000 events: renders of a block", 5, figure(contexts))
    table = Table("A burst of 1,000 events", ["", "renders"], [["reactive", str(goal.figure)]])
    return Experiment("burst", [table], [goal], {"renders": contexts})


def fairness(settings: Settings) -> Experiment:
    """How long a page request takes that arrives while a change goes to very many viewers."""
    count = settings.pick(5000, 1000)
    requests = settings.pick(60, 15)
    found: Rounds = {}
    with serving("reactive", count) as (server, viewers):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lasts = figure([_fan_out(server, viewers) for _ in range(5)]).median
        found["idle"] = [_request(connection) for _ in range(requests)]
        found["during a fan-out"] = [_request_during(server, viewers, connection, lasts) for _ in range(requests)]
        connection.close()
    rows = [
        [name, str(figure(values)), f"{statistics.quantiles(values, n=20)[-1]:.1f}", f"{max(values):.1f}"]
        for name, values in found.items()
    ]
    title = f"A page request and {count} viewers; a fan-out keeps the server busy for {lasts:.0f} ms"
    table = Table(title, ["", "ms", "95 %", "longest"], rows)
    goal = Goal("a page request during a fan-out, ms at the median", 50, figure(found["during a fan-out"]))
    return Experiment("fairness", [table], [goal], {"viewers": count, "fan_out_ms": lasts, "request_ms": found})


def _fan_out(server: Server, viewers: Viewers) -> float:
    before = server.cpu
    number = server.next_change()
    server.tell("emit", number)
    viewers.wait_for(server.marker(number))
    taken = (server.cpu - before) * 1e3
    time.sleep(0.05)
    return taken


def _request_during(server: Server, viewers: Viewers, connection: socket.socket, lasts: float) -> float:
    number = server.next_change()
    server.tell("emit", number)
    time.sleep(random.uniform(0.1, 0.7) * lasts / 1e3)
    taken = _request(connection)
    viewers.wait_for(server.marker(number))
    time.sleep(0.05)
    return taken


def _request(connection: socket.socket) -> float:
    """Request the page and return the milliseconds until its end has come."""
    started = time.perf_counter()
    connection.sendall(b"GET /page HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    answer = b""
    while not answer.rstrip().endswith(b"</html>"):
        answer += connection.recv(65536)
    return (time.perf_counter() - started) * 1e3


def soak(settings: Settings) -> Experiment:
    """Viewers come and go while changes are made; the memory is to stay flat."""
    seconds = settings.soak_minutes * 60
    count, replaced = 500, 20
    samples: list[tuple[float, float]] = []
    changes = connections = 0
    with serving("reactive", count) as (server, viewers):
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < seconds:
            for _ in range(10):
                number = server.next_change()
                server.tell("emit", number)
                viewers.wait_for(server.marker(number))
                changes += 1
            viewers.close(replaced, abruptly=random.random() < 0.5)
            viewers.connect(server.port, ["/stream"] * replaced)
            connections += replaced
            if not samples or elapsed - samples[-1][0] > max(1.0, seconds / 120):
                samples.append((elapsed, server.memory / 1024 / 1024))
        viewers.close()
        time.sleep(1)
        left = server.ask("stats")
    grown = _growth(samples)
    rows = [
        ["minutes", f"{seconds / 60:.1f}"],
        ["changes", str(changes)],
        ["connections", str(connections + count)],
        ["memory at the start, middle and end, MiB", " ".join(f"{samples[at][1]:.1f}" for at in _places(samples))],
        ["growth over the second half, %", str(grown)],
        ["subscribers left when all have gone", str(left["subscribers"])],
        ["tasks left", str(left["tasks"])],
    ]
    goals = [
        Goal("soak: growth of the memory over the second half, %", 2, grown),
        Goal("soak: subscribers left when all have gone", 0, figure([float(left["subscribers"])])),
    ]
    data: dict[str, Any] = {"minutes": seconds / 60, "memory_mib": samples, "changes": changes, "left": left}
    table = Table(f"{count} viewers, {replaced} replaced after every 10 changes", ["", "soak"], rows)
    return Experiment("soak", [table], goals, data)


def _places(samples: list[tuple[float, float]]) -> list[int]:
    return [0, len(samples) // 2, -1]


def _growth(samples: list[tuple[float, float]]) -> Figure:
    """Return by how much the memory grew from the third quarter to the last one, in per cent."""
    quarter = max(1, len(samples) // 4)
    third = [size for _, size in samples[-2 * quarter : -quarter]] or [samples[0][1]]
    last = [size for _, size in samples[-quarter:]]
    return figure([(statistics.median(last) / statistics.median(third) - 1) * 100])
