"""What the live script keeps of a list of rows, so that an update need only bring the rows that differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SEPARATOR = "\x1e"


@dataclass(frozen=True, slots=True)
class RowText:
    """The HTML of a list.

    Args:
        version: What the server calls it.
        parts: What precedes the rows, each row, and what follows them.
    """

    version: str
    parts: tuple[str, ...]

    @staticmethod
    def received(header: Mapping[str, Any], body: str, last: RowText | None) -> RowText:
        """Return the list that an update brings.

        Args:
            header: The first line of the update.
            body: The parts that are new.
            last: The list before, if there was one.
        """
        fresh = body.split(_SEPARATOR)
        if "rows" not in header:
            return RowText(header["v"], tuple(fresh))
        assert last is not None
        assert last.version == header["base"], f"rows of {header['base']} are sent to a tab that has {last.version}"
        new, parts = iter(fresh), list[str]()
        for piece in header["rows"]:
            if isinstance(piece, int):
                parts += [next(new) for _ in range(piece)]
            else:
                first, count = piece
                assert first + count <= len(last.parts)
                parts += last.parts[first : first + count]
        return RowText(header["v"], tuple(parts))
