"""Datastar 1.0: the event ``datastar-patch-elements``, with a selector, a mode and the elements."""

from __future__ import annotations

import html
import json

from .._core.blocks import Patch, Placement
from .._core.sse import SSEEvent, encode_event
from .client import Client, Sink, css_selector

__all__ = ["DATASTAR", "sink_attributes"]


class Datastar(Client):
    """Datastar, for which a stream that ends cleanly is over."""

    reconnects_after_end = False

    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""
        mode = "inner" if patch.placement is Placement.INSIDE else "outer"
        return _patch_elements(patch.ref.target_id, mode, patch.html)

    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return a frame that appends HTML to an element."""
        return _patch_elements(target_id, "append", content)

    def encode_close(self, close_event: str | None, sink: str | None = None, reason: str = "closed") -> bytes:  # noqa: ARG002 - the end suffices
        """Return nothing: the end of the stream is enough."""
        return b""


def _patch_elements(target_id: str, mode: str, content: str) -> bytes:
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data = [f"selector {css_selector(target_id)}", f"mode {mode}", *(f"elements {line}" for line in lines)]
    return encode_event(SSEEvent("\n".join(data), event="datastar-patch-elements"))


DATASTAR = Datastar()


def sink_attributes(sink: Sink) -> str:
    """Return the attributes of a page's sink."""
    return f'data-init="@get({html.escape(_javascript_string(sink.url), quote=False)})"'


def _javascript_string(text: str) -> str:
    """Return a JavaScript string literal in single quotes, without any other quote."""
    body = json.dumps(text)[1:-1].replace('\\"', "\\u0022").replace("'", "\\u0027")
    return f"'{body}'"
