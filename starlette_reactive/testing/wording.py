"""How failures read."""

from __future__ import annotations

from collections.abc import Iterable

from .sse import ReceivedEvent

__all__ = ["NoStreamError", "listed", "shortened"]

_LONGEST = 300  # characters of a value in a message


class NoStreamError(AssertionError):
    """There is no event stream where one was expected."""


def shortened(text: str, longest: int = _LONGEST) -> str:
    """Return a text for a message, on one line and cut where it is long."""
    shown = repr(text)
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(text)} characters)"


def listed(events: Iterable[ReceivedEvent]) -> str:
    """Return events for a message, one on a line."""
    lines = [f"\n    {event.event or '(unnamed)'}: {shortened(event.data)}" for event in events]
    return ":" + "".join(lines) if lines else ": none"
