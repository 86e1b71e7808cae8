"""The ids that a stream sends: a cursor and, where they are needed, a renewal of the page's URL and a group's key."""

from __future__ import annotations

import random
from dataclasses import dataclass

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from .._clients import RESTART_EVENT
from .._core.sse import SSEEvent, encode_event, with_fields

__all__ = ["RESTART_PAUSE", "EventId", "first_frame", "restart_frame", "retry_field"]

RESTART_PAUSE = 0.3
"""Seconds after which a browser connects again whose stream restarts."""
_SEPARATOR = "~"  # in no cursor, and safe in a header and in a URL


@dataclass(frozen=True, slots=True)
class EventId:
    """An id that a stream sends, and that the browser sends back when it reconnects.

    Args:
        cursor: What the bus makes of it.
        renewal: What the page's signer makes of it. Empty if there is none.
        key: The digest of the key of those whose renders it stands for. Empty if they have no key.
    """

    cursor: str
    renewal: str = ""
    key: str = ""

    def __str__(self) -> str:
        return _SEPARATOR.join((self.cursor, self.renewal, self.key)).rstrip(_SEPARATOR)

    @classmethod
    def requested(cls, asgi_scope: Scope) -> EventId:
        """Return the id that a request begins at: its header ``Last-Event-ID``, else ``resume``, else ``cursor``."""
        known = Headers(scope=asgi_scope).get("last-event-id") or _parameter(asgi_scope, "resume", "cursor")
        cursor, _, rest = known.partition(_SEPARATOR)
        renewal, _, key = rest.partition(_SEPARATOR)
        return cls(cursor, renewal, key)


def _parameter(asgi_scope: Scope, *names: str) -> str:
    """Return the first of some query parameters that is not empty, else an empty text."""
    query_string: bytes = asgi_scope.get("query_string", b"")
    if not any(name.encode() in query_string for name in names):
        return ""  # parsing the signed page in the query takes longer than all the rest
    query = QueryParams(query_string)
    return next((query[name] for name in names if query.get(name)), "")


def first_frame(event_id: str | None, retry: int | None) -> bytes:
    """Return the frame with the id at which a stream begins, and with the pause in milliseconds before a reconnect.

    Without data it is no event. Browsers keep its id, and show it to scripts with the next event. Without an id, they
    come back as they came.
    """
    return with_fields([b"\n" if event_id is None else b"id: %b\n\n" % event_id.encode("ascii")], retry=retry)


def retry_field(retry: int | None) -> bytes:
    """Return what the next frame begins with, to set the pause in milliseconds before a reconnect."""
    return b"" if retry is None else b"retry: %d\n" % retry


def restart_frame(pause: float, event_id: str | None = None) -> bytes:
    """Return the last frame of a stream whose browser is to connect again soon.

    Args:
        pause: Seconds until then, before jitter. The first frame of the next stream sets another pause.
        event_id: The id to connect with. ``None`` means the last one.
    """
    milliseconds = round(1000 * pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
    return encode_event(SSEEvent("", event=RESTART_EVENT, id=event_id, retry=milliseconds))
