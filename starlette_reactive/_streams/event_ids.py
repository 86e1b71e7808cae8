"""The ids that a stream sends: a cursor and, where a page's live URL expires, a renewal of that URL."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from .._core.sse import SSEEvent, encode_event

__all__ = ["EventId", "first_frame"]

_SEPARATOR = "~"  # in no cursor, and safe in a header and in a URL


@dataclass(frozen=True, slots=True)
class EventId:
    """An id that a stream sends, and that the browser sends back when it reconnects.

    Args:
        cursor: What the bus makes of it.
        renewal: What the page's signer makes of it. Empty if there is none.
    """

    cursor: str
    renewal: str = ""

    def __str__(self) -> str:
        return f"{self.cursor}{_SEPARATOR}{self.renewal}" if self.renewal else self.cursor

    @classmethod
    def requested(cls, asgi_scope: Scope) -> EventId:
        """Return the id that a request begins at: its header ``Last-Event-ID``, else ``resume``, else ``cursor``."""
        query = QueryParams(asgi_scope.get("query_string", b""))
        known = (Headers(scope=asgi_scope).get("last-event-id"), query.get("resume"), query.get("cursor"))
        cursor, _, renewal = next((each for each in known if each), "").partition(_SEPARATOR)
        return cls(cursor, renewal)


def first_frame(asgi_scope: Scope, event_id: str) -> bytes:
    """Return the frame with the id at which a stream begins.

    Without data it is no event, and browsers keep its id to themselves. That is not enough for the script for htmx 2,
    which reads ids from events: it asks for one with the parameter ``resumable``.
    """
    if "resumable" in QueryParams(asgi_scope.get("query_string", b"")):
        return encode_event(SSEEvent("", event="reactive-id", id=event_id))
    return b"id: %b\n\n" % event_id.encode("ascii")
