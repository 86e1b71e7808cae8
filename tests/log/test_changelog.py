from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._log.changelog import ChangeLog


def since(
    log: ChangeLog, cursor: str, scope: str = "s", user: str | None = None, origin: str | None = None
) -> set[str]:
    position = log.parse(scope, cursor)
    return set(log.read(scope, position).paths_for(position or 0, user, origin))


def now(log: ChangeLog, scope: str = "s") -> str:
    return log.cursor(scope, log.position(scope))


def test_what_changed_since_a_cursor_is_known() -> None:
    log = ChangeLog()
    log.note(ChangeEvent("s", {"a", "b"}))
    cursor = now(log)
    assert since(log, cursor) == set()
    log.note(ChangeEvent("s", {"b", "c"}))
    log.note(ChangeEvent("other", {"d"}))
    assert since(log, cursor) == {"b", "c"}
    assert since(log, now(log)) == set()


def test_a_cursor_is_ascii_and_safe_in_a_url_and_an_sse_id() -> None:
    log = ChangeLog()
    log.note(ChangeEvent("s", {"a"}))
    for cursor in (now(log), log.cursor("s", None)):
        assert cursor.isascii()
        assert cursor.replace("-", "").isalnum()


@pytest.mark.parametrize("cursor", ["", "nonsense", "1", "-1", "é", "0-0", "\u0661"])
def test_a_malformed_cursor_means_that_everything_may_have_changed(cursor: str) -> None:
    log = ChangeLog()
    assert since(log, cursor) == {"*"}
    assert since(log, f"{now(log)}0000000000000000000000000") == {"*"}


def test_a_cursor_of_another_log_means_that_everything_may_have_changed() -> None:
    assert since(ChangeLog(), now(ChangeLog())) == {"*"}


def test_a_cursor_ahead_of_the_log_means_that_everything_may_have_changed() -> None:
    log = ChangeLog()
    assert since(log, log.cursor("s", 1)) == {"*"}


def test_the_cursor_of_an_unknown_position_stays_unknown() -> None:
    log = ChangeLog()
    assert since(log, log.cursor("s", None)) == {"*"}


def test_evicted_paths_raise_the_floor() -> None:
    log = ChangeLog(paths_per_scope=2)
    before = now(log)
    log.note(ChangeEvent("s", {"a"}))
    after_a = now(log)
    log.note(ChangeEvent("s", {"b"}))
    log.note(ChangeEvent("s", {"c"}))
    assert since(log, before) == {"*"}
    assert since(log, after_a) == {"b", "c"}


def test_evicted_scopes_raise_the_floor_of_every_scope_that_is_not_kept() -> None:
    log = ChangeLog(scopes=2)
    before = now(log, "s")
    log.note(ChangeEvent("s", {"a"}))
    after = now(log, "s")
    log.note(ChangeEvent("t", {"a"}))
    log.note(ChangeEvent("u", {"a"}))
    assert since(log, before) == {"*"}
    assert since(log, after) == set()
    assert since(log, before, "never") == {"*"}
    log.note(ChangeEvent("s", {"b"}))
    assert since(log, after) == {"b"}
    assert since(log, before) == {"*"}


def test_the_least_recently_used_scope_is_evicted_first() -> None:
    log = ChangeLog(scopes=2)
    cursor = now(log, "s")
    log.note(ChangeEvent("s", {"a"}))
    log.note(ChangeEvent("t", {"a"}))
    log.read("s", 0)
    log.note(ChangeEvent("u", {"a"}))
    assert since(log, cursor, "s") == {"a"}


def test_a_change_is_reported_to_its_audience_only() -> None:
    log = ChangeLog()
    cursor = now(log)
    log.note(ChangeEvent("s", {"a"}, audience={"u"}))
    log.note(ChangeEvent("s", {"b"}, audience={"v"}))
    log.note(ChangeEvent("s", {"c"}))
    assert since(log, cursor, user="u") == {"a", "c"}
    assert since(log, cursor, user="v") == {"b", "c"}
    assert since(log, cursor) == {"c"}


def test_changes_of_the_same_origin_are_skipped_and_those_of_others_are_not() -> None:
    log = ChangeLog()
    cursor = now(log)
    log.note(ChangeEvent("s", {"a"}, origin="me"))
    assert since(log, cursor, origin="me") == set()
    assert since(log, cursor, origin="you") == {"a"}
    assert since(log, cursor) == {"a"}
    log.note(ChangeEvent("s", {"a"}, origin="you"))
    log.note(ChangeEvent("s", {"a"}, origin="me"))
    assert since(log, cursor, origin="me") == {"a"}


events = st.builds(
    ChangeEvent,
    st.just("s"),
    st.sets(st.sampled_from("abc"), min_size=1),
    st.none() | st.sampled_from(["x", "y", "z"]),
    st.none() | st.sets(st.sampled_from(["u", "v"])),
)


@given(
    st.lists(events, max_size=30),
    st.integers(0, 30),
    st.none() | st.sampled_from(["u", "v"]),
    st.none() | st.sampled_from(["x", "y", "z"]),
    st.sampled_from([2, 256]),
)
def test_the_log_answers_as_a_full_history_would(
    history: list[ChangeEvent], start: int, user: str | None, origin: str | None, limit: int
) -> None:
    log = ChangeLog(paths_per_scope=limit)
    cursors = [now(log)]
    for event in history:
        log.note(event)
        cursors.append(now(log))
    start = min(start, len(history))
    expected = {
        path
        for event in history[start:]
        if (event.origin is None or event.origin != origin) and (event.audience is None or user in event.audience)
        for path in event.changed_paths
    }
    answer = since(log, cursors[start], user=user, origin=origin)
    assert answer == expected or (answer == {"*"} and limit == 2)
