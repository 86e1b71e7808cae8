"""From a change to the bytes that each viewer's browser gets."""

from .stream import EventStream, reactive_stream
from .wire import SSEEvent

__all__ = ["EventStream", "SSEEvent", "reactive_stream"]
