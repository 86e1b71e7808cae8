"""How the viewers of a group are served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._bus.hub import Hub
from .._core.blocks import BlockRef
from .._index.registry import Registry
from .compression import Segments
from .rendering import RenderBlocks

__all__ = ["GroupOptions"]


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """How the viewers of a scope are served.

    Args:
        hub: The bus.
        scope: The scope. Each viewer may have further ones.
        registry: Which blocks show what.
        render: Renders blocks for changed paths.
        heartbeat_interval: Seconds between heartbeats. 0 sends none.
        send_timeout: Seconds after which a stalled stream is closed. ``None`` means never.
        debug: Whether a failing block shows its error in the page.
        authorises: Whether a viewer may be served only after a render has succeeded, which shows that the application
            admits it.
        own_origin: The origin of changes that were made while the group's page was updated. They are not shown to it.
        renewal: Returns what an id adds to its cursor, the same for all viewers. ``None`` adds nothing.
        alone: Whether there is one viewer only.
        key: The digest of the key that all viewers have. Empty if they need none.
        browser: The session of its only viewer's browser. Groups of one browser are woken together. ``None`` if the
            session is not known, or the group is shared.
        follows: Whether its viewer has another place in a group that it shares, which counts the viewer.
        personal: The personal blocks of the viewers, which a group of each viewer's own renders. ``None`` if there are
            none. This group wakes those groups for what concerns them.
        tracked: The blocks that the first run renders to find out what the page reads from a database, in template
            order. ``None`` if the page is not tracked.
        segments: What the viewers are sent, compressed. ``None`` if their streams are not compressed.
        uncompressed: The names of blocks that are sent as they are, even in a compressed stream.
    """

    hub: Hub
    scope: str
    registry: Registry
    render: RenderBlocks
    heartbeat_interval: float
    send_timeout: float | None
    debug: bool
    authorises: bool = False
    own_origin: str | None = None
    renewal: Callable[[], str] | None = None
    alone: bool = False
    key: str = ""
    browser: str | None = None
    follows: bool = False
    personal: Registry | None = None
    tracked: Sequence[BlockRef] | None = None
    segments: Segments | None = None
    uncompressed: frozenset[str] = frozenset()
