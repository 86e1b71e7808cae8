"""A bus that is not started, or is stopped at any moment, on an engine in memory."""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from starlette_reactive import ChangeEvent, ConnectionInfo, EmitTimeoutError, OutboxFullError, ReactiveBus
from starlette_reactive._engines import Bridge
from starlette_reactive._engines import bridge as bridge_module
from starlette_reactive._engines.engine import Sender

from ..support import eventually
from .engine import MemoryEngine, MemorySession, Server

RETRYING = "starlette-reactive retry"


def new_bus(engine: MemoryEngine, patience: float = 0.2) -> ReactiveBus:
    return ReactiveBus(relay=Bridge(engine, patience=patience))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def bus(server: Server) -> Iterator[ReactiveBus]:
    bus = new_bus(MemoryEngine(server))
    yield bus
    server.up = True
    server.frozen.clear()
    bus.stop()


def emit(bus: ReactiveBus, scope: str, path: str = "a") -> None:
    bus.emit_sync(ChangeEvent(scope, {path}))


def wait_until_sent(bus: ReactiveBus) -> None:
    until = time.monotonic() + 20
    while bus.health().waiting:
        assert time.monotonic() < until
        time.sleep(0.001)


class NeverConnecting(MemoryEngine):
    """An engine on which a session takes for ever to begin."""

    @asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[MemorySession]:
        await anyio.sleep_forever()
        yield MemorySession(self.server, process)


class Refusing(MemoryEngine):
    """An engine that accepts sessions, and no senders."""

    refuses = True

    def open_sender(self, timeout: float) -> Sender:
        if self.refuses:
            raise ConnectionRefusedError("no sender is accepted")
        return super().open_sender(timeout)


# A bus that is not started


def test_an_emit_returns_once_the_engine_has_accepted_it(server: Server) -> None:
    bus = new_bus(NeverConnecting(server))
    emit(bus, "s")
    assert set(server.scopes) == {"s"}
    assert bus.emitted_count == 1


async def test_an_emit_in_an_event_loop_too_returns_once_the_engine_has_accepted_it(server: Server) -> None:
    emit(new_bus(NeverConnecting(server)), "s")
    assert set(server.scopes) == {"s"}


async def test_an_emit_in_an_event_loop_waits_for_one_second_at_most(server: Server) -> None:
    bus = new_bus(MemoryEngine(server), patience=20)
    server.up = False
    with pytest.raises(EmitTimeoutError, match=r"within 1 s; it is kept .*: the server is down"):
        emit(bus, "s")
    server.up = True
    await anyio.to_thread.run_sync(bus.stop)
    assert set(server.scopes) == {"s"}


def test_what_was_not_accepted_in_time_is_kept_and_sent_when_the_engine_is_back(
    server: Server, bus: ReactiveBus
) -> None:
    server.up = False
    with pytest.raises(
        EmitTimeoutError, match=r"memory-server has not accepted the change of 's' within 0.2 s; .*: the server is down"
    ):
        emit(bus, "s")
    with pytest.raises(EmitTimeoutError, match="cannot be reached and has not accepted the change of 't'"):
        emit(bus, "t")
    with pytest.raises(EmitTimeoutError):
        emit(bus, "t", "b")
    assert (bus.health().waiting, bus.health().last_error) == (2, "the server is down")  # merged
    assert bus.emitted_count == 3
    server.up = True
    wait_until_sent(bus)
    assert set(server.scopes) == {"s", "t"}
    assert bus.health().last_error is None
    emit(bus, "u")
    assert set(server.scopes) == {"s", "t", "u"}


async def test_a_request_to_end_a_user_is_kept_too(server: Server) -> None:
    engine = Refusing(server)
    bus, there = new_bus(engine), new_bus(MemoryEngine(server))
    there.start()
    with there.subscribe("s", connection=ConnectionInfo("tab", "ann")) as subscription:
        await there.ready("s")
        with pytest.raises(EmitTimeoutError, match="the request to end a user's streams"):
            await anyio.to_thread.run_sync(bus.close_user, "ann")
        engine.refuses = False
        with anyio.fail_after(20):
            async for _ in subscription:
                pass
    await anyio.to_thread.run_sync(there.stop)
    await anyio.to_thread.run_sync(bus.stop)


