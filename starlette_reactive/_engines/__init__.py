"""The bridge to an engine: how changes reach the other processes, and theirs this one.

The bus delivers to this process only. A *relay* hands each emitted change to an engine, and the bus what the engine
tells, of this process's own changes as of those of others. An *engine* is what knows Redis or PostgreSQL; all that
is the same for every engine stands in ``bridge``.
"""

from .bridge import Bridge
from .publisher import Publisher
from .relay import Local, Relay
from .urls import relay_from_url

__all__ = ["Bridge", "Local", "Publisher", "Relay", "relay_from_url"]
