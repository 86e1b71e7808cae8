"""Where the rows and curves of the picture lie, and what its words are."""

from __future__ import annotations

import itertools
import re

import pytest

from starlette_reactive._core.events import Health
from starlette_reactive._index.wiring import Wiring
from starlette_reactive._inspector.picture import ROW, Picture, draw
from starlette_reactive._inspector.view import bytes_in_words, clock

from .demo import Demo
from .support import view_of


def names(picture: Picture) -> list[str]:
    return [row.name for row in picture.paths]


def ends(d: str) -> tuple[int, int]:
    found = re.fullmatch(r"M\d+,(\d+) C\d+,\d+ \d+,\d+ \d+,(\d+)", d)
    assert found
    return int(found[1]) // ROW, int(found[2]) // ROW


def test_nothing_is_a_picture_too() -> None:
    assert draw(Wiring((), ()), {}) == Picture([], [], [], [])
    assert draw(Wiring((), ()), {}).height == ROW


def test_curves_lead_from_the_rows_of_paths_to_the_rows_of_their_blocks() -> None:
    reads = [("b", "x.html", "one"), ("a", "x.html", "two"), ("b", "y.html", "three"), ("", "y.html", "still")]
    picture = draw(Wiring(reads, [("a", "c")]), {"x.html": ["x:{id}"]})
    rows = [(row.template, row.block) for row in picture.blocks]
    assert rows == [
        ("x.html", None),
        ("x.html", "one"),
        ("x.html", "two"),
        ("y.html", None),
        ("y.html", "three"),
        ("y.html", "still"),
    ]
    assert list(picture.blocks[0].scopes) == ["x:{id}"]
    assert sorted(filter(None, names(picture))) == ["a", "b", "c"]
    for curve in picture.curves:
        start, end = ends(curve.d)
        assert names(picture)[start] == curve.path
        assert rows[end] == (curve.template, curve.block)
    (arc,) = picture.arcs
    assert tuple(names(picture)[row] for row in ends(arc.d)) == ("a", "c") == (arc.path, arc.derived)
    assert next(row for row in picture.paths if row.name == "c").derived_from == ["a"]


def test_a_path_stands_beside_its_block_where_there_is_room() -> None:
    reads = [(f"path{number}", "x.html", f"block{number}") for number in (3, 9)] + [
        ("", "x.html", f"block{number}") for number in range(10)
    ]
    picture = draw(Wiring(sorted(reads, key=lambda each: each[2]), ()), {})
    assert [row.block for row in picture.blocks].index("block3") == names(picture).index("path3")
    assert [row.block for row in picture.blocks].index("block9") == names(picture).index("path9")


@pytest.mark.parametrize(("paths", "blocks"), list(itertools.product([1, 2, 7, 40], repeat=2)))
def test_both_columns_are_no_longer_than_they_must_be(paths: int, blocks: int) -> None:
    reads = [(f"p{path}", "x.html", f"b{path % blocks}") for path in range(paths)]
    reads += [("", "x.html", f"b{block}") for block in range(blocks)]
    picture = draw(Wiring(reads, ()), {})
    assert len(list(filter(None, names(picture)))) == paths
    assert len(picture.paths) <= max(paths, blocks + 1)
    assert picture.height == ROW * max(len(picture.paths), blocks + 1)


def test_the_picture_of_an_application_holds_its_pages_with_their_scopes() -> None:
    picture = view_of(Demo().reactive).picture
    assert {row.template: list(row.scopes) for row in picture.blocks if row.block is None} == {
        "board.html": ["board:{name}"],
        "news.html": ["news"],
    }
    assert [row.derived_from for row in picture.paths if row.name == "done"] == [["tasks"]]


def test_the_engine_is_told_of_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = Demo()
    view = view_of(demo.reactive)
    assert view.engine == [("Engine: none, events stay in this process", False)]
    monkeypatch.setattr(demo.reactive.bus, "health", lambda: Health("redis", True, 0, None, 1))
    assert [word for word, _ in view.engine] == [
        "Engine: redis",
        "connected",
        "0 changes waiting for it",
        "connected to 1 time so far",
    ]
    assert not any(bad for _, bad in view.engine)
    monkeypatch.setattr(demo.reactive.bus, "health", lambda: Health("redis", False, 1, "it is gone", 2))
    assert [word for word, bad in view.engine if bad] == [
        "not connected",
        "1 change waiting for it",
        "last error: it is gone",
    ]


def test_numbers_are_told_in_words() -> None:
    assert [bytes_in_words(size) for size in (0, 999, 1000, 12_345, 3_400_000, 5_000_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "12.3 kB",
        "3.4 MB",
        "5.0 GB",
    ]
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d\d\d", clock(0))
