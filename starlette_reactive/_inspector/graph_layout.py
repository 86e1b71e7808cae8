"""The picture of what shows what: two columns of rows of one height, and curves between them.

Rows are HTML, so that names can be read, selected and reached with the keyboard at any width. The curves are two SVG
images that are stretched between the columns. A path stands, where there is room, in the middle of the blocks that it
leads to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .._index.wiring import Wiring

__all__ = ["ROW", "BlockRow", "Curve", "PathRow", "Picture", "draw"]

ROW = 30
"""The height of a row, in CSS pixels; the style sheet names it as well."""


@dataclass(frozen=True, slots=True)
class PathRow:
    """A row at the left: a path, with what it is derived from; an empty name is a gap."""

    name: str
    derived_from: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A row at the right: a page's name, or with ``block`` one of its blocks."""

    template: str
    block: str | None = None
    scopes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A line from a path to a block, or from a path to one that is derived from it."""

    d: str
    path: str
    template: str = ""
    block: str = ""
    derived: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """What the page draws."""

    paths: Sequence[PathRow]
    blocks: Sequence[BlockRow]
    curves: Sequence[Curve]
    arcs: Sequence[Curve]

    @property
    def height(self) -> int:
        """The height of both columns, in CSS pixels."""
        return ROW * max(len(self.paths), len(self.blocks), 1)


def draw(wiring: Wiring, scopes: Mapping[str, Sequence[str]]) -> Picture:
    """Return the picture of a wiring.

    Args:
        wiring: What shows what.
        scopes: The scopes of each page, by template.
    """
    rows = list(_block_rows(wiring, scopes))
    at = {(row.template, row.block): number for number, row in enumerate(rows) if row.block is not None}
    ends: dict[str, list[int]] = {}
    for path, template, block in wiring.reads:
        if path:
            ends.setdefault(path, []).append(at[template, block])
    sources: dict[str, list[str]] = {}
    for source, derived in wiring.derived:
        sources.setdefault(derived, []).append(source)
        ends.setdefault(source, [])
        ends.setdefault(derived, [])
    paths = _path_rows(ends, sources, len(rows))
    place = {row.name: number for number, row in enumerate(paths) if row.name}
    curves = [
        Curve(_curve(place[path], at[template, block]), path, template, block)
        for path, template, block in wiring.reads
        if path
    ]
    arcs = [Curve(_arc(place[one], place[other]), one, derived=other) for one, other in wiring.derived]
    return Picture(paths, rows, curves, arcs)


def _block_rows(wiring: Wiring, scopes: Mapping[str, Sequence[str]]) -> Iterable[BlockRow]:
    blocks: dict[str, dict[str, None]] = {}
    for _, template, block in wiring.reads:
        blocks.setdefault(template, {})[block] = None
    for template, names in blocks.items():
        yield BlockRow(template, scopes=scopes.get(template, ()))
        for name in names:
            yield BlockRow(template, name)


def _path_rows(ends: Mapping[str, list[int]], sources: Mapping[str, list[str]], room: int) -> list[PathRow]:
    middles = {path: _middle(path, ends) for path in ends}
    rows: list[PathRow] = []
    left = len(middles)
    for path in sorted(middles, key=lambda each: (middles[each], each)):
        last = room - left  # the row that leaves enough of them for the paths to come
        while len(rows) < min(round(middles[path]), last):
            rows.append(PathRow(""))
        rows.append(PathRow(path, sources.get(path, ())))
        left -= 1
    return rows


def _middle(path: str, ends: Mapping[str, list[int]]) -> float:
    found = ends[path] or [0]
    return sum(found) / len(found)


def _center(row: int) -> int:
    return row * ROW + ROW // 2


def _curve(start: int, end: int) -> str:
    return f"M0,{_center(start)} C50,{_center(start)} 50,{_center(end)} 100,{_center(end)}"


def _arc(start: int, end: int) -> str:
    return f"M100,{_center(start)} C0,{_center(start)} 0,{_center(end)} 100,{_center(end)}"
