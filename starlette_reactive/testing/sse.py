"""From the bytes of an event stream to its events, as the WHATWG HTML standard says in "Server-sent events".

Lines end with LF, CR or CRLF, also where a CRLF arrives in two chunks; a byte order mark at the beginning is dropped;
an ``id`` with NUL in it and a ``retry`` that is not all ASCII digits are ignored; a block without a ``data`` line is no
event, but its ``id`` and ``retry`` count; a block that the stream ends in the middle of is discarded.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["EventParser", "ReceivedEvent", "SSETestResult"]

_HEARTBEATS = ("heartbeat", "keepalive", "keep-alive", "ping")


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One event, as a stream sent it.

    Args:
        data: The payload; its lines are joined with LF.
        event: The event's name; ``None``: unnamed, which browsers dispatch as ``message``.
        id: The ``id`` that came with it; ``None``: it had none of its own.
        retry: The ``retry`` that came with it, in milliseconds.
    """

    data: str
    event: str | None = None
    id: str | None = None
    retry: int | None = None


@dataclass(frozen=True, slots=True)
class SSETestResult:
    """What came of a request for a stream.

    Args:
        events: The events, in order.
        heartbeats: How many heartbeat comments came.
        status: The response's status.
        headers: The response's headers; their names are found in upper and lower case.
        last_event_id: What a browser would send as ``Last-Event-ID`` next; empty where no ``id`` came.
        retry: The last ``retry`` that came, with an event or alone, in milliseconds.
        comments: Every comment, heartbeats included.
        body: The response's text where the status is an error's and the body is no stream.
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
    """Reads a stream in chunks of any size."""

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

    @property
    def heartbeats(self) -> int:
        """How many heartbeat comments came."""
        return sum(comment.strip().lower().startswith(_HEARTBEATS) for comment in self.comments)

    def feed(self, chunk: bytes) -> Iterator[ReceivedEvent]:
        """Read a chunk and yield the events that it completes."""
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
        return event
