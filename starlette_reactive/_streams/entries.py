"""What a feed holds, and what viewers take of it: the newest patch of each block, and the batch of one render."""

from __future__ import annotations

from dataclasses import dataclass, field

from .._clients import Client
from .._core.blocks import BlockRef, Patch
from .._core.rows import KeyedText
from .._core.sse import Uncompressed
from .row_changes import change_of
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
    base: Entry | None = None  # the one before it, of which some rows may differ
    frames: dict[tuple[Client, bool], bytes] = field(default_factory=dict)

    def follow(self, last: Entry | None) -> None:
        """Make another entry its base, if both are lists of rows."""
        if last is not None and last.is_list and self.is_list:
            self.base = last
            last.base = None
            last.frames.clear()

    def frame(self, client: Client, *, rows: bool = False) -> bytes:
        """Return the patch as a frame for a client.

        Args:
            client: The client.
            rows: Whether the client has what was rendered before, so that the rows that differ suffice.
        """
        frame = self.frames.get((client, rows))
        if frame is None:
            change = change_of(self.base.patch, self.patch) if rows and self.base is not None else None
            frame = client.encode(self.patch) if change is None else client.encode_rows(self.patch, change)
            frame = self.frames[client, rows] = frame if self.patch.compresses else Uncompressed(frame)
        return frame

    def is_held_by(self, viewer: Viewer) -> bool:
        """Return whether a viewer was sent this version, and nothing that replaced it."""
        if viewer.held_versions.get(self.patch.ref) == self.version:
            altered_at = viewer.altered_at.get(self.patch.ref)
            return altered_at is None or self.offered <= altered_at
        return viewer.whole_since < self.version <= viewer.sequence

    def follows_for(self, viewer: Viewer) -> bool:
        """Return whether a viewer needs only the rows that differ: its client has what was rendered before it."""
        return self.base is not None and viewer.texts.get(self.base.patch.ref) == self.base.version

    @property
    def is_list(self) -> bool:
        """Whether it is a list of rows."""
        return isinstance(self.patch.html, KeyedText)

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
    encoded: dict[tuple[Client, bool], bytes] = field(default_factory=dict)
    encoded_without_id: dict[tuple[Client, bool], bytes] = field(default_factory=dict)

    def follows_for(self, viewer: Viewer) -> bool:
        """Return whether a viewer needs only the rows that differ of each list, and record that it has them."""
        follows = True
        for entry in self.entries:
            if entry.is_list:
                follows = follows and (entry.base is None or entry.follows_for(viewer))
                viewer.texts[entry.patch.ref] = entry.version
        return follows


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What a viewer is sent of the newest entries.

    Args:
        entries: The entries.
        own: The blocks that only its own changes have caused.
        known: The blocks of which the rows that differ suffice.
    """

    entries: list[Entry]
    own: frozenset[BlockRef]
    known: frozenset[BlockRef] = frozenset()

    def frames(self, client: Client) -> list[bytes]:
        """Return the patches as frames for a client."""
        return [
            entry.frame(self._client_for(entry, client), rows=entry.patch.ref in self.known) for entry in self.entries
        ]

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
