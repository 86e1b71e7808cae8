"""The dependency graph: the paths that the blocks of each page show, as Mermaid, Graphviz or HTML."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .registry import Registry

__all__ = ["DependencyGraph", "build_graph", "to_dot", "to_html", "to_mermaid"]


@dataclass(frozen=True, slots=True)
class DependencyGraph:
    """The paths that blocks show, and the paths that are derived from others.

    Args:
        reads: Each path with each block that shows it, as (path, template, block), in template order. A block that
            shows no path has the path ``""``.
        derived: Each source with each path derived from it.
        origins: The template that defines each block, by (template, block).
    """

    reads: Sequence[tuple[str, str, str]]
    derived: Sequence[tuple[str, str]]
    origins: Mapping[tuple[str, str], str] = field(default_factory=dict)


def build_graph(registries: Iterable[Registry]) -> DependencyGraph:
    """Return the graph of registered blocks."""
    reads: dict[tuple[str, str, str], None] = {}
    derived: set[tuple[str, str]] = set()
    origins: dict[tuple[str, str], str] = {}
    for registry in registries:
        for path, sources in registry.derivations.sources.items():
            derived.update((source, path) for source in sources)
        for ref in registry.blocks():
            origins[ref.key] = registry.reads(ref).template
        for template, block in dict.fromkeys(ref.key for ref in registry.blocks()):
            for path in sorted(registry.dependencies(template, block)):
                reads[path, template, block] = None
            if not registry.dependencies(template, block):
                reads["", template, block] = None
    return DependencyGraph(tuple(reads), tuple(sorted(derived)), origins)


def _numbers(names: Iterable[object], letter: str) -> dict[object, str]:
    return {name: f"{letter}{number}" for number, name in enumerate(dict.fromkeys(names))}


def to_mermaid(graph: DependencyGraph) -> str:
    """Return a Mermaid flowchart: paths on the left, each page a box with its blocks."""
    paths = _numbers([path for path, _, _ in graph.reads if path] + [p for pair in graph.derived for p in pair], "p")
    blocks = _numbers([(template, block) for _, template, block in graph.reads], "b")
    lines = ["flowchart LR"]
    lines += [f'  {name}(["{_quoted(str(path))}"])' for path, name in paths.items()]
    for number, template in enumerate(dict.fromkeys(template for _, template, _ in graph.reads)):
        lines.append(f'  subgraph t{number}["{_quoted(template)}"]')
        lines += [
            f'    {name}["{_quoted(key[1])}"]'
            for key, name in blocks.items()
            if isinstance(key, tuple) and key[0] == template
        ]
        lines.append("  end")
    lines += [f"  {paths[path]} --> {blocks[template, block]}" for path, template, block in graph.reads if path]
    lines += [f"  {paths[source]} -.-> {paths[path]}" for source, path in graph.derived]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return html.escape(text).replace("&", "#").replace("##", "#") if any(each in text for each in '"<>&') else text


def to_dot(graph: DependencyGraph) -> str:
    """Return the graph in the DOT language of Graphviz."""
    lines = ["digraph dependencies {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    for number, template in enumerate(dict.fromkeys(template for _, template, _ in graph.reads)):
        lines += [f"  subgraph cluster_{number} {{", f"    label={json.dumps(template)};"]
        blocks = dict.fromkeys(block for _, each, block in graph.reads if each == template)
        lines += [
            f"    {json.dumps(f'{template}:{block}')} [label={json.dumps(block)}, shape=box];" for block in blocks
        ]
        lines.append("  }")
    lines += [
        f"  {json.dumps(path)} -> {json.dumps(f'{template}:{block}')};" for path, template, block in graph.reads if path
    ]
    lines += [f"  {json.dumps(source)} -> {json.dumps(path)} [style=dashed];" for source, path in graph.derived]
    return "\n".join([*lines, "}"])


_ROW, _WIDTH, _GAP, _MARGIN = 34, 260, 240, 30


def to_html(graph: DependencyGraph) -> str:
    """Return a self-contained HTML page with the graph as SVG."""
    paths = list(
        dict.fromkeys([path for path, _, _ in graph.reads if path] + [p for pair in graph.derived for p in pair])
    )
    rows: list[tuple[str, str | None]] = []
    for template in dict.fromkeys(template for _, template, _ in graph.reads):
        rows.append((template, None))
        rows += [(template, block) for block in dict.fromkeys(b for _, t, b in graph.reads if t == template)]
    height = _MARGIN * 2 + _ROW * max(len(paths), len(rows), 1)
    parts = [_path_box(path, _MARGIN + _ROW * number) for number, path in enumerate(paths)]
    parts += [_block_box(template, block, _MARGIN + _ROW * number) for number, (template, block) in enumerate(rows)]
    at = {path: _MARGIN + _ROW * number + _ROW // 2 for number, path in enumerate(paths)}
    ends = {row: _MARGIN + _ROW * number + _ROW // 2 for number, row in enumerate(rows)}
    lines = [_line(at[path], ends[template, block], path) for path, template, block in graph.reads if path]
    lines += [_arc(at[source], at[path], source) for source, path in graph.derived]
    width = _MARGIN * 2 + _WIDTH * 2 + _GAP
    svg = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}">{"".join(lines + parts)}</svg>'
    return _PAGE.format(svg=svg, empty="" if rows else "<p>There are no live blocks.</p>")


def _path_box(path: str, top: int) -> str:
    return _box("path", _MARGIN, top, path, path)


def _block_box(template: str, block: str | None, top: int) -> str:
    left = _MARGIN + _WIDTH + _GAP
    if block is None:
        return f'<text class="page" x="{left}" y="{top + _ROW // 2 + 5}">{html.escape(template)}</text>'
    return _box("block", left, top, block, f"{template}:{block}")


def _box(kind: str, left: int, top: int, text: str, title: str) -> str:
    shown = text if len(text) <= 32 else f"{text[:31]}…"
    return (
        f'<g class="{kind}"><title>{html.escape(title)}</title><rect x="{left}" y="{top + 3}" width="{_WIDTH}" '
        f'height="{_ROW - 6}" rx="{6 if kind == "block" else 14}"/><text x="{left + 14}" y="{top + _ROW // 2 + 5}">'
        f"{html.escape(shown)}</text></g>"
    )


def _line(start: int, end: int, title: str) -> str:
    left, right = _MARGIN + _WIDTH, _MARGIN + _WIDTH + _GAP
    middle = (left + right) // 2
    curve = f"M{left},{start} C{middle},{start} {middle},{end} {right},{end}"
    return f'<path class="reads" d="{curve}"><title>{html.escape(title)}</title></path>'


def _arc(start: int, end: int, title: str) -> str:
    curve = f"M{_MARGIN},{start} C0,{start} 0,{end} {_MARGIN},{end}"
    return f'<path class="derived" d="{curve}"><title>derived from {html.escape(title)}</title></path>'


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dependency graph</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; overflow-x: auto }}
h1 {{ font-size: 1.3rem }}
text {{ fill: CanvasText; font-size: 14px }}
.page {{ font-weight: 600 }}
rect {{ fill: Canvas; stroke: GrayText }}
.path rect {{ stroke: #3b82f6 }}
.block rect {{ stroke: #16a34a }}
path {{ fill: none; stroke: GrayText; stroke-opacity: .55; stroke-width: 1.5 }}
path:hover {{ stroke: #3b82f6; stroke-opacity: 1; stroke-width: 3 }}
.derived {{ stroke-dasharray: 5 4 }}
</style>
<h1>Dependency graph</h1>
<p>A change of a path on the left renders the blocks that it is connected to. Dashed lines lead to derived paths.</p>
{empty}{svg}
</html>"""
