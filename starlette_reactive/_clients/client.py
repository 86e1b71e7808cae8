"""What every client has in common: how it takes a patch, and how its stream ends for good."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .._core.blocks import Patch
from .._core.rows import RowChange
from .._core.sse import HEARTBEAT, SSEEvent, encode_event

__all__ = ["CLOSE_EVENT", "HEARTBEAT_EVENT", "RESTART_EVENT", "Client", "Sink", "css_selector", "may_hold_dialog"]

CLOSE_EVENT = "reactive-close"
"""The event that ends the stream of a page. The page's sink listens for it."""


RESTART_EVENT = "reactive-restart"
"""The last event of a stream whose browser is to connect again soon."""


HEARTBEAT_EVENT = "reactive-beat"
"""The heartbeat of clients that have to notice a dead connection."""


class Client(ABC):
    """One kind of client. There is one instance of each, compared by identity."""

    reconnects_after_end: ClassVar[bool] = True
    """Whether the client reconnects when its stream ends without a closing event."""

    heartbeat: ClassVar[bytes] = HEARTBEAT
    """What keeps an idle connection open."""

    takes_rows: ClassVar[bool] = False
    """Whether the client can be sent only the rows that differ of a list. It then knows each block as it was sent."""

    own: Client | None = None
    """What encodes the patches that only changes of the viewer's own tab have caused. ``None`` if the client does not
    distinguish them; such a client receives its own changes later."""

    @abstractmethod
    def encode(self, patch: Patch) -> bytes:
        """Return a patch as one frame."""

    def encode_rows(self, patch: Patch, change: RowChange) -> bytes:  # noqa: ARG002 - for clients that take rows
        """Return a patch as one frame for a client that has the text before.

        Args:
            patch: The patch.
            change: What differs.
        """
        return self.encode(patch)

    @abstractmethod
    def encode_append(self, target_id: str, content: str) -> bytes:
        """Return HTML as one frame that appends it to the element with an id. What the element has stays."""

    def encode_close(self, close_event: str | None, sink: str | None = None, reason: str = "closed") -> bytes:  # noqa: ARG002 - some clients need them
        """Return the frames that keep the client from reconnecting. Empty where the end of the stream is enough.

        Args:
            close_event: The event's name. ``None`` sends nothing.
            sink: A CSS selector of the connected element, if that element also retries by itself.
            reason: Why the stream ends, in one word, for clients that report it.
        """
        return b"" if close_event is None else encode_event(SSEEvent("close", event=close_event))


@dataclass(frozen=True, slots=True)
class Sink:
    """The element of a page that receives its updates.

    Args:
        url: The live URL.
        origin: The page's mark, by which the end of the stream finds the element.
        blocks: The ids of the elements that updates go to.
        heartbeat: Seconds between heartbeats.
        page: The same for every visit of the page and path.
    """

    url: str
    origin: str
    blocks: Sequence[str] = ()
    heartbeat: float = 15.0
    page: str = ""


def css_selector(dom_id: str) -> str:
    """Return a CSS selector of the element with an id."""
    plain = dom_id.isascii() and dom_id.replace("-", "_").isidentifier() and not dom_id.startswith("-")
    if plain:
        return f"#{dom_id}"
    escaped = dom_id.replace("\\", "\\\\").replace('"', '\\"')
    return f'[id="{escaped}"]'


def may_hold_dialog(patch: Patch) -> bool:
    """Return whether there may be a dialog in a patch."""
    return "<dialog" in patch.html.lower()
