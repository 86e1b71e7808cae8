"""The layout of the dependency graph, and the formatting of values."""

from __future__ import annotations

import itertools
import re

import pytest

from starlette_reactive._core.events import Health
from starlette_reactive._index.graph import DependencyGraph
from starlette_reactive._inspector.event_rows import format_bytes, format_time
from starlette_reactive._inspector.graph_layout import ROW, GraphLayout, lay_out

from .demo import Demo
from .support import view_of


def names(layout: GraphLayout) -> list[str]:
    return [row.name for row in layout.paths]


def ends(d: str) -> tuple[int, int]:
    found = re.fullmatch(r"M\d+,(\d+) C\d+,\d+ \d+,\d+ \d+,(\d+)", d)
    assert found
    return int(found[1]) // ROW, int(found[2]) // ROW


def test_an_empty_graph_has_a_layout() -> None:
    assert lay_out(DependencyGraph((), ()), {}) == GraphLayout([], [], [], [])
    assert lay_out(DependencyGraph((), ()), {}).height == ROW


def test_curves_connect_the_rows_of_paths_to_the_rows_of_their_blocks() -> None:
    reads = [("b", "x.html", "one"), ("a", "x.html", "two"), ("b", "y.html", "three"), ("", "y.html", "still")]
    layout = lay_out(DependencyGraph(reads, [("a", "c")]), {"x.html": ["x:{id}"]})
    rows = [(row.template, row.block) for row in layout.blocks]
    assert rows == [
        ("x.html", None),
        ("x.html", "one"),
        ("x.html", "two"),
        ("y.html", None),
        ("y.html", "three"),
        ("y.html", "still"),
    ]
    assert list(layout.blocks[0].scopes) == ["x:{id}"]
    assert sorted(filter(None, names(layout))) == ["a", "b", "c"]
    for curve in layout.curves:
        start, end = ends(curve.d)
        assert names(layout)[start] == curve.path
        assert rows[end] == (curve.template, curve.block)
    (arc,) = layout.arcs
    assert tuple(names(layout)[row] for row in ends(arc.d)) == ("a", "c") == (arc.path, arc.derived)
    assert next(row for row in layout.paths if row.name == "c").derived_from == ["a"]


def test_a_path_is_placed_beside_its_block_if_there_is_room() -> None:
    reads = [(f"path{number}", "x.html", f"block{number}") for number in (3, 9)] + [
        ("", "x.html", f"block{number}") for number in range(10)
    ]
    layout = lay_out(DependencyGraph(sorted(reads, key=lambda each: each[2]), ()), {})
    assert [row.block for row in layout.blocks].index("block3") == names(layout).index("path3")
    assert [row.block for row in layout.blocks].index("block9") == names(layout).index("path9")


@pytest.mark.parametrize(("paths", "blocks"), list(itertools.product([1, 2, 7, 40], repeat=2)))
def test_neither_column_is_longer_than_necessary(paths: int, blocks: int) -> None:
    reads = [(f"p{path}", "x.html", f"b{path % blocks}") for path in range(paths)]
    reads += [("", "x.html", f"b{block}") for block in range(blocks)]
    layout = lay_out(DependencyGraph(reads, ()), {})
    assert len(list(filter(None, names(layout)))) == paths
    assert len(layout.paths) <= max(paths, blocks + 1)
    assert layout.height == ROW * max(len(layout.paths), blocks + 1)


def test_the_graph_of_an_application_contains_its_pages_with_their_scopes() -> None:
    layout = view_of(Demo().reactive).graph
    assert {row.template: list(row.scopes) for row in layout.blocks if row.block is None} == {
        "board.html": ["board:{name}"],
        "news.html": ["news"],
    }
    assert [row.derived_from for row in layout.paths if row.name == "done"] == [["tasks"]]


def test_the_state_of_the_engine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    view = view_of(demo.reactive)
    assert view.engine == [("Engine: none, events stay in this process", False)]
    monkeypatch.setattr(demo.reactive.bus, "health", lambda: Health("redis", True, 0, None, 1))
    assert [phrase for phrase, _ in view.engine] == [
        "Engine: redis",
        "connected",
        "0 changes waiting to be sent",
        "1 connection so far",
    ]
    assert not any(bad for _, bad in view.engine)
    monkeypatch.setattr(demo.reactive.bus, "health", lambda: Health("redis", False, 1, "it is gone", 2))
    assert [phrase for phrase, bad in view.engine if bad] == [
        "not connected",
        "1 change waiting to be sent",
        "last error: it is gone",
    ]


def test_sizes_and_times_are_formatted() -> None:
    assert [format_bytes(size) for size in (0, 999, 1000, 12_345, 3_400_000, 5_000_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.3 kB",
        "3.4 MB",
        "5.0 GB",
    ]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d", format_time(0))
