"""Toasts between processes: once to each viewer who is connected, and never later."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial

import anyio
import anyio.to_thread
import psycopg
import pytest
from redis import Redis

from starlette_reactive import ChangeEvent, ConnectionInfo, EmitTimeoutError, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.toasts import LONGEST_TOAST, Toast
from starlette_reactive._engines import Bridge
from starlette_reactive._engines.toast_queue import ToastQueue, WaitingToast

from .conftest import REDIS, World, level, soon
from .engine import MemoryEngine, Server
from .test_conformance import UNUSUAL_TEXTS


class Viewer:
    """A connection to one process that notes what it is shown."""

    def __init__(self, bus: ReactiveBus, scope: str, user_id: str | None = None) -> None:
        self.shown: list[Toast] = []
        connection = ConnectionInfo("tab", user_id)
        self._member = hub_of(bus).join(scope, connection, lambda _: None, None, self.shown.append)

    @property
    def texts(self) -> list[str]:
        return [toast.html for toast in self.shown]

    def leave(self) -> None:
        self._member.leave()


def shows(viewer: Viewer, text: str) -> bool:
    return text in viewer.texts


@contextmanager
def viewing(bus: ReactiveBus, scope: str, *user_ids: str | None) -> Iterator[list[Viewer]]:
    viewers = [Viewer(bus, scope, user_id) for user_id in user_ids]
    try:
        yield viewers
    finally:
        for viewer in viewers:
            viewer.leave()


async def send(bus: ReactiveBus, scope: str, text: str, **options: object) -> None:
    await hub_of(bus).toasts.send(Toast(scope, "toasts", text, **options))  # type: ignore[arg-type]


async def test_a_toast_reaches_each_viewer_in_every_process_once_and_in_order(world: World) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    with viewing(here, world.scope, "ann", "bob") as mine, viewing(there, world.scope, None) as theirs:
        for bus in (here, there):
            await bus.ready(world.scope)
        sent = [str(number) for number in range(20)]
        for text in sent:
            await send(here, world.scope, text)
        await send(there, world.scope, "back")
        for viewer in (*mine, *theirs):
            await soon(partial(shows, viewer, "back"))
            assert viewer.texts == [*sent, "back"]


async def test_a_toast_arrives_unchanged(world: World) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    for text in UNUSUAL_TEXTS:
        scope = f"{world.scope} {text}"
        html = text.replace("\ud83d", "") * 2
        toast = Toast(scope, "a\"b:'c", html, {text, "somebody"})
        with viewing(there, scope, text, "another") as (theirs, another):
            await there.ready(scope)
            await hub_of(here).toasts.send(toast)
            await soon(partial(shows, theirs, html))
            assert (theirs.shown, another.shown) == ([toast], [])


async def test_the_longest_toast_for_many_users_arrives(world: World) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    audience = frozenset(f"user-{number}" for number in range(2_000))
    with viewing(there, world.scope, "user-7", "user-x") as (theirs, another):
        await there.ready(world.scope)
        await send(here, world.scope, "é" * (LONGEST_TOAST // 2), audience=audience)
        await soon(lambda: theirs.shown)
        assert theirs.shown[0].audience == audience
        assert another.shown == []


async def test_a_toast_is_no_change(world: World) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    with viewing(there, world.scope, None) as (theirs,), there.subscribe(world.scope) as subscription:
        await there.ready(world.scope)
        before = there.cursor(world.scope)
        await send(here, world.scope, "first")
        await soon(lambda: theirs.shown)
        assert subscription.drain() == []
        with there.subscribe(world.scope, after=before) as late:
            assert late.drain() == []
        assert {each.session_id for each in there.presence(world.scope)} == {"tab"}


async def test_who_joins_later_is_not_shown_it(world: World) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    await send(here, world.scope, "before")
    with viewing(there, world.scope, None, None) as (theirs, last):
        await there.ready(world.scope)
        await send(here, world.scope, "now")
        await soon(lambda: theirs.shown and last.shown)
        theirs.leave()
        await send(here, world.scope, "meanwhile")
        await soon(lambda: "meanwhile" in last.texts)  # it has arrived in this process
    third = world.process()
    await level(third)
    with viewing(there, world.scope, None) as (again,), viewing(third, world.scope, None) as (newcomer,):
        for bus in (there, third):
            await bus.ready(world.scope)
        await send(here, world.scope, "after")
        await soon(lambda: again.shown and newcomer.shown)
    assert [theirs.texts, again.texts, newcomer.texts] == [["now"], ["after"], ["after"]]


async def test_nothing_is_shown_again_after_the_connection_to_the_engine_was_lost(shared: World) -> None:
    here, there = shared.process(), shared.impatient_process()
    await level(here, there)
    with viewing(there, shared.scope, None) as (theirs,):
        await there.ready(shared.scope)
        await send(here, shared.scope, "first")
        await soon(lambda: theirs.shown)
        connections = there.health().connections
        await anyio.to_thread.run_sync(disconnect_all, shared)
        await soon(lambda: there.health().connections > connections and there.health().connected)
        await there.emit(ChangeEvent(shared.scope, {"x"}))  # its scope is attached again
        with there.subscribe(shared.scope) as subscription:
            await here.emit(ChangeEvent(shared.scope, {"y"}))
            await soon(lambda: any("y" in event.changed_paths for event in subscription.drain()))
        await send(here, shared.scope, "second")
        await soon(lambda: "second" in theirs.texts)
        assert theirs.texts == ["first", "second"]


def disconnect_all(world: World) -> None:
    """Cut all connections to the engine, which keeps its data."""
    if world.kind == REDIS:
        with Redis.from_url(world.url) as admin:
            for kind in ("normal", "pubsub"):
                admin.client_kill_filter(_type=kind, skipme=True)
        return
    with psycopg.connect(world.url, autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")


async def test_a_program_without_a_started_bus_sends_toasts(shared: World) -> None:
    there = shared.process()
    await level(there)
    script = ReactiveBus.from_url(shared.url)
    with viewing(there, shared.scope, "ann", "bob") as (ann, bob):
        await there.ready(shared.scope)
        toast = Toast(shared.scope, "toasts", "from a script", {"ann"})
        await anyio.to_thread.run_sync(hub_of(script).toasts.send_sync, toast)
        await soon(lambda: ann.shown)
        assert (ann.shown, bob.shown) == ([toast], [])
    await anyio.to_thread.run_sync(script.stop)


# When the engine cannot be reached


def memory_bus(server: Server, *, patience: float = 20.0) -> ReactiveBus:
    return ReactiveBus(relay=Bridge(MemoryEngine(server), heartbeat=0.05, lease=1.0, patience=patience))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def started(stack: ExitStack, bus: ReactiveBus) -> ReactiveBus:
    bus.start()
    stack.callback(bus.stop)
    return bus


async def test_a_toast_that_cannot_be_sent_is_reported_and_not_sent_later(server: Server, stack: ExitStack) -> None:
    bus = started(stack, memory_bus(server, patience=0.2))
    await level(bus)
    with viewing(bus, "s", None) as (viewer,):
        await bus.ready("s")
        server.kill()
        await soon(lambda: not bus.health().connected)
        with pytest.raises(EmitTimeoutError, match=r"toast for 's' within 0.2 s, and it is not kept"):
            await send(bus, "s", "lost")
        server.start()
        await soon(lambda: bus.health().connected)
        await send(bus, "s", "found")
        await soon(lambda: viewer.shown)
        assert viewer.texts == ["found"]


async def test_a_short_interruption_delays_a_toast(server: Server, stack: ExitStack) -> None:
    bus = started(stack, memory_bus(server))
    await level(bus)
    with viewing(bus, "s", None) as (viewer,):
        await bus.ready("s")
        server.kill()
        await soon(lambda: not bus.health().connected)
        hub_of(bus).toasts.send_sync(Toast("s", "toasts", "late"))
        server.start()
        await soon(lambda: viewer.shown)
        assert viewer.texts == ["late"]


async def test_a_toast_that_may_have_been_sent_is_not_sent_again(server: Server, stack: ExitStack) -> None:
    bus, other = started(stack, memory_bus(server)), started(stack, memory_bus(server))
    await level(bus, other)
    sent = threading.Event()
    with viewing(other, "s", None) as (viewer,):
        await other.ready("s")

        def deliver_and_fail(scope: str | None, message: object) -> None:
            deliver(scope, message)  # type: ignore[arg-type]
            if isinstance(message, Toast) and not sent.is_set():
                sent.set()
                raise ConnectionResetError("the answer is lost")

        deliver, server.deliver = server.deliver, deliver_and_fail  # type: ignore[method-assign]
        connections = bus.health().connections
        hub_of(bus).toasts.send_sync(Toast("s", "toasts", "once"))
        await soon(sent.is_set)
        await soon(lambda: bus.health().connections > connections)
        await send(bus, "s", "next")
        await soon(lambda: "next" in viewer.texts)
        assert viewer.texts == ["once", "next"]


def test_a_script_whose_engine_is_down_is_told_and_keeps_no_toast(server: Server) -> None:
    server.kill()
    bus = memory_bus(server, patience=0.1)
    with pytest.raises(EmitTimeoutError, match="toast for 's', which is not kept: the server is down"):
        hub_of(bus).toasts.send_sync(Toast("s", "toasts", "lost"))
    assert bus.health().waiting == 0
    delivered: list[object] = []
    server.start()
    server.deliver = lambda scope, message: delivered.append(message)  # type: ignore[method-assign]
    bus.stop()
    assert delivered == []


def test_a_forked_child_does_not_send_the_toasts_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = ToastQueue()
    queue.add(WaitingToast(Toast("s", "toasts", "of the parent"), float("inf"), None))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert queue.take() == []
    assert not queue


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_a_signal_handler_emits_while_a_toast_is_sent_is_sent_after_it(server: Server, is_lost: bool) -> None:
    bus = memory_bus(server)
    deliver = server.deliver

    def deliver_and_interrupt(scope: str | None, message: object) -> None:
        deliver(scope, message)  # type: ignore[arg-type]
        if isinstance(message, Toast):
            bus.emit_sync(ChangeEvent("s", {"a"}))
            if is_lost:
                raise ConnectionResetError("the answer is lost")

    server.deliver = deliver_and_interrupt  # type: ignore[method-assign]
    with pytest.raises(EmitTimeoutError) if is_lost else nullcontext():
        hub_of(bus).toasts.send_sync(Toast("s", "toasts", "x"))
    assert [record.path for record in server.history("s").records] == ["a"]
    bus.stop()
