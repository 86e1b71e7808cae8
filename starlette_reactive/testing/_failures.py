"""NoStreamError, and how failure messages show values and events."""

from __future__ import annotations

from collections.abc import Iterable

from ._sse import ReceivedEvent

__all__ = ["NoStreamError", "list_events", "quote"]

_MAX_LENGTH = 300  # characters of a value in a message


class NoStreamError(AssertionError):
    """There is no event stream where one was expected."""


def quote(text: str, max_length: int = _MAX_LENGTH) -> str:
    """Return a text as a quoted single line, truncated if it is long."""
    quoted = repr(text)
    return quoted if len(quoted) <= max_length else f"{quoted[:max_length]}… ({len(text)} characters)"


def list_events(events: Iterable[ReceivedEvent]) -> str:
    """Return events for the end of a message, one per line."""
    lines = [f"\n    {event.event or '(unnamed)'}: {quote(event.data)}" for event in events]
    return ":" + "".join(lines) if lines else ": none"
