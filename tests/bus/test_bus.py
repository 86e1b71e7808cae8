from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from starlette_reactive import ChangeEvent, ConnectionInfo, ReactiveBus, Subscription
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.loops import Pace, current_loop

from ..support import eventually


def change(*paths: str, scope: str = "s", **more: Any) -> ChangeEvent:
    return ChangeEvent(scope, paths or ("a",), **more)


async def take(subscription: Subscription, timeout: float = 5) -> ChangeEvent:
    with anyio.fail_after(timeout):
        return await anext(subscription)


async def nothing_waits(subscription: Subscription) -> bool:
    await anyio.wait_all_tasks_blocked()
    return subscription.drain() == []


async def test_an_event_reaches_every_subscription_of_its_scope_in_order() -> None:
    bus = ReactiveBus()
    with bus.subscribe("s") as one, bus.subscribe("s") as two, bus.subscribe("t") as other:
        for event in (change("a"), change("b")):
            await bus.emit(event)
        for subscription in (one, two):
            assert [await take(subscription), await take(subscription)] == [change("a"), change("b")]
        assert await nothing_waits(other)
    assert bus.emitted_count == 2


async def test_a_subscription_is_registered_from_the_call_on() -> None:
    bus = ReactiveBus()
    subscription = bus.subscribe("s")
    bus.emit_sync(change())
    with subscription:
        assert await take(subscription) == change()


async def test_a_sleeping_reader_wakes_at_once() -> None:
    bus = ReactiveBus()
    got: list[ChangeEvent] = []

    async def read(subscription: Subscription) -> None:
        async for event in subscription:
            got.append(event)  # noqa: PERF401 - one at a time, as events arrive

    with bus.subscribe("s") as subscription:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, subscription)
            await anyio.wait_all_tasks_blocked()
            bus.emit_sync(change("a"))
            await eventually(lambda: got == [change("a")])
            bus.emit_sync(change("b"))
            await eventually(lambda: got == [change("a"), change("b")])
            bus.close()


async def test_an_event_from_a_plain_thread_wakes_a_sleeping_loop_at_once() -> None:
    bus = ReactiveBus()
    with bus.subscribe("s") as subscription:
        emitted_at: list[float] = []

        def emit() -> None:
            time.sleep(0.2)
            emitted_at.append(time.monotonic())
            bus.emit_sync(change())

        thread = threading.Thread(target=emit)
        thread.start()
        assert await take(subscription, timeout=60) == change()
        await anyio.to_thread.run_sync(thread.join)
        assert time.monotonic() - emitted_at[0] < 30


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no user signals on this system")
async def test_an_event_from_a_signal_handler_wakes_the_loop() -> None:
    bus = ReactiveBus()
    previous = signal.signal(signal.SIGUSR1, lambda *_: bus.emit_sync(change("signal")))
    try:
        with bus.subscribe("s") as subscription:
            timer = threading.Timer(0.1, signal.pthread_kill, [threading.main_thread().ident, signal.SIGUSR1])
            timer.start()
            assert await take(subscription) == change("signal")
            await anyio.to_thread.run_sync(timer.join)
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_an_emit_that_interrupts_an_emit_neither_deadlocks_nor_is_lost() -> None:
    bus = ReactiveBus()
    subscription = bus.subscribe("s")

    class Interrupting(str):
        """A scope that emits when the bus hashes it, as a signal handler would interrupt the bus."""

        __slots__ = ()

        def __hash__(self) -> int:
            if len(interruptions) < 3:
                interruptions.append("inner")
                bus.emit_sync(change("inner"))
            return hash(str(self))

    interruptions: list[str] = []
    bus.emit_sync(ChangeEvent(Interrupting("s"), {"outer"}))
    paths = [path for event in subscription.drain() for path in event.changed_paths]
    assert sorted(paths) == ["inner", "inner", "inner", "outer"]
    assert bus.emitted_count == 4
    subscription.close()


