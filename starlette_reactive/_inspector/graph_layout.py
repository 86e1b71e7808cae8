"""The layout of the dependency graph: a column of paths, a column of blocks, and curves between them.

Rows are HTML of one height, so that names can be read, selected and reached with the keyboard at any width. The curves
are two SVG images that stretch between the columns. If there is room, a path is placed at the middle of its blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .._index.graph import DependencyGraph

__all__ = ["ROW", "BlockRow", "Curve", "GraphLayout", "PathRow", "lay_out"]

ROW = 30
"""The height of a row in CSS pixels. The style sheet has the same value."""


@dataclass(frozen=True, slots=True)
class PathRow:
    """A row on the left: a path, with the paths that it is derived from. An empty name is a gap."""

    name: str
    derived_from: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A row on the right: a template, or one of its blocks.

    Args:
        template: The page, or the base layout of several pages.
        block: The name of the block. ``None`` in the row of the template itself.
        scopes: The scopes of the page.
        pages: The pages that have these blocks of a base layout. Empty in the rows of a page.
    """

    template: str
    block: str | None = None
    scopes: Sequence[str] = ()
    pages: Sequence[str] = ()

    @property
    def keys(self) -> list[tuple[str, str]]:
        """The blocks that the row stands for, each with its page."""
        return [] if self.block is None else [(page, self.block) for page in self.pages or (self.template,)]


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve from a path to the row of a block, or from a path to one that is derived from it."""

    d: str
    path: str
    row: int = 0
    derived: str = ""


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """The rows and curves that the page draws."""

    paths: Sequence[PathRow]
    blocks: Sequence[BlockRow]
    curves: Sequence[Curve]
    arcs: Sequence[Curve]

    @property
    def height(self) -> int:
        """The height of both columns, in CSS pixels."""
        return ROW * max(len(self.paths), len(self.blocks), 1)


def lay_out(graph: DependencyGraph, scopes: Mapping[str, Sequence[str]]) -> GraphLayout:
    """Lay out a graph.

    Args:
        graph: The graph.
        scopes: The scopes of each page, by template.
    """
    rows = list(_block_rows(graph, scopes))
    row_of_block = {key: number for number, row in enumerate(rows) for key in row.keys}
    ends: dict[str, list[int]] = {}
    for path, template, block in graph.reads:
        if path:
            ends.setdefault(path, []).append(row_of_block[template, block])
    sources: dict[str, list[str]] = {}
    for source, derived in graph.derived:
        sources.setdefault(derived, []).append(source)
        ends.setdefault(source, [])
        ends.setdefault(derived, [])
    paths = _path_rows(ends, sources, len(rows))
    row_of_path = {row.name: number for number, row in enumerate(paths) if row.name}
    curves = [Curve(_curve(row_of_path[path], row), path, row) for path in ends for row in dict.fromkeys(ends[path])]
    arcs = [Curve(_arc(row_of_path[one], row_of_path[other]), one, derived=other) for one, other in graph.derived]
    return GraphLayout(paths, rows, curves, arcs)


def _block_rows(graph: DependencyGraph, scopes: Mapping[str, Sequence[str]]) -> Iterable[BlockRow]:
    blocks: dict[str, dict[str, None]] = {}
    for _, template, block in graph.reads:
        blocks.setdefault(template, {})[block] = None
    layouts = _base_layouts(graph)
    in_layouts = {(page, name) for (_, pages), names in layouts.items() for page in pages for name in names}
    for template, names in blocks.items():
        own = [name for name in names if (template, name) not in in_layouts]
        if own:
            yield BlockRow(template, scopes=scopes.get(template, ()))
        for name in own:
            yield BlockRow(template, name)
    for (template, pages), shared in layouts.items():
        yield BlockRow(template, pages=pages)
        for name in shared:
            yield BlockRow(template, name, pages=pages)


def _base_layouts(graph: DependencyGraph) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Return the blocks that several pages have from one template and that read the same, by template and pages."""
    paths: dict[tuple[str, str], list[str]] = {}
    for path, page, block in graph.reads:
        paths.setdefault((page, block), []).append(path)
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (page, block), read in paths.items():
        template = graph.origins.get((page, block), page)
        if template != page:
            alike.setdefault((template, block, tuple(sorted(read))), []).append(page)
    layouts: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (template, block, _), pages in alike.items():
        if len(pages) > 1:
            layouts.setdefault((template, tuple(pages)), []).append(block)
    return layouts


def _path_rows(ends: Mapping[str, list[int]], sources: Mapping[str, list[str]], room: int) -> list[PathRow]:
    middles = {path: _middle(path, ends) for path in ends}
    rows: list[PathRow] = []
    left = len(middles)
    for path in sorted(middles, key=lambda each: (middles[each], each)):
        last = room - left  # the last row that leaves room for the remaining paths
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
