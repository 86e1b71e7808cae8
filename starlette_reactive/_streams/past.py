"""Where a group stood in the change log before, for streams that must begin again at an earlier position."""

from __future__ import annotations

import time

__all__ = ["Past"]

_STEP = 30.0  # seconds between two remembered positions, so an earlier one costs only what changed in that time


class Past:
    """Two earlier positions of a group.

    Args:
        position: The position that the group begins at.
    """

    __slots__ = ("_earlier", "_later", "moved_at")

    def __init__(self, position: int) -> None:
        self.moved_at: float = time.monotonic()
        """When the group began, or last moved on."""
        self._earlier = self._later = (self.moved_at, position)

    def note(self, position: int) -> None:
        """Record the position before the group moves on."""
        self.moved_at = time.monotonic()
        if self.moved_at - self._later[0] >= _STEP:
            self._earlier, self._later = self._later, (self.moved_at, position)

    def position_at(self, moment: float) -> int | None:
        """Return a position before everything that was read since a moment. ``None`` if that is too long ago."""
        for since, position in (self._later, self._earlier):
            if moment >= since:
                return position
        return None
