"""Parse event streams as specified in "Server-sent events" of the WHATWG HTML standard.

- Lines end with LF, CR or CRLF, even if a CRLF is split between two chunks.
- A byte order mark at the start is dropped.
- An ``id`` that contains NUL and a ``retry`` that is not all ASCII digits are ignored.
- A block without a ``data`` line is not an event, but its ``id`` and ``retry`` count.
- A block that is incomplete at the end of the stream is discarded.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .._clients import HEARTBEAT_EVENT

__all__ = ["EventParser", "ReceivedEvent", "SSETestResult"]

_HEARTBEATS = ("heartbeat", "keepalive", "keep-alive", "ping")


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One event of a stream.

    Args:
        data: The payload, its lines joined with LF.
        event: The event's name, or ``None`` if it is unnamed; browsers dispatch it as ``message``.
        id: The event's own ``id``, or ``None``.
        retry: The event's own ``retry`` in milliseconds, or ``None``.
    """

    data: str
    event: str | None = None
    id: str | None = None
    retry: int | None = None


@dataclass(frozen=True, slots=True)
class SSETestResult:
    """The result of a request for a stream.

    Args:
        events: The events, in order.
        heartbeats: The number of heartbeats: comments, and the events that the package's script is sent in their place.
        status: The response's status.
        headers: The response's headers; names are case-insensitive.
        last_event_id: The ``Last-Event-ID`` that a browser would send next; empty if there was no ``id``.
        retry: The last ``retry`` in milliseconds, with an event or alone.
        comments: All comments, including heartbeats.
        body: The response's text, if it is not a stream.
    """

    events: list[ReceivedEvent]
    heartbeats: int
    status: int
    headers: Mapping[str, str]
    last_event_id: str = ""
    retry: int | None = None
    comments: tuple[str, ...] = ()
    body: str = ""


@dataclass
class EventParser:
    """Parses a stream in chunks of any size."""

    last_event_id: str = ""
    retry: int | None = None
    comments: list[str] = field(default_factory=list)
    _decode: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    )
    _rest: str = ""
    _after_cr: bool = False
    _data: list[str] = field(default_factory=list)
    _event: str = ""
    _id: str | None = None
    _retry: int | None = None
    _beats: int = 0

    @property
    def heartbeats(self) -> int:
        """The number of heartbeats so far."""
        return self._beats + sum(comment.strip().lower().startswith(_HEARTBEATS) for comment in self.comments)

    def feed(self, chunk: bytes) -> Iterator[ReceivedEvent]:
        """Parse a chunk; yield the events that it completes."""
        for line in self._lines(self._decode.decode(chunk)):
            event = self._take(line)
            if event is not None:
                yield event

    def _lines(self, text: str) -> list[str]:
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        text = self._rest + text
        self._after_cr = text.endswith("\r")
        *lines, self._rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return lines

    def _take(self, line: str) -> ReceivedEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            self.comments.append(value)
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry = self.retry = int(value)
        return None

    def _dispatch(self) -> ReceivedEvent | None:
        event = ReceivedEvent("\n".join(self._data), self._event or None, self._id, self._retry) if self._data else None
        if self._id is not None:
            self.last_event_id = self._id
        self._data, self._event, self._id, self._retry = [], "", None, None
        if event is not None and event.event == HEARTBEAT_EVENT:
            self._beats += 1
            return None
        return event