def test_many_scopes_fill_the_outbox(server: Server, bus: ReactiveBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._engines.outbox.SCOPE_LIMIT", 1)
    server.up = False
    with pytest.raises(EmitTimeoutError):
        emit(bus, "s")
    with pytest.raises(OutboxFullError, match="changes of 1 scopes wait"):
        emit(bus, "t")


def test_an_exception_of_a_signal_handler_ends_an_emit_and_the_change_is_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TimeLimitError(Exception):
        """As task queues raise it in a job that takes too long."""

    def interrupt(*_: object) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, interrupt)
    bus = new_bus(MemoryEngine(server), patience=60)
    server.up = False
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(TimeLimitError):
            emit(bus, "s")
    finally:
        signal.signal(signal.SIGALRM, before)
    server.up = True
    bus.stop()
    assert set(server.scopes) == {"s"}


def test_a_bus_that_has_sent_everything_is_garbage_collected(server: Server) -> None:
    bus = new_bus(MemoryEngine(server))
    emit(bus, "s")
    gone = weakref.ref(bus)
    del bus
    gc.collect()
    assert gone() is None


def test_stopping_ends_the_thread_that_tries_again(server: Server) -> None:
    bus = new_bus(MemoryEngine(server))
    server.up = False
    with pytest.raises(EmitTimeoutError):
        emit(bus, "s")
    [thread] = [thread for thread in threading.enumerate() if thread.name == RETRYING]
    bus.stop()
    thread.join(20)
    assert not thread.is_alive()
    server.up = True
    bus.stop()


# A bus that is started


async def test_an_emit_does_not_wait_if_the_bus_was_started_or_has_viewers(server: Server) -> None:
    server.up = False
    started, viewed = new_bus(MemoryEngine(server), 60), new_bus(MemoryEngine(server), 60)
    started.start()
    with viewed.subscribe("s"):
        for bus in (started, viewed):
            emit(bus, "s")
        await eventually(lambda: started.health().waiting == viewed.health().waiting == 1)
        server.up = True
        for bus in (started, viewed):
            await anyio.to_thread.run_sync(bus.stop)


@pytest.mark.parametrize("engine", [MemoryEngine, NeverConnecting])
def test_a_stop_hands_over_what_was_emitted_just_before(
    server: Server, caplog: pytest.LogCaptureFixture, engine: type[MemoryEngine]
) -> None:
    bus = new_bus(engine(server), patience=20)
    for number in range(30):
        bus.start()
        emit(bus, f"s{number}")
        bus.stop()
        assert f"s{number}" in server.scopes
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_stop_that_cannot_send_says_what_and_why_and_keeps_it_for_the_next_start(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.up = False
    bus = new_bus(MemoryEngine(server))
    bus.start()
    emit(bus, "s", "a")
    emit(bus, "s", "b")
    emit(bus, "t")
    bus.close_user("ann")
    bus.stop()
    [error] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert error == (
        "stopped with 2 changes in 's', 't' and 1 request to end a user's streams not sent to memory-server: the "
        "server is down"
    )
    server.up = True
    bus.start()
    wait_until_sent(bus)
    assert set(server.scopes) == {"s", "t"}
    bus.stop()


def test_a_change_that_is_on_its_way_waits_until_the_engine_has_accepted_it(server: Server) -> None:
    bus = new_bus(MemoryEngine(server), patience=20)
    bus.start()
    while not bus.health().connected:
        time.sleep(0.001)
    server.asked_to_send.clear()
    server.frozen.set()
    emit(bus, "s")
    assert server.asked_to_send.wait(20)
    assert bus.health().waiting == 1
    server.frozen.clear()
    wait_until_sent(bus)
    assert set(server.scopes) == {"s"}
    bus.stop()


def test_a_stop_during_which_the_engine_hangs_says_so(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    bus = new_bus(MemoryEngine(server))
    bus.start()
    while not bus.health().connected:
        time.sleep(0.001)
    server.frozen.set()
    emit(bus, "s")
    bus.stop()
    assert "stopped with 1 change in 's' not sent to memory-server: the server has not answered in time" in caplog.text
    server.frozen.clear()
    bus.stop()
    assert set(server.scopes) == {"s"}


def test_a_stop_hands_over_although_the_relays_thread_is_busy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_module, "_STOP_SECONDS", -1.8)  # two seconds before it stops to wait for the thread
    relay = Bridge(NeverConnecting(server))
    bus = ReactiveBus(relay=relay)
    bus.start()
    is_busy, released = threading.Event(), threading.Event()

    def be_busy() -> None:
        is_busy.set()
        released.wait(60)

    relay._thread.post(be_busy)
    assert is_busy.wait(20)
    emit(bus, "s")
    assert bus.health().waiting == 1
    bus.stop()
    assert set(server.scopes) == {"s"}
    released.set()
    bus.stop()
