"""The data of the application under test, in a file that survives a killed server."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

SCOPES = [f"board-{number}" for number in range(5)]
PATHS = [f"p{number}" for number in range(20)]
ROW_PATHS = tuple(PATHS[3:18])
"""What the rows of the list show."""

_ROW = struct.Struct(f"<{len(PATHS)}q")


class State:
    """A number for each path of each scope."""

    def __init__(self, path: str | Path) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _ROW.size * len(SCOPES))

    @staticmethod
    def create(path: Path) -> State:
        path.write_bytes(bytes(_ROW.size * len(SCOPES)))
        return State(path)

    def read(self, scope: str) -> tuple[int, ...]:
        """Return the values of a scope, in the order of ``PATHS``."""
        return _ROW.unpack_from(self._memory, _ROW.size * SCOPES.index(scope))

    def write(self, scope: str, values: Mapping[str, int]) -> None:
        """Set some values of a scope at once."""
        row = list(self.read(scope))
        for path, value in values.items():
            row[PATHS.index(path)] = value
        _ROW.pack_into(self._memory, _ROW.size * SCOPES.index(scope), *row)


def rows_of(values: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Return the rows of the list: a new value may add, remove or move its row, or only change what it shows."""
    shown: Iterable[str] = (path for path in ROW_PATHS if values[path] % 5)
    return tuple((path, values[path]) for path in sorted(shown, key=lambda path: values[path] % 3))
