"""From a change to the bytes that each viewer's browser receives."""

from .response import EventStream
from .stream import reactive_stream

__all__ = ["EventStream", "reactive_stream"]
