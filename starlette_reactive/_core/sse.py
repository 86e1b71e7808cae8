"""Server-Sent Events as bytes.

Frames follow the event stream format of the WHATWG HTML standard, section "Server-sent events": fields on lines that
end with LF, and an empty line at the end. CRLF is never written, because htmx 4 reads a CRLF that is split across two
chunks as two line ends. Browsers do not dispatch a frame without a ``data`` line, so an empty block is sent as an empty
``data`` line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["HEARTBEAT", "SSEEvent", "Uncompressed", "encode_data", "encode_event", "with_fields"]

HEARTBEAT = b": heartbeat\n\n"
"""A comment that keeps proxies from closing an idle connection."""


class Uncompressed(bytes):
    """Frames that are not compressed, because their length would then tell something about what they hold."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SSEEvent:
    """One Server-Sent Event.

    Args:
        data: The payload. Each of its lines becomes a ``data`` line, whichever line end it uses.
        event: The event's name. ``None`` means unnamed, which browsers dispatch as ``message``.
        id: What the client sends back as ``Last-Event-ID``.
        retry: Milliseconds that the client waits before it reconnects.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: ``event`` or ``id`` contains a line break or NUL, or ``retry`` is negative.
    """

    data: str
    event: str | None = None
    id: str | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.data, str):
            raise TypeError(f"data must be a string, not {type(self.data).__name__}: yield a dict to send JSON")
        for name, value in (("event", self.event), ("id", self.id)):
            if value is None:
                continue
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a string, not {type(value).__name__}: {value!r}")
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"{name} is {value!r}: remove the line break or NUL, which would break the frame")
        if self.retry is not None:
            if not isinstance(self.retry, int) or isinstance(self.retry, bool):
                raise TypeError(f"retry must be a whole number of milliseconds, not {self.retry!r}")
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
    return "".join(f"{line}\n" for line in lines).encode() + encode_data(event.data)


def encode_data(data: str) -> bytes:
    """Return an event without a name as one frame."""
    if "\r" in data:
        data = data.replace("\r\n", "\n").replace("\r", "\n")
    return ("data: " + data.replace("\n", "\ndata: ") + "\n\n").encode()


def with_fields(frames: Sequence[bytes], *, event_id: str | None = None, retry: int | None = None) -> bytes:
    """Join frames. The last one carries ``event_id`` as its id, the first one ``retry`` in milliseconds.

    If one of them is :class:`Uncompressed`, all are.
    """
    parts = list(frames)
    is_uncompressed = any(isinstance(part, Uncompressed) for part in parts)
    if event_id is not None:
        parts[-1] = b"id: %b\n" % event_id.encode("ascii") + parts[-1]
    if retry is not None:
        parts[0] = b"retry: %d\n" % retry + parts[0]
    joined = b"".join(parts)
    return Uncompressed(joined) if is_uncompressed else joined
