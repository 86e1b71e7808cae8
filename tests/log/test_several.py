"""Several scopes of a log are read as one: no change is lost, and a cursor stands for a stamp in each scope."""

from __future__ import annotations

import random

import pytest

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._log.changelog import ChangeLog
from starlette_reactive._log.replica import History, Record, Replica
from starlette_reactive._log.several import begin_in, positions_in, read_in

SCOPES = ("a", "b", "c")
PATHS = ("x", "y", "z")
Changed = set[tuple[str, str]]


def changed_since(log: ChangeLog, scopes: tuple[str, ...], cursor: str) -> Changed | None:
    """Return the paths that changed in each scope after a cursor. ``None`` if that is not known."""
    position, starts = begin_in(log, scopes, cursor)
    changes = read_in(log, starts, position, exact=True).changes
    return None if changes is None else {(change.scope, change.path) for change in changes}


def cursor_now(log: ChangeLog, scopes: tuple[str, ...]) -> str:
    position, starts = begin_in(log, scopes, None)
    assert position is not None
    return log.cursor_of(positions_in(starts, position))


class Engine:
    """All changes by scope, and a replica that opens scopes at different times."""

    def __init__(self) -> None:
        self.stamp = 0
        self.last: dict[tuple[str, str], int] = {}
        self.replica = Replica()
        self.replica.begin("epoch")
        self.replica.reach_level(0)

    def change(self, scope: str, path: str) -> None:
        self.stamp += 1
        self.last[scope, path] = self.stamp
        self.replica.note_stamped(ChangeEvent(scope, {path}), self.stamp, self.stamp)

    def open(self, scope: str) -> None:
        if not self.replica.is_open(scope):
            self.replica.open(scope)
            records = [Record(path, None, stamp) for (where, path), stamp in self.last.items() if where == scope]
            for stamp, event in self.replica.load(scope, History(self.stamp, 0, records)):
                self.replica.note_stamped(event, stamp, None)

    def since(self, scopes: tuple[str, ...], stamp: int) -> Changed:
        return {(scope, path) for (scope, path), last in self.last.items() if scope in scopes and last > stamp}


@pytest.mark.parametrize("seed", range(200))
def test_a_cursor_of_a_stamp_reports_exactly_what_changed_in_each_scope_since(seed: int) -> None:
    chance, engine = random.Random(seed), Engine()
    for _ in range(chance.randint(5, 40)):
        if chance.random() < 0.2:
            engine.open(chance.choice(SCOPES))
        else:
            engine.change(chance.choice(SCOPES), chance.choice(PATHS))
        if chance.random() < 0.1:
            engine.replica.reach_level(engine.stamp)
    for number in (1, 2, 3):
        scopes = tuple(chance.sample(SCOPES, number))
        for scope in scopes:
            engine.open(scope)
        stamp = chance.randint(0, engine.stamp)
        assert changed_since(engine.replica, scopes, engine.replica.cursor_of_stamp(stamp)) == engine.since(
            scopes, stamp
        )


@pytest.mark.parametrize("seed", range(200))
def test_a_cursor_of_several_scopes_reports_what_changed_later_and_nothing_else(seed: int) -> None:
    """It holds the stamp of each scope, because what is known of one may be older than what is known of another."""
    chance, engine = random.Random(seed), Engine()
    scopes = tuple(chance.sample(SCOPES, 2))
    for scope in scopes:
        engine.open(scope)
    for _ in range(chance.randint(0, 15)):
        engine.change(chance.choice(SCOPES), chance.choice(PATHS))
    cursor, stamp = cursor_now(engine.replica, scopes), engine.stamp
    for _ in range(chance.randint(0, 15)):
        engine.change(chance.choice(SCOPES), chance.choice(PATHS))
    assert changed_since(engine.replica, scopes, cursor) == engine.since(scopes, stamp)
    another = Engine()
    another.last, another.stamp = engine.last, engine.stamp
    for scope in scopes[::-1]:
        another.open(scope)
    assert changed_since(another.replica, scopes, cursor) == engine.since(scopes, stamp)


@pytest.mark.parametrize("seed", range(50))
def test_a_common_cursor_loses_nothing_for_a_reader_of_any_of_the_scopes(seed: int) -> None:
    chance, engine = random.Random(seed), Engine()
    for scope in SCOPES:
        engine.open(scope)
    for _ in range(10):
        engine.change(chance.choice(SCOPES), chance.choice(PATHS))
    starts = dict.fromkeys(SCOPES, 0)
    reading = read_in(engine.replica, starts, 0, exact=False)
    assert "." not in reading.cursor
    stamp = engine.stamp
    for _ in range(5):
        engine.change(chance.choice(SCOPES), chance.choice(PATHS))
    for scopes in (("a", "b"), ("c",), ("b", "c", "a")):
        found = changed_since(engine.replica, scopes, reading.cursor)
        assert found is not None
        assert found >= engine.since(scopes, stamp)


def test_a_cursor_of_other_scopes_is_unknown() -> None:
    engine = Engine()
    for scope in SCOPES:
        engine.open(scope)
        engine.change(scope, "x")
    cursor = cursor_now(engine.replica, ("a", "b"))
    assert cursor.count(".") == 1
    for unknown in (cursor + ".1", cursor.replace(".", ".x"), cursor.replace("-", "-."), "0-1.2", ""):
        assert begin_in(engine.replica, ("a", "b"), unknown)[0] is None
    assert begin_in(engine.replica, SCOPES, cursor)[0] is None


def test_a_scope_that_has_forgotten_makes_everything_unknown() -> None:
    engine = Engine()
    engine.change("a", "x")
    engine.open("a")
    engine.replica.open("b")
    engine.replica.load("b", History(5, 5))
    assert changed_since(engine.replica, ("a", "b"), engine.replica.cursor_of_stamp(0)) is None


def test_in_memory_one_position_stands_for_all_scopes() -> None:
    log = ChangeLog()
    log.note(ChangeEvent("a", {"x"}))
    cursor = log.latest_cursor()
    log.note(ChangeEvent("other", {"x"}))
    assert changed_since(log, ("a", "b"), cursor) == set()
    log.note(ChangeEvent("b", {"y"}))
    log.note(ChangeEvent("a", {"z"}))
    assert changed_since(log, ("a", "b"), cursor) == {("b", "y"), ("a", "z")}
    assert changed_since(log, ("a", "b"), cursor_now(log, ("a", "b"))) == set()
    position, starts = begin_in(log, ("a", "b"), cursor)
    changes = read_in(log, starts, position, exact=True).changes
    assert changes is not None
    assert [change.path for change in changes] == ["y", "z"]
