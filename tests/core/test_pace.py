"""How work begins that many tasks of one event loop have at once. The loop and its clock are those of the test."""

from __future__ import annotations

import functools
from collections.abc import Callable

from starlette_reactive._core.loops import Pace


class Loop:
    """An event loop whose iterations the test runs, each as long as it says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.soon: list[Callable[[], object]] = []
        self.pace = Pace(self.soon.append, lambda: self.now)
        self.begun: list[str] = []

    def begin(self, *names: str, key: str = "") -> None:
        for name in names:
            self.pace.begin(key or name, functools.partial(self.begun.append, name))

    def iterate(self, count: int = 1, seconds: float = 0.0) -> list[str]:
        """Run some iterations, and return what has begun in them."""
        before = len(self.begun)
        for _ in range(count):
            self.now += seconds
            due, self.soon[:] = list(self.soon), []
            for function in due:
                function()
        return self.begun[before:]


def test_one_piece_begins_in_two_iterations() -> None:
    loop = Loop()
    loop.begin("a", "b", "c")
    assert loop.begun == ["a"]
    assert loop.iterate() == []
    assert loop.iterate() == ["b"]
    assert loop.iterate() == []
    assert loop.iterate() == ["c"]


def test_pieces_that_have_something_in_common_begin_together_and_in_turn() -> None:
    loop = Loop()
    for name, browser in (("a1", "a"), ("b1", "b"), ("a2", "a"), ("c", None), ("b2", "b")):
        loop.pace.begin("page", functools.partial(loop.begun.append, name), together=browser)
    assert loop.begun == []
    assert loop.iterate() == ["a1", "a2"]
    assert loop.iterate(2) == ["b1", "b2"]
    loop.pace.begin("page", functools.partial(loop.begun.append, "a3"), together="a")
    assert loop.iterate(2) == ["c"]
    assert loop.iterate(2) == ["a3"]


def test_a_piece_begins_at_once_when_others_have_begun_long_ago() -> None:
    loop = Loop()
    loop.begin("a")
    loop.begin("b")
    assert loop.begun == ["a"]
    assert loop.iterate(2 * Pace.ITERATIONS) == ["b"]
    assert loop.soon == []
    loop.begin("c")
    assert loop.begun == ["a", "b", "c"]


def test_pieces_of_different_keys_take_turns() -> None:
    loop = Loop()
    loop.begin("a1", "a2", "a3", key="a")
    loop.begin("b1", "b2", key="b")
    loop.begin("c1", key="c")
    loop.iterate(6 * Pace.ITERATIONS)
    assert loop.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]


def test_several_pieces_begin_together_in_a_busy_loop() -> None:
    loop = Loop()
    loop.begin(*(f"piece {number}" for number in range(40)))
    assert len(loop.iterate(Pace.ITERATIONS, seconds=Pace.LONGEST / 2)) == 1
    assert len(loop.iterate(Pace.ITERATIONS, seconds=1.6 * Pace.LONGEST)) == 3
    assert len(loop.iterate(Pace.ITERATIONS, seconds=100.0)) == Pace.MOST
    assert len(loop.iterate(Pace.ITERATIONS)) == 1


def test_pieces_that_take_less_than_the_longest_wait_do_not_begin_together() -> None:
    loop = Loop()
    loop.begin(*(f"piece {number}" for number in range(20)))
    for _ in range(5):
        assert len(loop.iterate(Pace.ITERATIONS, seconds=0.45 * Pace.LONGEST)) == 1