def test_emits_from_many_threads_are_all_counted_and_delivered() -> None:
    bus = ReactiveBus(maxsize=10_000)
    with bus.subscribe("s") as subscription:

        def emit_500() -> None:
            for _ in range(500):
                bus.emit_sync(change())

        threads = [threading.Thread(target=emit_500) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bus.emitted_count == 4000
        assert len(subscription.drain()) == 4000


async def test_two_loops_in_two_threads_share_a_bus(anyio_backend_name: str) -> None:
    bus = ReactiveBus()
    got: list[ChangeEvent] = []
    ready = threading.Event()

    async def other_loop() -> None:
        with bus.subscribe("s") as subscription:
            ready.set()
            got.append(await take(subscription))

    def run() -> None:
        anyio.run(other_loop, backend=anyio_backend_name)

    with bus.subscribe("s") as subscription:
        thread = threading.Thread(target=run)
        thread.start()
        await anyio.to_thread.run_sync(ready.wait)
        await bus.emit(change())
        assert await take(subscription) == change()
        await anyio.to_thread.run_sync(thread.join)
    assert got == [change()]


async def test_a_loop_is_woken_once_per_event_however_many_readers_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette_reactive._core.loops import current_mailbox

    bus = ReactiveBus()
    mailbox = current_mailbox()
    wakes: list[object] = []
    run_soon = mailbox._run_soon

    def counted(function: Callable[[], object]) -> None:
        wakes.append(function)
        run_soon(function)

    monkeypatch.setattr(mailbox, "_run_soon", counted)
    got: list[ChangeEvent] = []

    async def read() -> None:
        with bus.subscribe("s") as subscription:
            got.append(await anext(subscription))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await anyio.to_thread.run_sync(bus.emit_sync, change())
    assert len(got) == 50
    assert len(wakes) == 1


async def test_events_of_the_same_origin_or_for_another_audience_never_arrive() -> None:
    bus = ReactiveBus()
    user = ConnectionInfo("tab", user_id="u")
    with bus.subscribe("s", origin="tab", connection=user) as mine, bus.subscribe("s") as nobody:
        await bus.emit(change("own", origin="tab"))
        await bus.emit(change("theirs", audience={"v"}))
        await bus.emit(change("for-me", origin="other", audience={"u", "v"}))
        await bus.emit(change("for-all"))
        assert [event.changed_paths for event in mine.drain()] == [{"for-me"}, {"for-all"}]
        assert [event.changed_paths for event in nobody.drain()] == [{"own"}, {"for-all"}]


def test_events_and_subscriptions_without_origin_match_nothing() -> None:
    bus = ReactiveBus()
    with bus.subscribe("s", origin=None) as subscription:
        bus.emit_sync(change(origin=None))
        assert subscription.drain() == [change()]


def test_a_full_subscription_merges_paths_into_the_newest_waiting_event() -> None:
    bus = ReactiveBus(maxsize=2)
    with bus.subscribe("s") as subscription:
        for path in "abcd":
            bus.emit_sync(change(path))
        assert subscription.drain() == [change("a"), change("b", "c", "d")]
    assert (bus.emitted_count, bus.coalesced_count, bus.dropped_count) == (4, 2, 0)


def test_a_merged_event_keeps_a_common_origin_only_and_reaches_every_audience() -> None:
    bus = ReactiveBus(maxsize=1)
    user = ConnectionInfo("tab", user_id="u")
    with bus.subscribe("s", connection=user) as subscription:
        bus.emit_sync(change("a", origin="x", audience={"u"}))
        bus.emit_sync(change("b", origin="x", audience={"u", "v"}))
        assert subscription.drain() == [change("a", "b", origin="x", audience={"u", "v"})]
        bus.emit_sync(change("a", origin="x", audience={"u"}))
        bus.emit_sync(change("b", origin="y"))
        assert subscription.drain() == [change("a", "b")]


def test_events_that_a_subscriber_does_not_receive_are_not_merged_into_its_own() -> None:
    bus = ReactiveBus(maxsize=1)
    with bus.subscribe("s", origin="me") as subscription:
        bus.emit_sync(change("a"))
        bus.emit_sync(change("own", origin="me"))
        assert subscription.drain() == [change("a")]


def test_a_dropped_event_is_counted_reported_and_logged_once_per_scope(caplog: pytest.LogCaptureFixture) -> None:
    dropped: list[tuple[str, ChangeEvent]] = []
    bus = ReactiveBus(maxsize=1, overflow="drop", on_drop=lambda scope, event: dropped.append((scope, event)))
    with bus.subscribe("s") as subscription, bus.subscribe("t"), caplog.at_level(logging.WARNING):
        for path in "abc":
            bus.emit_sync(change(path))
        for path in "ab":
            bus.emit_sync(change(path, scope="t"))
        assert subscription.drain() == [change("a")]
    assert dropped == [("s", change("b")), ("s", change("c")), ("t", change("b", scope="t"))]
    assert (bus.emitted_count, bus.dropped_count, bus.coalesced_count) == (5, 3, 0)
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == ["s", "t"]


def test_a_watcher_neither_drops_nor_coalesces_events() -> None:
    bus = ReactiveBus(maxsize=1, overflow="drop")
    with hub_of(bus).watch("s") as watching:
        for path in "abc":
            bus.emit_sync(change(path, origin="tab", audience={"u"}))
        assert len(watching.drain()) == 1
    assert (bus.emitted_count, bus.dropped_count, bus.coalesced_count) == (3, 0, 0)


async def test_watchers_are_woken_at_the_pace_of_their_loop_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    iterations: list[Callable[[], object]] = []
    monkeypatch.setattr(current_loop(), "pace", Pace(iterations.append, lambda: 0.0))
    bus = ReactiveBus()
    woken: list[str] = []

    async def watch(page: str) -> None:
        with hub_of(bus).watch("s", page) as watching:
            while await watching.wait():
                woken.append(page)

    async with anyio.create_task_group() as tasks:
        for page in ("busy", "busy", "busy", "quiet"):
            tasks.start_soon(watch, page)
            await anyio.wait_all_tasks_blocked()
        bus.emit_sync(change())
        for count in (1, 1, 2, 2, 3, 3, 4):
            await anyio.wait_all_tasks_blocked()
            assert len(woken) == count
            iterations.pop()()
        assert woken == ["busy", "busy", "quiet", "busy"]
        tasks.cancel_scope.cancel()


async def test_a_closed_watcher_reads_what_was_emitted_before() -> None:
    bus = ReactiveBus()
    woken: list[bool] = []

    async def watch() -> None:
        with hub_of(bus).watch("s") as watching:
            woken.extend([await watching.wait(), await watching.wait()])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await anyio.wait_all_tasks_blocked()
        bus.emit_sync(change())
        bus.close("s")
    assert woken == [True, False]


async def test_a_watcher_is_roused_without_an_event() -> None:
    bus = ReactiveBus()
    with hub_of(bus).watch("s") as watching:

        async def rouse() -> None:
            await anyio.wait_all_tasks_blocked()
            watching.rouse()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rouse)
            with anyio.fail_after(5):
                assert await watching.wait()


