"""From patches and values to the bytes of Server-Sent Events, as each kind of client takes them.

Frames follow the event stream format of the WHATWG HTML standard, section "Server-sent events": fields in lines that
end with LF, an empty line at the end. CRLF is never written, for htmx 4 mistakes one that arrives in two chunks for
two ends of line. A frame without a ``data`` line is not dispatched by browsers, so an empty block is sent as an empty
``data`` line.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ..blocks import Patch, Placement

__all__ = [
    "HEARTBEAT",
    "Dialect",
    "SSEEvent",
    "dialect_of",
    "encode_event",
    "encode_patch",
    "error_markup",
    "with_fields",
]

HEARTBEAT = b": heartbeat\n\n"


class Dialect(Enum):
    """What a client understands as an update of a block."""

    NAMED = "named"
    """An event named after the block, with the bare HTML: what ``sse-swap`` of htmx 2 and plain scripts listen to."""
    PARTIALS = "partials"
    """An unnamed event with an ``<hx-partial>``, which htmx 4 swaps into any element of the page."""


def dialect_of(headers: Mapping[str, str]) -> Dialect:
    """Return the dialect of the client that sent a request with these headers (lower-case names)."""
    return Dialect.PARTIALS if "hx-request-type" in headers else Dialect.NAMED


@dataclass(frozen=True, slots=True)
class SSEEvent:
    """One Server-Sent Event.

    Args:
        data: The payload; each of its lines becomes a ``data`` line, whichever line end it uses.
        event: The event's name; ``None``: unnamed, which browsers dispatch as ``message``.
        id: What the client sends back as ``Last-Event-ID``.
        retry: How long the client shall wait before it connects again, in milliseconds.

    Raises:
        TypeError: A field is of the wrong type.
        ValueError: ``event`` or ``id`` has a line break or NUL in it, or ``retry`` is negative.
    """

    data: str
    event: str | None = None
    id: str | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.data, str):
            raise TypeError(f"data is a string, not {type(self.data).__name__}: yield a dict to send JSON")
        for name, value in (("event", self.event), ("id", self.id)):
            if value is None:
                continue
            if not isinstance(value, str):
                raise TypeError(f"{name} is a string, not {type(value).__name__}: {value!r}")
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"{name} is {value!r}: remove the line break or NUL, which would break the frame")
        if self.retry is not None:
            if not isinstance(self.retry, int) or isinstance(self.retry, bool):
                raise TypeError(f"retry is a whole number of milliseconds, not {self.retry!r}")
            if self.retry < 0:
                raise ValueError(f"retry is {self.retry}: a client cannot wait a negative time")


def encode_event(event: SSEEvent) -> bytes:
    """Return an event as one frame."""
    lines = []
    if event.retry is not None:
        lines.append(f"retry: {event.retry}")
    if event.id is not None:
        lines.append(f"id: {event.id}")
    if event.event is not None:
        lines.append(f"event: {event.event}")
    data = event.data.replace("\r\n", "\n").replace("\r", "\n")
    lines.extend(f"data: {line}" for line in data.split("\n"))
    return ("\n".join(lines) + "\n\n").encode()


def encode_patch(patch: Patch, dialect: Dialect) -> bytes:
    """Return a patch as one frame in a client's dialect."""
    if dialect is Dialect.NAMED:
        return encode_event(SSEEvent(patch.html, event=patch.ref.event_name))
    style = "innerMorph" if patch.placement is Placement.INSIDE else "outerMorph"
    target = html.escape(_selector(patch.ref.target_id))
    return encode_event(SSEEvent(f'<hx-partial hx-target="{target}" hx-swap="{style}">{patch.html}</hx-partial>'))


def with_fields(frames: Sequence[bytes], *, cursor: str | None = None, retry: int | None = None) -> bytes:
    """Join frames; the last one carries ``cursor`` as its id, the first one ``retry`` in milliseconds."""
    parts = list(frames)
    if cursor is not None:
        parts[-1] = b"id: %b\n" % cursor.encode("ascii") + parts[-1]
    if retry is not None:
        parts[0] = b"retry: %d\n" % retry + parts[0]
    return b"".join(parts)


def error_markup(block_name: str, error: BaseException) -> str:
    """Return what stands in a block's place, in debug mode, when it failed to render."""
    return (
        f'<div class="reactive-block-error" data-block="{html.escape(block_name)}">'
        f"<strong>{html.escape(type(error).__name__)}</strong>: {html.escape(str(error))}</div>"
    )


def _selector(dom_id: str) -> str:
    plain = dom_id.isascii() and dom_id.replace("-", "_").isidentifier() and not dom_id.startswith("-")
    if plain:
        return f"#{dom_id}"
    escaped = dom_id.replace("\\", "\\\\").replace('"', '\\"')
    return f'[id="{escaped}"]'
