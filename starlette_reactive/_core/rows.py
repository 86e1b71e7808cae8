"""Blocks that are lists of rows: their HTML with the places between the rows, and what differs between two renders.

The HTML of such a block is a text with *parts*: what precedes the rows, each row, and what follows them. A change
describes a text by the parts of an earlier one. It is exact whatever the rows are; ids only decide whether the rows are
a list whose elements can be found in a page.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

__all__ = ["SEPARATOR", "DuplicateIdError", "KeyedText", "RowChange", "changed_rows", "keyed_text"]

SEPARATOR: Final = "\x1e"
"""Separates parts where they are sent. A text that contains it has no parts."""
_ROW_ID: Final = re.compile(
    r"""(?:\s|<!--.*?-->)*+<[a-z][^\s/>]*
    (?>[\s/]+(?!id[\s=])[^\s/>=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*?
    [\s/]+id\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class DuplicateIdError(Exception):
    """Two rows of a block have the same id."""


class KeyedText(str):
    """The HTML of a block that is a list of rows.

    Attributes:
        parts: What precedes the rows, each row, and what follows them.
        version: Identifies this text for clients that have received it.
    """

    parts: tuple[str, ...]
    version: str

    @cached_property
    def ids(self) -> tuple[str, ...] | None:
        """The ids of the rows. ``None`` if a row does not begin with an element that has one of its own."""
        return _ids(self.parts[1:-1])


@dataclass(frozen=True, slots=True)
class RowChange:
    """A keyed text, described by an earlier one.

    Args:
        before: The version of the earlier text.
        after: The version of the text.
        layout: The parts of the text in order: a pair stands for parts of the earlier text, by the number of the first
            one and their count, and a number for so many of ``fresh``.
        fresh: The parts that the earlier text does not have.
    """

    before: str
    after: str
    layout: tuple[tuple[int, int] | int, ...]
    fresh: tuple[str, ...]


def keyed_text(text: str, mark: str) -> str:
    """Return a text without marks, as a :class:`KeyedText` if there are any.

    Args:
        text: The text, with a mark before each row and after the last one.
        mark: The mark.
    """
    if mark not in text:
        return text
    first, *rows, last = text.split(mark)
    parts = [first]
    for row in rows:
        if row and not row.isspace():
            parts.append(row)
        else:
            parts[-1] += row
    parts.append(last)
    keyed = KeyedText("".join(parts))
    if SEPARATOR in keyed:
        return str(keyed)
    keyed.parts, keyed.version = tuple(parts), secrets.token_hex(4)
    return keyed


def changed_rows(before: KeyedText, after: KeyedText) -> RowChange | None:
    """Return how to make one text of another. ``None`` if the whole text is better, or has rows without ids.

    Raises:
        DuplicateIdError: Two rows of the later text have the same id.
    """
    old, new = before.parts, after.parts
    start = _common(old, new)
    end = _common(old[: start - 1 : -1] if start else old[::-1], new[: start - 1 : -1] if start else new[::-1])
    places = {part: number for number, part in enumerate(old[start : len(old) - end], start)}
    middle = [places.get(part) for part in new[start : len(new) - end]]
    origins = [*range(start), *middle, *range(len(old) - end, len(old))]
    fresh = tuple(part for part, origin in zip(new, origins, strict=True) if origin is None)
    if 2 * sum(map(len, fresh)) > len(after) or not _take_ids(before, after, origins):
        return None
    return RowChange(before.version, after.version, tuple(_layout(origins)), fresh)


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many parts at the beginning are equal."""
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _layout(origins: Sequence[int | None]) -> Iterator[tuple[int, int] | int]:
    at = 0
    while at < len(origins):
        first, count = origins[at], 1
        while at + count < len(origins) and origins[at + count] == (None if first is None else first + count):
            count += 1
        yield count if first is None else (first, count)
        at += count


def _take_ids(before: KeyedText, after: KeyedText, origins: Sequence[int | None]) -> bool:
    """Set the ids of the rows of a text from those of an earlier one. Return whether all rows have one."""
    known = before.ids
    if known is None:
        return False
    found = []
    for part, origin in zip(after.parts[1:-1], origins[1:-1], strict=True):
        is_row = origin is not None and 0 < origin <= len(known)
        dom_id = known[origin - 1] if is_row and origin is not None else _id_of(part)
        if dom_id is None:
            return False
        found.append(dom_id)
    if len(set(found)) < len(found):
        raise DuplicateIdError(next(each for number, each in enumerate(found) if each in found[:number]))
    after.ids = tuple(found)
    return True


def _ids(rows: Sequence[str]) -> tuple[str, ...] | None:
    found = [dom_id for row in rows if (dom_id := _id_of(row)) is not None]
    return tuple(found) if len(set(found)) == len(rows) else None


def _id_of(row: str) -> str | None:
    """Return the id of the element that a row begins with."""
    match = _ROW_ID.match(row)
    dom_id = html.unescape(match[match.lastindex or 1]) if match is not None else ""
    return dom_id or None
