"""What a bus counts, for Prometheus.

Nothing is counted for this: whoever collects reads what the bus knows anyway. Each process tells of itself alone.
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
    """What one bus counts, and how its engine is.

    It is registered once: ``REGISTRY.register(BusCollector(reactive.bus))``.

    Args:
        bus: The bus.
        prefix: What the names of the metrics begin with.
    """

    def __init__(self, bus: ReactiveBus, *, prefix: str = "starlette_reactive") -> None:
        self._bus = bus
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """Read the bus."""
        yield from self._counters()
        yield from self._gauges()

    def _counters(self) -> Iterator[Metric]:
        bus = self._bus
        for name, what, value in (
            ("emitted", "Changes that were emitted in this process", bus.emitted_count),
            ("coalesced", "Changes that were merged into one that waited for a slow reader", bus.coalesced_count),
            ("dropped", "Changes that were dropped for a slow reader", bus.dropped_count),
            ("engine_connections", "How often the engine was connected to", bus.health().connections),
        ):
            yield CounterMetricFamily(f"{self._prefix}_{name}", what, value=value)

    def _gauges(self) -> Iterator[Metric]:
        bus, health = self._bus, self._bus.health()
        for name, what, value in (
            ("viewers", "Viewers that are connected to this process", bus.viewer_count),
            ("scopes", "Scopes that are viewed in this process", bus.scope_count),
            ("engine_waiting", "Changes that wait for the engine to accept them", health.waiting),
        ):
            yield GaugeMetricFamily(f"{self._prefix}_{name}", what, value=value)
        connected = GaugeMetricFamily(
            f"{self._prefix}_engine_connected", "Whether the engine is connected to", labels=["engine"]
        )
        connected.add_metric([health.engine], health.connected)
        yield connected
