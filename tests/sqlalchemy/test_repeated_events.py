"""The thread that repeats events of commits in doubt: bounded, and gone when it has nothing to do."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections import Counter
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from starlette_reactive import ChangeEvent
from starlette_reactive._database.in_doubt import PAUSES, InDoubt, Outcome

from .held_commits import wait_until

FAR = 1e6
"""A pause in seconds that no test waits for."""


class Commit:
    """A COMMIT whose outcome a test decides."""

    outcome = Outcome.PENDING


@pytest.fixture
def events() -> list[ChangeEvent]:
    return []


def is_idle(in_doubt: InDoubt) -> bool:
    return in_doubt._thread is None


def test_the_pauses_double_for_a_day() -> None:
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(PAUSES))
    assert sum(PAUSES) > 24 * 60 * 60
    assert len(PAUSES) == 20


def test_an_event_is_repeated_after_each_pause_and_the_thread_ends(events: list[ChangeEvent]) -> None:
    in_doubt = InDoubt(events.append, (0.0, 0.0, 0.0))
    for scope in ("a", "b"):
        in_doubt.add(ChangeEvent(scope, {"x"}))
        wait_until(lambda: is_idle(in_doubt))
    assert Counter(event.scope for event in events) == {"a": 3, "b": 3}


class Busy:
    """Emits, and does not return from the first emit until it may.

    Args:
        pauses: Those of ``in_doubt``.
    """

    def __init__(self, *pauses: float) -> None:
        self.events: list[ChangeEvent] = []
        self.in_doubt = InDoubt(self._emit, pauses)
        self._may_return = threading.Event()

    def add(self, *events: ChangeEvent) -> None:
        """Add events at once, as far as the thread sees."""
        self.in_doubt.add(ChangeEvent("first", {"x"}))
        for event in events:
            self.in_doubt.add(event)
        self._may_return.set()
        wait_until(lambda: is_idle(self.in_doubt))
        self.events = [event for event in self.events if event.scope != "first"]

    def _emit(self, event: ChangeEvent) -> None:
        assert self._may_return.wait(60)
        self.events.append(event)


def test_events_of_a_scope_are_merged() -> None:
    busy = Busy(0.0, 0.0)
    busy.add(
        ChangeEvent("a", {"x"}),
        ChangeEvent("a", {"y"}),
        ChangeEvent("a", {"z"}, audience={"ada"}),
        ChangeEvent("a", {"z"}, "tab"),
    )
    assert Counter(busy.events) == {
        ChangeEvent("a", {"x", "y"}): 2,
        ChangeEvent("a", {"z"}, audience={"ada"}): 2,
        ChangeEvent("a", {"z"}, "tab"): 2,
    }


def test_an_event_with_many_paths_becomes_one_of_all_paths() -> None:
    busy = Busy(0.0)
    busy.add(*(ChangeEvent("a", {f"x{number}"}) for number in range(300)))
    assert busy.events == [ChangeEvent("a", {"*"})]


def test_the_number_of_events_is_bounded_and_the_oldest_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("starlette_reactive._database.in_doubt.SCOPE_LIMIT", 3)
    busy = Busy(0.0)
    busy.add(*(ChangeEvent(scope, {"x"}) for scope in "abcad"))
    assert Counter(event.scope for event in busy.events) == {"a": 1, "c": 1, "d": 1}
    assert "the change of the scope 'b' is not emitted again" in caplog.text


def test_events_are_dropped_on_request(events: list[ChangeEvent]) -> None:
    in_doubt = InDoubt(events.append, (FAR,))
    in_doubt.stop()
    in_doubt.add(ChangeEvent("a", {"x"}))
    assert not is_idle(in_doubt)
    in_doubt.stop()
    wait_until(lambda: is_idle(in_doubt))
    assert events == []


def test_an_event_is_emitted_once_when_its_commit_has_succeeded(events: list[ChangeEvent]) -> None:
    commit: Any = Commit()
    in_doubt = InDoubt(events.append, (0.0,) * 10_000)
    in_doubt.add(ChangeEvent("a", {"x"}), commit)
    assert events == []
    commit.outcome = Outcome.COMMITTED
    wait_until(lambda: is_idle(in_doubt))
    assert events == [ChangeEvent("a", {"x"})]


def test_an_event_is_not_emitted_if_its_commit_is_refused(events: list[ChangeEvent]) -> None:
    commit: Any = Commit()
    in_doubt = InDoubt(events.append, (0.001,) * 10_000)
    in_doubt.add(ChangeEvent("a", {"x"}), commit)
    commit.outcome = Outcome.REFUSED
    wait_until(lambda: is_idle(in_doubt))
    assert events == []


def test_an_event_is_repeated_if_the_outcome_of_its_commit_stays_unknown(events: list[ChangeEvent]) -> None:
    commit: Any = Commit()
    in_doubt = InDoubt(events.append, (0.001,) * 1000)
    in_doubt.add(ChangeEvent("a", {"x"}), commit)
    commit.outcome = Outcome.UNKNOWN
    wait_until(lambda: is_idle(in_doubt))
    assert len(events) > 1


def test_events_of_many_threads_are_all_repeated(events: list[ChangeEvent]) -> None:
    in_doubt = InDoubt(events.append, (0.0,))

    def add(thread: int) -> None:
        for number in range(200):
            in_doubt.add(ChangeEvent(f"{thread}-{number}", {"x"}))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(events) >= 800)
    assert len({event.scope for event in events}) == 800


def test_an_event_that_is_added_while_the_thread_ends_is_repeated(events: list[ChangeEvent]) -> None:
    class LateQueue(SimpleQueue[Any]):
        late = False

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            try:
                return super().get(block, timeout)
            except Empty:
                if not block and not self.late:
                    self.late = True
                    in_doubt.add(ChangeEvent("late", {"x"}))  # by a thread that sees this one alive
                raise

    in_doubt = InDoubt(events.append, (0.0,))
    in_doubt._added = LateQueue()
    in_doubt.add(ChangeEvent("early", {"x"}))
    wait_until(lambda: len(events) == 2)
    assert [event.scope for event in events] == ["early", "late"]


def test_a_process_exits_while_events_are_repeated_and_even_added() -> None:
    program = """
import logging
from starlette_reactive import ChangeEvent
from starlette_reactive._database.in_doubt import InDoubt

logging.basicConfig()

class Late:
    def __init__(self):
        self.in_doubt = InDoubt(print)
        self.event = ChangeEvent("b", {"x"})

    def __del__(self):
        self.in_doubt.add(self.event)

InDoubt(print).add(ChangeEvent("a", {"x"}))
late = Late()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "not emitted again" in done.stderr
