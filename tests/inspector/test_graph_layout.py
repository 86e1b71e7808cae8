"""The layout of the dependency graph, and the formatting of values."""

from __future__ import annotations

import itertools
import re

import pytest

from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.events import Health
from starlette_reactive._index.graph import DependencyGraph
from starlette_reactive._index.index import registry_of
from starlette_reactive._inspector.event_rows import format_bytes, format_time
from starlette_reactive._inspector.graph_layout import ROW, GraphLayout, lay_out
from starlette_reactive._streams.trace import GroupTraces
from starlette_reactive.app import describe_app

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
        assert end == curve.row
        assert (curve.path, *rows[end]) in reads
    (arc,) = layout.arcs
    assert tuple(names(layout)[row] for row in ends(arc.d)) == ("a", "c") == (arc.path, arc.derived)
    assert next(row for row in layout.paths if row.name == "c").derived_from == ["a"]


def test_blocks_of_a_base_layout_have_one_row_for_all_of_its_pages() -> None:
    reads = [("bell", page, "bell") for page in ("a.html", "b.html")] + [
        ("task", "a.html", "main"),
        ("menu", "a.html", "menu"),
        ("user", "b.html", "menu"),
    ]
    origins = {(page, block): "base.html" for _, page, block in reads if block != "main"}
    layout = lay_out(DependencyGraph(reads, (), origins), {})
    assert [(row.template, row.block, list(row.pages)) for row in layout.blocks] == [
        ("a.html", None, []),
        ("a.html", "main", []),
        ("a.html", "menu", []),  # reads something else on the other page
        ("b.html", None, []),
        ("b.html", "menu", []),
        ("base.html", None, ["a.html", "b.html"]),
        ("base.html", "bell", ["a.html", "b.html"]),
    ]
    assert layout.blocks[-1].keys == [("a.html", "bell"), ("b.html", "bell")]
    assert [curve.row for curve in layout.curves if curve.path == "bell"] == [6]


def test_pages_that_nobody_uses_are_folded_once_one_is_in_use() -> None:
    demo = Demo()
    view = view_of(demo.reactive)
    assert not view.folded
    news = next(page for page in describe_app(demo.reactive).pages if page.template_name == "news.html")
    group = GroupTraces(hub_of(demo.reactive.bus), "news", registry_of(news.index))
    assert {row.template for row in view.graph.blocks} == {"news.html"}
    assert "done" not in names(view.graph)
    assert view.folded == [("board.html", ["title", "overview", "progress", "tasks", "people"])]
    group.ended(None)
    assert not view.folded


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
