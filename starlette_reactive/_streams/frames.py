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

from .._core.blocks import Patch, Placement

__all__ = [
    "CLOSE_EVENT",
    "HEARTBEAT",
    "SINK_ID",
    "Dialect",
    "SSEEvent",
    "dialect_of",
    "encode_close",
    "encode_event",
    "encode_patch",
    "error_markup",
    "page_dialect_of",
    "partial",
    "with_fields",
]

HEARTBEAT = b": heartbeat\n\n"


class Dialect(Enum):
    """What a client understands as an update of a block."""

    NAMED = "named"
    """An event named after the block, with the bare HTML: what ``sse-swap`` of htmx 2 and plain scripts listen to."""
    PARTIALS = "partials"
    """An unnamed event with an ``<hx-partial>``, which htmx 4 swaps into any element of the page."""
    PARTIALS_2 = "partials-2"
    """The same for htmx 2.0.11 and later, which cannot morph the element itself."""
    DATASTAR = "datastar"
    """The event ``datastar-patch-elements``."""
    TURBO = "turbo"
    """An unnamed event with a ``<turbo-stream>``."""


CLOSE_EVENT = "reactive-close"
"""The event that ends the stream of a page; the page's sink listens to it."""
SINK_ID = "reactive-live"
"""The id of the element that a Turbo page receives its stream by."""


def dialect_of(headers: Mapping[str, str]) -> Dialect:
    """Return the dialect of the client that sent a request with these headers (lower-case names)."""
    return Dialect.PARTIALS if "hx-request-type" in headers else Dialect.NAMED


def page_dialect_of(headers: Mapping[str, str]) -> Dialect:
    """Return the dialect for a page whose sink takes partials."""
    return Dialect.PARTIALS if "hx-request-type" in headers else Dialect.PARTIALS_2


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
    return _ENCODERS[dialect](patch, patch.placement is Placement.INSIDE)


def encode_close(dialect: Dialect, close_event: str | None, sink: str | None = None) -> bytes:
    """Return what tells a client not to come back; empty where a clean end does.

    Args:
        dialect: The client's dialect.
        close_event: The event's name; ``None``: the client is not told.
        sink: A CSS selector of the element that is connected, if it also tries again by itself, as a page's sink does
            under htmx 4; it is removed.
    """
    if dialect is Dialect.TURBO:
        return encode_event(SSEEvent(f'<turbo-stream action="remove" target="{SINK_ID}"></turbo-stream>'))
    if close_event is None or dialect is Dialect.DATASTAR:
        return b""
    closing = encode_event(SSEEvent("close", event=close_event))
    if dialect is not Dialect.PARTIALS or sink is None:
        return closing
    removal = f'<hx-partial hx-target="{html.escape(sink)}" hx-swap="delete"></hx-partial>'
    return encode_event(SSEEvent(removal)) + closing


def partial(target_id: str, content: str, style: str) -> str:
    """Return an ``<hx-partial>`` that swaps ``content`` into the element ``target_id``."""
    target = html.escape(_selector(target_id))
    return f'<hx-partial hx-target="{target}" hx-swap="{style}">{content}</hx-partial>'


def _named(patch: Patch, inside: bool) -> bytes:  # noqa: ARG001 - one signature for all dialects
    return encode_event(SSEEvent(patch.html, event=patch.ref.event_name))


def _partials(patch: Patch, inside: bool) -> bytes:
    return encode_event(SSEEvent(partial(patch.ref.target_id, patch.html, "innerMorph" if inside else "outerMorph")))


def _partials_2(patch: Patch, inside: bool) -> bytes:
    # htmx 2 takes innerMorph for innerHTML, and outerMorph too, which would nest the element in itself.
    return encode_event(SSEEvent(partial(patch.ref.target_id, patch.html, "innerMorph" if inside else "outerHTML")))


def _datastar(patch: Patch, inside: bool) -> bytes:
    lines = patch.html.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data = [f"selector {_selector(patch.ref.target_id)}", f"mode {'inner' if inside else 'outer'}"]
    data += [f"elements {line}" for line in lines]
    return encode_event(SSEEvent("\n".join(data), event="datastar-patch-elements"))


def _turbo(patch: Patch, inside: bool) -> bytes:
    action, target = "update" if inside else "replace", html.escape(patch.ref.target_id)
    return encode_event(
        SSEEvent(
            f'<turbo-stream action="{action}" method="morph" target="{target}">'
            f"<template>{patch.html}</template></turbo-stream>"
        )
    )


_ENCODERS = {
    Dialect.NAMED: _named,
    Dialect.PARTIALS: _partials,
    Dialect.PARTIALS_2: _partials_2,
    Dialect.DATASTAR: _datastar,
    Dialect.TURBO: _turbo,
}


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
