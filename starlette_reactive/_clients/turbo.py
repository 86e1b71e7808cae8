"""Turbo 8: unnamed events that hold ``<turbo-stream>`` elements, received by a ``<turbo-stream-source>``."""

from __future__ import annotations

import html

from .._core.blocks import Patch, Placement
from .._core.sse import SSEEvent, encode_event
from .client import Client, Sink, may_hold_dialog

__all__ = ["SINK_ID", "TURBO", "sink_attributes"]

SINK_ID = "reactive-live"
"""The id of the ``<turbo-stream-source>`` of a page."""


class Turbo(Client):
    """Turbo, whose ``EventSource`` reconnects until its element is removed."""

    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame.

        A morph takes the attribute ``open`` from a modal dialog, which stays modal without being shown.
        """
        action = "update" if patch.placement is Placement.INSIDE else "replace"
        method = "" if may_hold_dialog(patch) else ' method="morph"'
        opening = f'<turbo-stream action="{action}"{method} target="{html.escape(patch.ref.target_id)}">'
        return encode_event(SSEEvent(f"{opening}<template>{patch.html}</template></turbo-stream>"))

    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return a frame that appends HTML to an element. Turbo removes children of it that have the same ids."""
        opening = f'<turbo-stream action="append" target="{html.escape(target_id)}"><template>'
        return encode_event(SSEEvent(f"{opening}{content}</template></turbo-stream>"))

    def encode_close(self, close_event: str | None, sink: str | None = None, reason: str = "closed") -> bytes:  # noqa: ARG002 - it has one sink
        """Return the frame that removes the page's ``<turbo-stream-source>``."""
        return encode_event(SSEEvent(f'<turbo-stream action="remove" target="{SINK_ID}"></turbo-stream>'))


TURBO = Turbo()


def sink_attributes(sink: Sink) -> str:
    """Return the attributes of a page's sink."""
    return f'id="{SINK_ID}" src="{html.escape(sink.url)}"'
