"""The clients in the browser: one module for each, with the markup it connects by and the bytes it understands."""

from .client import CLOSE_EVENT, HEARTBEAT_EVENT, RESTART_EVENT, Client, Sink
from .wires import WIRES, Wire, wire_named

__all__ = ["CLOSE_EVENT", "HEARTBEAT_EVENT", "RESTART_EVENT", "WIRES", "Client", "Sink", "Wire", "wire_named"]
