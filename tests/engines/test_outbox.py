"""Merging of events that wait for an engine."""

from __future__ import annotations

import pytest

from starlette_reactive import ChangeEvent
from starlette_reactive._engines.outbox import Batch, Outbox, WaitingEvent


def test_waiting_events_are_merged_by_scope_origin_and_audience() -> None:
    outbox = Outbox()
    for event in (
        ChangeEvent("s", {"a"}),
        ChangeEvent("s", {"b"}),
        ChangeEvent("s", {"c"}, "x"),
        ChangeEvent("t", {"d"}, None, {"u"}),
    ):
        outbox.put(event)
    assert len(outbox) == 3
    assert [waiting.event for waiting in outbox.take(10).events] == [
        ChangeEvent("s", {"a", "b"}),
        ChangeEvent("s", {"c"}, "x"),
        ChangeEvent("t", {"d"}, None, {"u"}),
    ]
    assert len(outbox) == 3
    outbox.accept()
    assert len(outbox) == 0


def test_too_many_waiting_events_of_a_scope_become_one_for_everybody() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(ChangeEvent("s", {"a"}, f"tab{number}"))
    taken = outbox.take(200).events
    assert taken[0].event == ChangeEvent("s", {"a"})
    assert len(taken) < 50
    assert len(outbox) == len(taken)
    outbox.accept()
    assert len(outbox) == 0


def test_too_many_paths_become_all_paths() -> None:
    outbox = Outbox()
    for number in range(300):
        outbox.put(ChangeEvent("s", {f"p{number}"}))
    assert "*" in outbox.take(1).events[0].event.changed_paths


def test_events_that_could_not_be_sent_are_put_back_before_newer_ones() -> None:
    outbox = Outbox()
    accepted: list[str] = []
    outbox.put(ChangeEvent("s", {"a"}), [lambda: accepted.append("a")])
    outbox.take(10)
    outbox.put(ChangeEvent("s", {"b"}), [lambda: accepted.append("b")])
    outbox.put(ChangeEvent("t", {"c"}))
    assert len(outbox) == 3
    outbox.put_back()
    assert len(outbox) == 2  # merged
    first, second = outbox.take(10).events
    assert (first.event, second.event) == (ChangeEvent("s", {"a", "b"}), ChangeEvent("t", {"c"}))
    outbox.accept()
    assert accepted == ["a", "b"]


def test_an_event_counts_wherever_it_is_until_it_is_accepted() -> None:
    outbox, other = Outbox(), Outbox()
    outbox.post(Batch([WaitingEvent(ChangeEvent("s", {"a"}))]))
    assert (len(outbox), outbox.has_posted, bool(outbox)) == (1, True, False)
    outbox.collect()
    assert (len(outbox), outbox.has_posted, bool(outbox)) == (1, False, True)
    outbox.take(1)
    assert (len(outbox), bool(outbox)) == (1, False)
    assert str(outbox.waiting()) == "1 change in 's'"
    outbox.put_back()
    seen: list[int] = []

    def receive(batch: Batch) -> None:
        other.post(batch)
        seen.append(len(outbox))

    outbox.hand_over(receive)
    assert (seen, len(outbox), len(other)) == ([1], 0, 1)
    other.collect()
    other.take(1)
    other.accept()
    assert len(other) == 0


def test_posted_scopes_count_towards_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._engines.outbox.SCOPE_LIMIT", 2)
    outbox = Outbox()
    outbox.put(ChangeEvent("s", {"a"}))
    for _ in range(3):
        outbox.post(Batch([WaitingEvent(ChangeEvent("s", {"a"}))]))
    assert not outbox.is_full
    outbox.post(Batch([WaitingEvent(ChangeEvent("t", {"a"}))]))
    assert outbox.is_full