def test_an_exception_in_a_callback_is_logged_and_affects_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[object] = []

    def broken(*arguments: object) -> None:
        calls.append(arguments)
        raise RuntimeError("broken callback")

    bus = ReactiveBus(maxsize=1, overflow="drop", on_drop=broken)
    with bus.subscribe("s", on_disconnect=broken) as one, bus.subscribe("s") as two:
        bus.emit_sync(change("a"))
        bus.emit_sync(change("b"))
        assert one.drain() == two.drain() == [change("a")]
    assert bus.subscriber_count == 0
    assert len(calls) == 3
    assert caplog.text.count("RuntimeError: broken callback") == 2


def test_a_callback_may_use_the_bus() -> None:
    counts: list[int] = []
    bus = ReactiveBus(maxsize=1, overflow="drop", on_drop=lambda *_: counts.append(len(bus.presence("s"))))
    with bus.subscribe("s", on_disconnect=lambda *_: bus.emit_sync(change("left"))), bus.subscribe("s") as other:
        bus.emit_sync(change("a"))
        bus.emit_sync(change("b"))
        other.drain()
    assert counts == [0, 0]
    assert bus.emitted_count == 3


@pytest.mark.parametrize("maxsize", [0, -1])
def test_maxsize_below_one_is_rejected(maxsize: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ReactiveBus(maxsize)


def test_bad_arguments_are_rejected_with_a_fix() -> None:
    bus = ReactiveBus()
    with pytest.raises(ValueError, match="'coalesce' or 'drop'"):
        ReactiveBus(overflow="explode")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ChangeEvent"):
        bus.emit_sync("scope")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scope is empty"):
        bus.subscribe("")
    with pytest.raises(TypeError, match="scope is a string"):
        bus.subscribe(7)  # type: ignore[arg-type]

    async def leave(*_: object) -> None: ...

    with pytest.raises(TypeError, match="coroutine function"):
        bus.subscribe("s", on_disconnect=leave)


async def test_presence_holds_the_connections_of_open_subscriptions() -> None:
    bus = ReactiveBus()
    ann, ben = ConnectionInfo("1", "ann"), ConnectionInfo("2", "ben")
    with bus.subscribe("s", connection=ann):
        with bus.subscribe("s", connection=ben), bus.subscribe("s"), bus.subscribe("t", connection=ben):
            assert bus.presence("s") == {ann, ben}
            assert bus.presence("t") == {ben}
        assert bus.presence("s") == {ann}
    assert bus.presence("s") == bus.presence("unheard of") == frozenset()


async def test_without_an_engine_presence_now_is_presence() -> None:
    bus = ReactiveBus()
    ann = ConnectionInfo("1", "ann")
    with bus.subscribe("s", connection=ann):
        assert await bus.presence_now("s") == {ann}
    assert await bus.presence_now("s") == frozenset()


async def test_closing_a_scope_ends_its_subscriptions_after_their_waiting_events() -> None:
    bus = ReactiveBus()
    with bus.subscribe("s") as one, bus.subscribe("t") as other:
        await bus.emit(change("a"))
        bus.close("s")
        with anyio.fail_after(20):
            assert [event async for event in one] == [change("a")]
        await bus.emit(change("b", scope="t"))
        assert await take(other) == change("b", scope="t")
        assert bus.subscriber_count == 1
        bus.close()
        with anyio.fail_after(20):
            assert [event async for event in other] == []
    assert bus.subscriber_count == 0


async def test_closing_ends_sleeping_readers_and_the_bus_remains_usable() -> None:
    bus = ReactiveBus()
    ended: list[int] = []

    async def read(number: int) -> None:
        with bus.subscribe("s") as subscription:
            assert [event async for event in subscription] == []
        ended.append(number)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(read, number)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(bus.close)
    assert sorted(ended) == [0, 1, 2]
    with bus.subscribe("s") as again:
        await bus.emit(change())
        assert await take(again) == change()


async def test_close_user_ends_the_subscriptions_of_a_user_and_returns_their_number() -> None:
    bus = ReactiveBus()
    left: list[tuple[str, ConnectionInfo | None]] = []

    def leave(scope: str, connection: ConnectionInfo | None) -> None:
        left.append((scope, connection))

    ann, ben = ConnectionInfo("1", "ann"), ConnectionInfo("2", "ben")
    with (
        bus.subscribe("s", connection=ann, on_disconnect=leave) as one,
        bus.subscribe("t", connection=ann, on_disconnect=leave),
        bus.subscribe("s", connection=ben, on_disconnect=leave) as other,
    ):
        assert bus.close_user("ann", scope="s") == 1
        with anyio.fail_after(20):
            assert [event async for event in one] == []
        assert bus.close_user("ann", scope="s") == 0
        assert bus.close_user("ann") == 1
        assert bus.close_user("nobody") == bus.close_user("ann", scope="unheard of") == 0
        assert left == [("s", ann), ("t", ann)]
        await bus.emit(change())
        assert await take(other) == change()
    assert left == [("s", ann), ("t", ann), ("s", ben)]


async def test_on_disconnect_is_called_once_whatever_ends_the_subscription() -> None:
    bus = ReactiveBus()
    left: list[str] = []
    subscription = bus.subscribe("s", on_disconnect=lambda scope, _: left.append(scope))
    subscription.close()
    subscription.close()
    bus.close()
    with subscription:
        pass
    assert left == ["s"]
    with anyio.fail_after(20):
        assert [event async for event in subscription] == []


async def test_a_reader_cancelled_at_any_await_loses_no_event() -> None:
    bus = ReactiveBus(maxsize=1000)
    got: list[str] = []
    with bus.subscribe("s") as subscription:
        for number in range(200):
            with anyio.CancelScope() as scope:

                async def cancel_and_emit(scope: anyio.CancelScope = scope, number: int = number) -> None:
                    for _ in range(number % 5):
                        await checkpoint()
                    bus.emit_sync(change(f"p{number}"))
                    for _ in range(number % 3):
                        await checkpoint()
                    scope.cancel()

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(cancel_and_emit)
                    async for event in subscription:
                        got.extend(event.changed_paths)
        got.extend(path for event in subscription.drain() for path in event.changed_paths)
    assert got == [f"p{number}" for number in range(200)]
    assert bus.subscriber_count == 0


async def test_a_subscriber_that_never_iterates_keeps_a_bounded_number_of_events() -> None:
    bus = ReactiveBus(maxsize=4)
    with bus.subscribe("s") as idle:
        for number in range(100):
            await bus.emit(change(f"p{number % 10}"))
        assert len(idle.drain()) == 4


async def test_a_reader_that_drops_its_subscription_is_removed() -> None:
    bus = ReactiveBus()

    async def read_one() -> None:
        async for _ in bus.subscribe("s"):
            break

    bus_events = [change("a"), change("b")]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_one)
        await anyio.wait_all_tasks_blocked()
        assert bus.subscriber_count == 1
        for event in bus_events:
            await bus.emit(event)
    gc.collect()
    assert bus.subscriber_count == 0


