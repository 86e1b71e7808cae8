"""Merging of events that wait for an engine."""

from __future__ import annotations

from starlette_reactive import ChangeEvent
from starlette_reactive._engines.outbox import Outbox


def test_waiting_events_are_merged_by_scope_origin_and_audience() -> None:
    outbox = Outbox()
    for event in (
        ChangeEvent("s", {"a"}),
        ChangeEvent("s", {"b"}),
        ChangeEvent("s", {"c"}, "x"),
        ChangeEvent("t", {"d"}, None, {"u"}),
    ):
        outbox.put(event, [])
    assert len(outbox) == 3
    assert [waiting.event for waiting in outbox.take(10).events] == [
        ChangeEvent("s", {"a", "b"}),
        ChangeEvent("s", {"c"}, "x"),
        ChangeEvent("t", {"d"}, None, {"u"}),
    ]
    assert len(outbox) == 0


def test_too_many_waiting_events_of_a_scope_become_one_for_everybody() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(ChangeEvent("s", {"a"}, f"tab{number}"), [])
    taken = outbox.take(200).events
    assert taken[0].event == ChangeEvent("s", {"a"})
    assert len(taken) < 50
    assert len(outbox) == 0


def test_too_many_paths_become_all_paths() -> None:
    outbox = Outbox()
    for number in range(300):
        outbox.put(ChangeEvent("s", {f"p{number}"}), [])
    assert "*" in outbox.take(1).events[0].event.changed_paths


def test_events_that_could_not_be_sent_are_put_back_before_newer_ones() -> None:
    outbox = Outbox()
    accepted: list[str] = []
    outbox.put(ChangeEvent("s", {"a"}), [lambda: accepted.append("a")])
    taken = outbox.take(10)
    outbox.put(ChangeEvent("s", {"b"}), [lambda: accepted.append("b")])
    outbox.put(ChangeEvent("t", {"c"}), [])
    outbox.put_back(taken)
    first, second = outbox.take(10).events
    assert (first.event, second.event) == (ChangeEvent("s", {"a", "b"}), ChangeEvent("t", {"c"}))
    for call in first.accepted:
        call()
    assert accepted == ["a", "b"]
