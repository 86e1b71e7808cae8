"""From a change to the bytes that each viewer's browser gets."""

from .frames import SSEEvent
from .response import EventStream, reactive_stream

__all__ = ["EventStream", "SSEEvent", "reactive_stream"]
