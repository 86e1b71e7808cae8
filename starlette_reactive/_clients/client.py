"""What every client has in common: how it takes a patch, and how its stream ends for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from .._core.blocks import Patch
from .._core.sse import SSEEvent, encode_event

__all__ = ["CLOSE_EVENT", "RESTART_EVENT", "Client", "css_selector"]

CLOSE_EVENT = "reactive-close"
"""The event that ends the stream of a page. The page's sink listens for it."""


RESTART_EVENT = "reactive-restart"
"""The last event of a stream whose browser is to connect again soon."""


class Client(ABC):
    """One kind of client. There is one instance of each, compared by identity."""

    reconnects_after_end: ClassVar[bool] = True
    """Whether the client reconnects when its stream ends without a closing event."""

    @abstractmethod
    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""

    @abstractmethod
    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return HTML as one frame that appends it to the element with an id. What the element has stays."""

    def encode_close(self, close_event: str | None, sink: str | None = None) -> bytes:  # noqa: ARG002 - some clients need the sink
        """Return the frames that keep the client from reconnecting. Empty where the end of the stream is enough.

        Args:
            close_event: The event's name. ``None`` sends nothing.
            sink: A CSS selector of the connected element, if that element also retries by itself.
        """
        return b"" if close_event is None else encode_event(SSEEvent("close", event=close_event))


def css_selector(dom_id: str) -> str:
    """Return a CSS selector of the element with an id."""
    plain = dom_id.isascii() and dom_id.replace("-", "_").isidentifier() and not dom_id.startswith("-")
    if plain:
        return f"#{dom_id}"
    escaped = dom_id.replace("\\", "\\\\").replace('"', '\\"')
    return f'[id="{escaped}"]'