def test_a_bus_and_its_open_subscriptions_can_be_garbage_collected() -> None:
    ReactiveBus().subscribe("s")
    gc.collect()  # a warning of an unclosed resource would fail the test


def test_a_subscription_without_references_counts_until_it_is_closed() -> None:
    bus = ReactiveBus()
    bus.subscribe("s", connection=ConnectionInfo("1"))
    gc.collect()
    assert len(bus.presence("s")) == bus.subscriber_count == 1
    bus.close()
    assert bus.subscriber_count == 0


def test_readers_of_a_loop_that_has_ended_are_removed(anyio_backend_name: str) -> None:
    bus = ReactiveBus()
    subscription = bus.subscribe("s")

    async def sleep_then_end() -> None:
        with anyio.move_on_after(0.01):
            await anext(subscription)

    anyio.run(sleep_then_end, backend=anyio_backend_name)
    bus.emit_sync(change())
    bus.emit_sync(change())
    assert bus.emitted_count == 2
    subscription.close()
    assert bus.subscriber_count == 0


async def test_a_subscription_after_a_cursor_first_yields_what_changed_since() -> None:
    bus = ReactiveBus()
    await bus.emit(change("before"))
    cursor = bus.cursor("s")
    assert cursor == await bus.cursor_now("s")
    with bus.subscribe("s", after=cursor) as early:
        await bus.emit(change("a"))
        await bus.emit(change("own", origin="me"))
        await bus.emit(change("theirs", audience={"v"}))
        assert await take(early) == change("a")
    with bus.subscribe("s", after=cursor, origin="me") as late:
        await bus.emit(change("b"))
        assert [event.changed_paths for event in late.drain()] == [{"a"}, {"b"}]
    with bus.subscribe("s", after="nonsense") as lost:
        assert [event.changed_paths for event in lost.drain()] == [{"*"}]
    with bus.subscribe("s", after=bus.cursor("s")) as up_to_date:
        assert up_to_date.drain() == []


async def test_an_accepted_emit_takes_effect_even_if_the_emitter_is_cancelled() -> None:
    bus = ReactiveBus()
    with bus.subscribe("s") as subscription:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await bus.emit(change())
        assert subscription.drain() == [change()]
