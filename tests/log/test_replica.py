"""A replica of an engine's change log reports every change that a reader is entitled to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._log.changelog import PATHS_PER_SCOPE
from starlette_reactive._log.replica import History, Record, Replica

PATHS = ["a", "b", "c"]
ORIGINS = [None, "x", "y"]
USERS = [None, "u"]


def loaded(history: History | None = None, *, level: int = 10) -> Replica:
    replica = Replica()
    replica.begin("epoch")
    replica.reach_level(level)
    replica.open("s")
    assert replica.load("s", history or History(level, 0)) == []
    return replica


def since(replica: Replica, cursor: str, user: str | None = None, origin: str | None = None) -> set[str]:
    position = replica.parse("s", cursor)
    return set(replica.read("s", position).paths_for(position or 0, user, origin))


def now(replica: Replica) -> str:
    return replica.cursor("s", replica.position("s"))


def test_a_history_answers_for_a_cursor_of_another_process() -> None:
    history = History(10, 2, [Record("a", None, 4), Record("b", None, 7), Record("c", frozenset({"u"}), 9)])
    replica = loaded(history)
    assert since(replica, replica.cursor_of_stamp(3)) == {"a", "b"}
    assert since(replica, replica.cursor_of_stamp(4)) == {"b"}
    assert since(replica, replica.cursor_of_stamp(8), user="u") == {"c"}
    assert since(replica, replica.cursor_of_stamp(10)) == set()


def test_below_the_floor_everything_may_have_changed() -> None:
    replica = loaded(History(10, 2))
    assert since(replica, replica.cursor_of_stamp(1)) == {"*"}
    assert since(replica, replica.cursor_of_stamp(2)) == set()


def test_a_history_with_too_many_records_is_treated_as_unknown() -> None:
    history = History(10_000, 0, [Record(f"p{number}", None, number) for number in range(1, PATHS_PER_SCOPE + 2)])
    replica = Replica()
    replica.begin("epoch")
    replica.reach_level(5000)
    replica.open("s")
    assert [event.changed_paths for _, event in replica.load("s", history)] == [{"*"}]


def test_a_cursor_of_another_epoch_or_of_a_scope_that_is_not_loaded_is_unknown() -> None:
    replica = loaded()
    cursor = now(replica)
    replica.begin("another")
    assert replica.parse("s", cursor) is None
    assert replica.cursor("s", replica.position("s")).endswith("unknown")
    fresh = Replica()
    fresh.begin("epoch")
    assert fresh.parse("s", cursor) is None
    fresh.open("s")
    assert fresh.parse("s", cursor) is None


def test_changes_between_opening_and_loading_are_reported() -> None:
    replica = Replica()
    replica.begin("epoch")
    replica.reach_level(5)
    replica.open("s")
    before = replica.position("s")
    history = History(9, 0, [Record("a", None, 4), Record("b", None, 8, "x", other_stamp=6)])
    news = replica.load("s", history)
    assert news == [(6, ChangeEvent("s", {"b"})), (8, ChangeEvent("s", {"b"}, "x"))]
    for stamp, event in news:
        replica.note_stamped(event, stamp, None)
    assert replica.read("s", before).paths_for(before, None, None) == {"b"}


def test_if_the_stamp_at_opening_is_unknown_every_path_is_reported() -> None:
    replica = Replica()
    replica.begin("epoch")
    replica.open("s")
    assert [event.changed_paths for _, event in replica.load("s", History(9, 0))] == [{"*"}]


def test_after_the_engine_lost_its_history_every_path_is_reported_to_old_readers() -> None:
    replica = loaded()
    old, position = now(replica), replica.position("s")
    replica.begin("after a restart")
    [(stamp, event)] = replica.load("s", History(3, 3))
    replica.note_stamped(event, stamp, None)
    assert replica.read("s", position).paths_for(position, None, None) == {"*"}
    assert since(replica, old) == {"*"}
    assert since(replica, now(replica)) == set()


def test_a_history_below_the_known_level_is_not_trusted() -> None:
    replica = loaded(level=10)
    assert [event.changed_paths for _, event in replica.load("s", History(8, 0))] == [{"*"}]


def test_a_cursor_given_out_before_a_late_stamp_still_covers_it() -> None:
    replica = loaded()
    before = replica.position("s")
    replica.note_stamped(ChangeEvent("s", {"a"}), 15, None)
    between = replica.position("s")
    replica.note_stamped(ChangeEvent("s", {"b"}), 12, None)
    replica.reach_level(20)
    assert since(replica, replica.cursor("s", before)) == {"a", "b"}
    assert "b" in since(replica, replica.cursor("s", between))
    assert since(replica, now(replica)) == set()


changes = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(ORIGINS), st.sampled_from(USERS), st.integers(0, 4)), max_size=25
)


@settings(max_examples=300)
@given(changes, st.integers(0, 25), st.integers(0, 25))
def test_no_cursor_skips_a_change_that_its_reader_is_entitled_to(
    made: list[tuple[str, str | None, str | None, int]], asked_at: int, answered_at: int
) -> None:
    """Two processes see one history whose stamps arrive out of order by a few steps, as transactions commit."""
    here, there = loaded(), loaded()
    stamps = [20 + number + delay for number, (*_, delay) in enumerate(made)]
    events = [ChangeEvent("s", {path}, origin, None if user is None else {user}) for path, origin, user, _ in made]
    cursors = [(0, now(here))]
    for number, (event, stamp) in enumerate(zip(events, stamps, strict=True), 1):
        here.note_stamped(event, stamp, None)
        later = stamps[number:]
        here.reach_level(max([10, *(each for each in range(10, 60) if all(each < other for other in later))]))
        cursors.append((number, now(here)))
    for event, stamp in zip(events, stamps, strict=True):
        there.note_stamped(event, stamp, None)
    seen, cursor = cursors[min(asked_at, len(cursors) - 1)]
    for user in USERS:
        for origin in ORIGINS:
            expected = {
                next(iter(event.changed_paths))
                for event in events[seen:]
                if (event.audience is None or user in event.audience) and (origin is None or event.origin != origin)
            }
            for replica in (here, there):
                reported = since(replica, cursor, user, origin)
                assert reported == {"*"} or expected <= reported


@settings(max_examples=200)
@given(changes, st.integers(0, 25))
def test_the_cursor_of_a_position_reports_at_least_what_the_position_does(
    made: list[tuple[str, str | None, str | None, int]], at: int
) -> None:
    replica = loaded()
    positions = [replica.position("s")]
    for number, (path, origin, user, delay) in enumerate(made):
        event = ChangeEvent("s", {path}, origin, None if user is None else {user})
        replica.note_stamped(event, 20 + number + delay, None)
        positions.append(replica.position("s"))
    replica.reach_level(60)
    position = positions[min(at, len(positions) - 1)]
    cursor = replica.cursor("s", position)
    for user in USERS:
        for origin in ORIGINS:
            reported = since(replica, cursor, user, origin)
            assert reported == {"*"} or replica.read("s", position).paths_for(position, user, origin) <= reported
