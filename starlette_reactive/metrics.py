"""Metrics of a bus for Prometheus.

A scrape reads the counters that the bus keeps anyway, so metrics cost nothing between scrapes. Each process exports its
own numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] != "prometheus_client":
        raise
    raise ModuleNotFoundError(
        "starlette_reactive.metrics needs prometheus_client: install 'starlette-reactive[metrics]'",
        name="prometheus_client",
    ) from _error

from ._bus.bus import ReactiveBus

__all__ = ["BusCollector"]


class BusCollector(Collector):
    """Exports the counters of a bus and the state of its engine.

    Register it once: ``REGISTRY.register(BusCollector(reactive.bus))``.

    Args:
        bus: The bus.
        prefix: The prefix of the metric names.
    """

    def __init__(self, bus: ReactiveBus, *, prefix: str = "starlette_reactive") -> None:
        self._bus = bus
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the bus."""
        yield from self._counters()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        bus, health = self._bus, self._bus.health()
        for name, description, value in (
            ("emitted", "Events emitted in this process", bus.emitted_count),
            ("coalesced", "Events merged into one that waited for a slow subscriber", bus.coalesced_count),
            ("dropped", "Events dropped for a slow subscriber", bus.dropped_count),
            ("timed_out_updates", "Updates of pages that timed out", bus.timed_out_update_count),
            ("refused_streams", "Streams refused because there were too many", bus.refused_stream_count),
            ("differing_blocks", "Shared blocks that differed between two viewers", bus.differing_block_count),
            ("dropped_toasts", "Toasts dropped for viewers that read slowly", bus.dropped_toast_count),
            ("engine_connections", "Connections made to the engine", health.connections),
            ("engine_ignored", "Malformed messages of the engine that were ignored", health.ignored),
        ):
            yield CounterMetricFamily(f"{self._prefix}_{name}", description, value=value)

    def _gauges(self) -> Iterator[Metric]:
        bus, health = self._bus, self._bus.health()
        for name, description, value in (
            ("viewers", "Viewers connected to this process", bus.viewer_count),
            ("scopes", "Scopes viewed in this process", bus.scope_count),
            ("waiting_updates", "Updates of pages that wait until others have ended", bus.waiting_update_count),
            ("engine_waiting", "Events waiting for the engine to accept them", health.waiting),
        ):
            yield GaugeMetricFamily(f"{self._prefix}_{name}", description, value=value)
        connected = GaugeMetricFamily(
            f"{self._prefix}_engine_connected", "Whether the engine is connected", labels=["engine"]
        )
        connected.add_metric([health.engine], health.connected)
        yield connected
