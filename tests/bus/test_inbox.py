"""Work on the bus runs one piece at a time, and callbacks run outside the lock."""

from __future__ import annotations

import threading

import pytest

from starlette_reactive._bus.inbox import Inbox


def test_work_runs_at_once_while_the_lock_is_free() -> None:
    done: list[str] = []
    Inbox().do(lambda: done.append("work"))
    assert done == ["work"]


def test_work_queued_while_the_lock_is_taken_runs_on_release() -> None:
    inbox, done = Inbox(), list[str]()
    with inbox:
        inbox.do(lambda: done.append("from the holder"))
        thread = threading.Thread(target=inbox.do, args=(lambda: done.append("from a thread"),))
        thread.start()
        thread.join(20)
        assert done == []
    assert done == ["from the holder", "from a thread"]


def test_a_callback_runs_after_release_and_may_take_the_lock() -> None:
    inbox, done = Inbox(), list[str]()

    def callback() -> None:
        with inbox:
            done.append("callback")

    with inbox:
        inbox.call_back(callback)
        inbox.do(lambda: done.append("work"))  # as a signal handler or a finaliser would interrupt the holder
        assert done == []
    assert done == ["work", "callback"]


def test_an_exception_in_a_callback_is_logged_and_the_next_callback_runs(caplog: pytest.LogCaptureFixture) -> None:
    inbox, done = Inbox(), list[str]()
    with inbox:
        inbox.call_back(lambda: 1 / 0)
        inbox.call_back(lambda: done.append("next"))
    assert done == ["next"]
    assert "ZeroDivisionError" in caplog.text


def test_an_exception_in_work_releases_the_lock() -> None:
    inbox, done = Inbox(), list[str]()
    with pytest.raises(ZeroDivisionError):
        inbox.do(lambda: 1 / 0)  # type: ignore[arg-type]
    inbox.do(lambda: done.append("work"))
    assert done == ["work"]
