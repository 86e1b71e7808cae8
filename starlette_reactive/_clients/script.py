"""The package's own script: unnamed events whose first line is a JSON object, and the rest the block's HTML.

The script learns from the object which element is updated, how, and whether only changes of its own tab are the reason.
Heartbeats are events, so that it notices a connection that is dead.

The script keeps the text of each block that is a list of rows, with the places between its parts. An update of such a
block can therefore describe its text by parts of the text before, and names both by their versions. So whatever the
script has done with an update, such as hold it or drop it, it has the whole text of the next one.
"""

from __future__ import annotations

import functools
import json
from typing import ClassVar

from starlette.types import Scope

from .._core.blocks import Patch, Placement
from .._core.rows import SEPARATOR, KeyedText, RowChange
from .._core.sse import SSEEvent, encode_data, encode_event
from .client import HEARTBEAT_EVENT, Client

__all__ = ["ROW_SCRIPT", "SCRIPT", "script_of"]

_PARAMETER = b"script=1"
_ROW_PARAMETER = b"rows=1"


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
        return encode_data(f"{_header(patch.ref.target_id, _swap(patch), is_own=self.own is None)}\n{patch.html}")

    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return a frame that appends HTML to an element."""
        return encode_data(f"{_header(target_id, 'append', is_own=False)}\n{content}")

    def encode_close(self, close_event: str | None, sink: str | None = None, reason: str = "closed") -> bytes:  # noqa: ARG002 - the script knows its sink
        """Return the event that ends the stream, with the reason as its data."""
        return b"" if close_event is None else encode_event(SSEEvent(reason, event=close_event))


class RowScript(Script):
    """The script that takes rows. A parameter of its request asks for them."""

    takes_rows = True

    def __init__(self, own: RowScript | None) -> None:
        super().__init__(own)

    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""
        if not isinstance(patch.html, KeyedText):
            return super().encode(patch)
        return encode_data(f"{self._header(patch, v=patch.html.version)}\n{SEPARATOR.join(patch.html.parts)}")

    def encode_rows(self, patch: Patch, change: RowChange) -> bytes:
        """Return the rows of a patch that differ as one frame."""
        header = self._header(patch, v=change.after, base=change.before, rows=change.layout)
        return encode_data(f"{header}\n{SEPARATOR.join(change.fresh)}")

    def _header(self, patch: Patch, **fields: object) -> str:
        own: dict[str, object] = {"own": True} if self.own is None else {}
        return _json({"id": patch.ref.target_id, "swap": _swap(patch), **own, **fields})


def _swap(patch: Patch) -> str:
    return "inner" if patch.placement is Placement.INSIDE else "outer"


@functools.lru_cache(maxsize=1024)
def _header(target_id: str, swap: str, *, is_own: bool) -> str:
    header: dict[str, object] = {"id": target_id, "swap": swap}
    if is_own:
        header["own"] = True
    return _json(header)


def _json(header: dict[str, object]) -> str:
    return json.dumps(header, separators=(",", ":"))


SCRIPT = Script(own=Script(own=None))
ROW_SCRIPT = RowScript(own=RowScript(own=None))


def script_of(asgi_scope: Scope) -> Script | None:
    """Return the script that makes a request for a stream. ``None`` if something else makes it."""
    query: bytes = asgi_scope.get("query_string", b"")
    fields = query.split(b"&")
    if _PARAMETER not in fields:
        return None
    return ROW_SCRIPT if _ROW_PARAMETER in fields else SCRIPT
