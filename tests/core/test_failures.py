"""What fails again and again is logged with one traceback, then counted, until it works again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable

import pytest

from starlette_reactive._core import failures as failures_module
from starlette_reactive._core.failures import Failures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(failures_module, "time", clock)
    return clock


def fail_here(error: Exception) -> None:
    raise error


class Log:
    """The lines that are logged, and where failures come from."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self.failures = Failures(logging.getLogger("tests.failures"))

    def fail(self, owner: Hashable = "a", text: object = "x", *, part: Hashable = None, kind: Hashable = None) -> None:
        try:
            fail_here(ValueError(text))
        except ValueError as error:
            self.failures.log("reading", error, owner, part=part, kind=kind)

    def fail_elsewhere(self, owner: Hashable = "a") -> None:
        try:
            fail_here(ValueError("x"))
        except ValueError as error:
            self.failures.log("reading", error, owner)

    def fail_otherwise(self, owner: Hashable = "a") -> None:
        for other in (TypeError("x"), KeyError("x")):
            try:
                fail_here(other)
            except (TypeError, KeyError) as error:
                self.failures.log("reading", error, owner)

    def take(self) -> list[str]:
        lines = [record.getMessage() + (" +traceback" if record.exc_info else "") for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def test_a_lasting_failure_is_one_traceback_and_a_count_each_minute(clock: Clock, log: Log) -> None:
    for second in range(181):
        clock.now = 1000.0 + second
        log.fail(text=second)
    assert log.take() == [
        "reading failed +traceback",
        "reading failed again: ValueError: 60 (61 times since its traceback was logged)",
        "reading failed again: ValueError: 120 (121 times since its traceback was logged)",
        "reading failed again: ValueError: 180 (181 times since its traceback was logged)",
    ]


def test_what_works_again_is_said_once(clock: Clock, log: Log) -> None:
    log.failures.recover("reading", "a")
    assert log.take() == []
    for _ in range(3):
        log.fail()
    for _ in range(3):
        log.failures.recover("reading", "a")
    assert log.take() == ["reading failed +traceback", "reading works again, after 3 failures"]


def test_what_many_share_works_again_when_it_does_for_all_that_are_left(clock: Clock, log: Log) -> None:
    for owner in ("a", "b", "c"):
        log.fail(owner)
    log.failures.recover("reading", "a")
    log.failures.forget("b")
    assert log.take() == ["reading failed +traceback"]
    log.failures.recover("reading", "c")
    assert log.take() == ["reading works again, after 3 failures"]


def test_what_nobody_tries_again_does_not_work_again(clock: Clock, log: Log) -> None:
    log.fail("a")
    log.failures.forget("a")
    log.failures.recover("reading", "a")
    clock.now += 3600
    log.fail("b")
    assert log.take() == [
        "reading failed +traceback",
        "reading failed again: ValueError: x (2 times since its traceback was logged)",
    ]


def test_what_fails_again_after_it_has_worked_for_a_while_has_its_traceback_again(clock: Clock, log: Log) -> None:
    log.fail()
    log.failures.recover("reading", "a")
    clock.now += 60
    log.fail()
    assert log.take() == [
        "reading failed +traceback",
        "reading works again, after 1 failure",
        "reading failed +traceback",
    ]


def test_what_fails_and_works_in_turns_does_not_fill_the_log(clock: Clock, log: Log) -> None:
    for second in range(120):
        clock.now = 1000.0 + second
        log.fail()
        log.failures.recover("reading", "a")
    assert log.take() == [
        "reading failed +traceback",
        "reading works again, after 1 failure",
        "reading failed +traceback",
        "reading works again, after 1 failure",
    ]


def test_other_lines_types_and_kinds_are_other_failures(clock: Clock, log: Log) -> None:
    for _ in range(2):
        log.fail()
        log.fail_elsewhere()
        log.fail_otherwise()
        log.fail(kind="another")
    assert log.take() == ["reading failed +traceback"] * 5


def test_another_failure_of_the_same_owner_takes_the_place_of_the_one_before(clock: Clock, log: Log) -> None:
    log.fail()
    log.fail_elsewhere()
    log.failures.recover("reading", "a")
    assert log.take() == ["reading failed +traceback"] * 2 + ["reading works again, after 1 failure"]
    assert not log.failures.has_failed("a")


def test_the_parts_of_an_owner_fail_and_work_by_themselves(clock: Clock, log: Log) -> None:
    log.fail(part="one", kind="one")
    log.fail(part="two", kind="two")
    log.failures.recover("reading one", "a", part="one")
    assert log.failures.has_failed("a")
    log.failures.recover("reading two", "a", part="two")
    assert not log.failures.has_failed("a")
    assert log.take()[2:] == ["reading one works again, after 1 failure", "reading two works again, after 1 failure"]


def test_what_has_no_owner_is_counted(clock: Clock, log: Log) -> None:
    for _ in range(3):
        log.fail(None)
    assert log.take() == ["reading failed +traceback"]


def test_a_context_logs_what_it_raises_and_that_it_works_again(clock: Clock, log: Log) -> None:
    for number in (0, 0, 1):
        with log.failures.logged("dividing", "a"):
            1 / number
    assert log.take() == ["dividing failed +traceback", "dividing works again, after 2 failures"]
    with pytest.raises(KeyboardInterrupt), log.failures.logged("dividing", "a"):
        raise KeyboardInterrupt


def test_only_so_many_failures_are_remembered(monkeypatch: pytest.MonkeyPatch, clock: Clock, log: Log) -> None:
    monkeypatch.setattr(failures_module, "_MAX_ENTRIES", 2)
    for owner in ("a", "b", "c", "a"):
        log.fail(owner, kind=owner)
    assert log.take() == ["reading failed +traceback"] * 4
    for owner in ("a", "b", "c"):
        log.failures.recover("reading", owner)
    assert log.take() == ["reading works again, after 1 failure"] * 2


def test_threads_may_fail_at_once(clock: Clock, log: Log) -> None:
    def run(number: int) -> None:
        for _ in range(200):
            log.fail(number)
            log.failures.recover("reading", number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("traceback" in line for line in log.take()) == 1
    clock.now += 60
    log.fail()
    log.failures.recover("reading", "a")
    assert log.take()[-1].startswith("reading works again")
