"""The metrics of a bus for Prometheus."""

from __future__ import annotations

import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from starlette_reactive import ChangeEvent, ConnectionInfo, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive.metrics import BusCollector


def metrics(bus: ReactiveBus, prefix: str = "starlette_reactive") -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(BusCollector(bus, prefix=prefix))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_the_counters_of_the_bus_are_exported() -> None:
    bus = ReactiveBus(maxsize=1)
    with bus.subscribe("a"), hub_of(bus).watch("b"):
        member = hub_of(bus).join("b", ConnectionInfo("tab"), lambda _: None)
        for _ in range(3):
            bus.emit_sync(ChangeEvent("a", {"x"}))
        assert metrics(bus) == {
            "starlette_reactive_emitted_total": 3,
            "starlette_reactive_coalesced_total": 2,
            "starlette_reactive_dropped_total": 0,
            "starlette_reactive_timed_out_updates_total": 0,
            "starlette_reactive_refused_streams_total": 0,
            "starlette_reactive_differing_blocks_total": 0,
            "starlette_reactive_dropped_toasts_total": 0,
            "starlette_reactive_engine_connections_total": 0,
            "starlette_reactive_engine_ignored_total": 0,
            "starlette_reactive_viewers": 2,
            "starlette_reactive_scopes": 2,
            "starlette_reactive_waiting_updates": 0,
            "starlette_reactive_engine_waiting": 0,
            'starlette_reactive_engine_connected{engine="memory"}': 1,
        }
        member.leave()
        assert metrics(bus, "shop")["shop_viewers"] == 1


def test_what_happens_to_updates_and_streams_is_exported() -> None:
    bus = ReactiveBus()
    counts = hub_of(bus).counts
    counts.time_out()
    for _ in range(2):
        counts.refuse()
    counts.differ()
    counts.drop_toast()
    with counts.waiting():
        found = metrics(bus)
    assert found["starlette_reactive_waiting_updates"] == 1
    assert found["starlette_reactive_timed_out_updates_total"] == 1
    assert found["starlette_reactive_refused_streams_total"] == 2
    assert found["starlette_reactive_differing_blocks_total"] == 1
    assert found["starlette_reactive_dropped_toasts_total"] == 1
    assert metrics(bus)["starlette_reactive_waiting_updates"] == 0


def test_the_outbox_of_an_unreachable_engine_is_exported() -> None:
    bus = ReactiveBus.from_url("postgresql://nobody@127.0.0.1:1/none")
    bus.start()
    bus.emit_sync(ChangeEvent("a", {"x"}))
    try:
        found = metrics(bus)
        while not found["starlette_reactive_engine_waiting"]:
            found = metrics(bus)
        assert found['starlette_reactive_engine_connected{engine="postgresql"}'] == 0
    finally:
        bus.stop()


def test_without_prometheus_client_the_import_error_names_the_extra() -> None:
    program = "import sys; sys.modules['prometheus_client'] = None; import starlette_reactive.metrics"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "needs prometheus_client: install 'starlette-reactive[metrics]'" in done.stderr
    with pytest.raises(subprocess.CalledProcessError):
        done.check_returncode()
