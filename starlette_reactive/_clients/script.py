"""The package's own script: unnamed events whose first line is a JSON object, and the rest the block's HTML.

The script learns from the object which element is updated, how, and whether only changes of its own tab are the reason.
Heartbeats are events, so that it notices a connection that is dead.
"""

from __future__ import annotations

import functools
import json
from typing import ClassVar

from starlette.types import Scope

from .._core.blocks import Patch, Placement
from .._core.sse import SSEEvent, encode_data, encode_event
from .client import HEARTBEAT_EVENT, Client

__all__ = ["SCRIPT", "is_script"]

_PARAMETER = b"script=1"


class Script(Client):
    """The script.

    Args:
        own: What encodes the blocks that only changes of the viewer's own tab have altered. ``None`` for that itself.
    """

    heartbeat: ClassVar[bytes] = encode_event(SSEEvent("", event=HEARTBEAT_EVENT))

    def __init__(self, own: Script | None) -> None:
        self.own = own

    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""
        swap = "inner" if patch.placement is Placement.INSIDE else "outer"
        return encode_data(f"{_header(patch.ref.target_id, swap, is_own=self.own is None)}\n{patch.html}")

    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return a frame that appends HTML to an element."""
        return encode_data(f"{_header(target_id, 'append', is_own=False)}\n{content}")

    def encode_close(self, close_event: str | None, sink: str | None = None, reason: str = "closed") -> bytes:  # noqa: ARG002 - the script knows its sink
        """Return the event that ends the stream, with the reason as its data."""
        return b"" if close_event is None else encode_event(SSEEvent(reason, event=close_event))


@functools.lru_cache(maxsize=1024)
def _header(target_id: str, swap: str, *, is_own: bool) -> str:
    header: dict[str, object] = {"id": target_id, "swap": swap}
    if is_own:
        header["own"] = True
    return json.dumps(header, separators=(",", ":"))


SCRIPT = Script(own=Script(own=None))


def is_script(asgi_scope: Scope) -> bool:
    """Return whether the script makes a request for a stream."""
    query: bytes = asgi_scope.get("query_string", b"")
    return _PARAMETER in query.split(b"&")
