"""Running a bus on an engine, so that changes reach every process.

A bus delivers within one process. A *relay* connects it to an *engine*, which is Redis or PostgreSQL: the relay sends
the events that are emitted in this process, and delivers those that arrive from the engine to the bus, including its
own. ``relay`` is the border to the bus, and ``engine`` with ``messages`` the border to the engines. ``bridge`` is the
relay, the same for every engine; ``redis`` and ``postgres`` are the engines.
"""

from .bridge import Bridge
from .publisher import Publisher
from .relay import LocalBus, Relay
from .urls import relay_from_url

__all__ = ["Bridge", "LocalBus", "Publisher", "Relay", "relay_from_url"]
