"""What a feed holds, and what viewers take of it: the newest patch of each block, and the batch of one render."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._clients import Client
from .._core.blocks import BlockRef, Patch
from .._core.sse import Uncompressed
from .viewer import Viewer

__all__ = ["Batch", "CatchUp", "Entry", "Taken"]


@dataclass(slots=True)
class Entry:
    """The newest patch of a block."""

    patch: Patch
    version: int
    position: int  # the feed's when it was rendered
    offered: int  # the sequence in which it was rendered last, perhaps the same again
    current: bool = True
    frames: dict[Client, bytes] = field(default_factory=dict)

    def frame(self, client: Client) -> bytes:
        """Return the patch as a frame for a client."""
        frame = self.frames.get(client)
        if frame is None:
            frame = client.encode(self.patch)
            frame = self.frames[client] = frame if self.patch.compresses else Uncompressed(frame)
        return frame

    def is_held_by(self, viewer: Viewer) -> bool:
        """Return whether a viewer was sent this version, and nothing that replaced it."""
        if viewer.held_versions.get(self.patch.ref) == self.version:
            altered_at = viewer.altered_at.get(self.patch.ref)
            return altered_at is None or self.offered <= altered_at
        return viewer.whole_since < self.version <= viewer.sequence

    def was_sent_as_own(self, viewer: Viewer) -> bool:
        """Return whether a viewer was sent this version as its own since it was last caught up."""
        return viewer.sent_own.get(self.patch.ref) == self.version


@dataclass(slots=True)
class Batch:
    """What one render has made for the viewers."""

    start: int  # the position up to which nothing was owed before it
    end: int  # the position after it
    whole: bool  # it is for every viewer except those of its origins, and nothing is owed after it
    origins: frozenset[str]  # whose viewers made some of the changes
    entries: list[Entry]
    oldest_repeated: int  # the lowest version among the blocks that came out the same
    encoded: dict[Client, bytes] = field(default_factory=dict)
    encoded_without_id: dict[Client, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What a viewer is sent of the newest entries, and which of them only its own changes have caused."""

    entries: list[Entry]
    own: frozenset[BlockRef]

    def frames(self, client: Client) -> list[bytes]:
        """Return the patches as frames for a client."""
        return [entry.frame(self._client_for(entry, client)) for entry in self.entries]

    def _client_for(self, entry: Entry, client: Client) -> Client:
        return client.own if client.own is not None and entry.patch.ref in self.own else client


@dataclass(frozen=True, slots=True)
class Taken:
    """What brings a viewer up to date, for a caller that sends other blocks too.

    Args:
        frames: The frames, without an id.
        blocks: The blocks that they show.
        since: A position in the change log before anything that was read for them.
    """

    frames: list[bytes]
    blocks: list[BlockRef]
    since: int
