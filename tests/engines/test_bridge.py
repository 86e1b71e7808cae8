"""The relay, on an engine in memory that is made to fail."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from starlette_reactive import ChangeEvent, ConnectionInfo, EmitTimeoutError, OutboxFullError, ReactiveBus, Subscription
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._engines import Bridge, Publisher
from starlette_reactive._engines import heartbeat as heartbeat_module
from starlette_reactive._engines.engine import Sender

from ..support import eventually
from .engine import MemoryEngine, Server

pytestmark = pytest.mark.anyio

ALL = frozenset({"*"})


@pytest.fixture
def server() -> Server:
    return Server()


@contextmanager
def buses(server: Server, number: int, **options: float) -> Iterator[list[ReactiveBus]]:
    """Start the buses of some processes."""
    options = {"heartbeat": 0.1, "lease": 1.0, "patience": 20.0} | options
    with ExitStack() as stack:
        made = [ReactiveBus(relay=Bridge(MemoryEngine(server), **options)) for _ in range(number)]
        for bus in made:
            stack.callback(bus.stop)
            bus.start()
        yield made


async def connected(*each: ReactiveBus) -> None:
    await eventually(lambda: all(bus.health().connected for bus in each))
    await eventually(lambda: not any(hub_of(bus).latest_cursor().endswith("unknown") for bus in each))


async def test_an_emit_reaches_every_process(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with here.subscribe("s") as mine, there.subscribe("s") as theirs:
            assert await here.ready("s")
            assert await there.ready("s")
            event = ChangeEvent("s", {"a"}, "origin", {"user"})
            with here.subscribe("s", connection=ConnectionInfo("tab", "user")) as of_user:
                await here.emit(event)
                with anyio.fail_after(20):
                    assert await anext(of_user) == event
            await here.emit(ChangeEvent("s", {"b"}))
            with anyio.fail_after(20):
                assert await anext(mine) == await anext(theirs) == ChangeEvent("s", {"b"})
        assert here.emitted_count == 2
        assert there.emitted_count == 0


async def test_a_cursor_has_the_epoch_and_the_level_of_one_moment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buses(server, 1) as (bus,):
        await connected(bus)
        hub = hub_of(bus)
        assert hub.link is not None
        replica, held = hub.link.replica, list[bool]()
        compute = replica.latest_cursor

        def observed() -> str:
            held.append(hub._inbox._lock.locked())  # else the engine may begin a new epoch between the two
            return compute()

        monkeypatch.setattr(replica, "latest_cursor", observed)
        hub.latest_cursor()
        assert held == [True]


async def test_a_cursor_is_valid_in_every_process(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        await here.emit(ChangeEvent("s", {"before"}))
        cursor = await here.cursor_now("s")
        await here.emit(ChangeEvent("s", {"a"}))
        await here.emit(ChangeEvent("s", {"b"}))
        await there.ready("s")
        with there.subscribe("s", after=cursor) as late, anyio.fail_after(20):
            assert (await anext(late)).changed_paths == {"a", "b"}
        with there.subscribe("s", after=await there.cursor_now("s")) as newest:
            assert newest.drain() == []


async def test_a_subscription_to_a_scope_that_is_not_loaded_misses_nothing(server: Server) -> None:
    server.attach_delay = 0.05
    with buses(server, 2) as (here, there):
        await connected(here, there)
        cursor = await here.cursor_now("s")
        await here.emit(ChangeEvent("s", {"a"}))
        with there.subscribe("s", after=cursor) as early:
            for number in range(20):
                await here.emit(ChangeEvent("s", {f"p{number}"}))
                await anyio.sleep(0.004)
            seen: set[str] = set()
            with anyio.fail_after(20):
                while len(seen) < 21:
                    seen |= (await anext(early)).changed_paths
            assert "*" not in seen


async def test_events_emitted_while_the_connection_is_cut_are_delivered(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")
            for number in range(30):
                await here.emit(ChangeEvent("s", {f"p{number}"}))
                if number % 7 == 0:
                    server.cut()
            seen: set[str] = set()
            with anyio.fail_after(20):
                while len(seen) < 30:
                    seen |= (await anext(theirs)).changed_paths
            assert "*" not in seen


async def test_after_the_engine_lost_its_data_everything_is_rendered(server: Server) -> None:
    with buses(server, 1) as (bus,):
        await connected(bus)
        with bus.subscribe("s") as subscription:
            await bus.ready("s")
            cursor = bus.cursor("s")
            server.kill()
            server.start(with_data=False)
            with anyio.fail_after(20):
                assert (await anext(subscription)).changed_paths == ALL
            with bus.subscribe("s", after=cursor) as returning, anyio.fail_after(20):
                assert (await anext(returning)).changed_paths == ALL


async def test_the_next_event_reveals_a_lost_event(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")
            server.losing = True
            await here.emit(ChangeEvent("s", {"lost"}))
            server.losing = False
            await here.emit(ChangeEvent("s", {"next"}))
            with anyio.fail_after(20):
                assert (await anext(theirs)).changed_paths in (ALL, {"lost"})


async def test_the_position_check_reveals_a_lost_event(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_module, "_CHECK_INTERVAL", 0.05)
    with buses(server, 2, heartbeat=0.5) as (here, there):  # long enough for no session to end while messages get lost
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")
            server.losing = True
            await here.emit(ChangeEvent("s", {"lost"}))
            server.losing = False
            with anyio.fail_after(20):
                assert (await anext(theirs)).changed_paths == ALL


async def test_a_silent_session_is_ended(server: Server) -> None:
    with buses(server, 1, heartbeat=0.02) as (bus,):
        await connected(bus)
        server.frozen.set()
        await eventually(lambda: not bus.health().connected)
        assert bus.health().last_error is not None
        server.frozen.clear()
        await eventually(lambda: bus.health().connected)
        assert bus.health().connections > 1


async def test_events_wait_while_the_engine_is_down_and_are_sent_when_it_is_back(server: Server) -> None:
    with buses(server, 2, patience=0.2) as (here, there):
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")
            server.kill()
            with pytest.raises(EmitTimeoutError, match="memory-server has not accepted the change of 's'"):
                await here.emit(ChangeEvent("s", {"a"}))
            for number in range(1000):
                here.emit_sync(ChangeEvent("s", {f"p{number % 5}"}))
            await eventually(lambda: here.health().waiting == 1)
            server.start()
            seen: set[str] = set()
            with anyio.fail_after(20):
                while len(seen) < 6:
                    seen |= (await anext(theirs)).changed_paths
            await eventually(lambda: here.health().waiting == 0)


async def test_a_full_outbox_refuses_events(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._engines.outbox.SCOPE_LIMIT", 3)
    server.up = False
    with buses(server, 1) as (bus,):
        for number in range(3):
            bus.emit_sync(ChangeEvent(f"s{number}", {"a"}))
        await eventually(lambda: bus.health().waiting == 3)
        with pytest.raises(OutboxFullError, match="was not taken"):
            bus.emit_sync(ChangeEvent("s4", {"a"}))
        server.up = True


async def test_presence_covers_all_processes(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        one, other = ConnectionInfo("one", "anna"), ConnectionInfo("other", "ben")
        with here.subscribe("s", connection=one) as _:
            with there.subscribe("s", connection=other):
                await eventually(lambda: {each.session_id for each in here.presence("s")} == {"one", "other"})
                await eventually(lambda: {each.session_id for each in there.presence("s")} == {"one", "other"})
                [remote] = [each for each in here.presence("s") if each.session_id == "other"]
                assert remote.user_id == "ben"
                assert abs(remote.connected_at - other.connected_at) < 0.5
            await eventually(lambda: {each.session_id for each in here.presence("s")} == {"one"})
        await eventually(lambda: not there.presence("s"))


async def test_presence_now_asks_the_engine_about_a_scope_without_viewers_here(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with here.subscribe("s", connection=ConnectionInfo("one")):
            await eventually(lambda: server.rosters.get("s"))
            assert {each.session_id for each in await there.presence_now("s")} == {"one"}


async def test_a_member_that_joins_while_the_roster_is_loading_is_shown(server: Server) -> None:
    server.attach_delay = 0.05
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s"):
            await anyio.sleep(0.02)
            with here.subscribe("s", connection=ConnectionInfo("late")):
                await eventually(lambda: {each.session_id for each in there.presence("s")} == {"late"})


@asynccontextmanager
async def viewed_in_another_process(server: Server) -> AsyncIterator[tuple[ReactiveBus, ReactiveBus, Subscription]]:
    """Yield two buses and a subscription of the first to a scope that is viewed in the second."""
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s", connection=ConnectionInfo("viewer")), here.subscribe("s") as mine:
            await eventually(lambda: len(here.presence("s")) == 1)
            mine.drain()
            yield here, there, mine


def bridge_of(bus: ReactiveBus) -> Any:
    link = hub_of(bus).link
    assert link is not None
    return link.relay


def process_of(bus: ReactiveBus) -> str:
    return str(bridge_of(bus)._process)


async def test_the_members_of_a_dead_process_are_removed_and_their_scopes_rendered(server: Server) -> None:
    async with viewed_in_another_process(server) as (here, dying, mine):
        with anyio.fail_after(20):
            while here.presence("s"):
                server.leases.pop(process_of(dying), None)
                await anyio.sleep(0.001)
            assert (await anext(mine)).changed_paths == ALL


async def test_a_member_that_reuses_a_key_replaces_the_former_one(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        relay = bridge_of(here)
        with there.subscribe("s"):
            await there.ready("s")
            relay.join("s", 1, ConnectionInfo("one", "anna"))
            await eventually(lambda: {each.user_id for each in there.presence("s")} == {"anna"})
            relay.leave("s", 1)
            relay.join("s", 1, ConnectionInfo("other", "ben"))
            await eventually(lambda: {each.user_id for each in there.presence("s")} == {"ben"})


async def test_members_lost_while_the_connection_was_cut_cause_a_render(server: Server) -> None:
    async with viewed_in_another_process(server) as (here, _, mine):
        with server.lock:
            server.rosters.clear()
            for session in [each for each in server.sessions if each.process == process_of(here)]:
                session.disconnect()
        await eventually(lambda: not here.presence("s"))
        with anyio.fail_after(20):
            assert (await anext(mine)).changed_paths == ALL


async def test_a_process_that_was_taken_for_dead_enrolls_its_members_again_and_pages_render(server: Server) -> None:
    with buses(server, 1) as (here,), buses(server, 1, lease=0.4) as (sleepy,):
        await connected(here, sleepy)
        with sleepy.subscribe("s", connection=ConnectionInfo("one")), here.subscribe("s") as mine:
            await eventually(lambda: len(here.presence("s")) == 1)
            asleep = bridge_of(sleepy)
            awake = threading.Event()
            asleep._thread.post(lambda: awake.wait(60))  # block the whole relay
            await eventually(lambda: not here.presence("s"))
            mine.drain()
            awake.set()
            await eventually(lambda: len(here.presence("s")) == 1)
            with anyio.fail_after(20):
                assert (await anext(mine)).changed_paths == ALL


async def test_after_the_engine_lost_its_data_members_are_enrolled_again(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with here.subscribe("s", connection=ConnectionInfo("one")), there.subscribe("s"):
            await eventually(lambda: len(there.presence("s")) == 1)
            server.kill()
            server.start(with_data=False)
            await eventually(lambda: there.health().connections >= 2)
            await eventually(lambda: {each.session_id for each in there.presence("s")} == {"one"})


async def test_close_user_reaches_all_processes(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with (
            there.subscribe("s", connection=ConnectionInfo("a", "anna")) as annas,
            there.subscribe("t", connection=ConnectionInfo("b", "ben")) as bens,
        ):
            assert here.close_user("anna") == 0
            with anyio.fail_after(20):
                async for _ in annas:
                    pass
            assert there.presence("t")
            there.close_user("ben", scope="s")
            assert there.presence("t")
            bens.close()


async def test_a_scope_without_viewers_is_detached_after_a_while(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "_LINGER", 0.1)
    with buses(server, 1) as (bus,):
        await connected(bus)
        for _ in range(3):
            with bus.subscribe("s"):
                assert await bus.ready("s")
                await eventually(lambda: any("s" in session.attached for session in server.sessions))
            await eventually(lambda: not any("s" in session.attached for session in server.sessions))


async def test_many_threads_can_emit_at_once(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")

            def emit_ten(first: int) -> None:
                for number in range(10):
                    here.emit_sync(ChangeEvent("s", {f"p{first + number}"}))

            threads = [threading.Thread(target=emit_ten, args=(first,)) for first in range(0, 100, 10)]
            for thread in threads:
                thread.start()
            seen: set[str] = set()
            with anyio.fail_after(20):
                while len(seen) < 100:
                    seen |= (await anext(theirs)).changed_paths


async def test_a_stopped_bus_connects_again_when_it_is_used(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")
            here.emit_sync(ChangeEvent("s", {"a"}))
            await anyio.to_thread.run_sync(here.stop)
            assert not here.health().connected
            with anyio.fail_after(20):
                assert (await anext(theirs)).changed_paths == {"a"}
            await here.emit(ChangeEvent("s", {"b"}))
            with anyio.fail_after(20):
                assert (await anext(theirs)).changed_paths == {"b"}


async def test_waiting_for_an_unreachable_engine_times_out_and_leaves_no_waiters(server: Server) -> None:
    server.up = False
    with buses(server, 1, patience=0.05) as (bus,):
        assert not await bus.ready("s")
        with anyio.move_on_after(0.01):
            await bus.ready("s")
        assert hub_of(bus)._levels._waiters == {}
        assert (await bus.cursor_now("s")).endswith("unknown")


async def test_a_relay_serves_only_one_bus(server: Server) -> None:
    relay = Bridge(MemoryEngine(server))
    ReactiveBus(relay=relay)
    with pytest.raises(ValueError, match="serves another bus"):
        ReactiveBus(relay=relay)


async def test_observers_see_each_delivered_event(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        seen: list[ChangeEvent] = []
        end = there.observe(seen.append)
        with there.subscribe("s"):
            await there.ready("s")
            await here.emit(ChangeEvent("s", {"a"}))
            await eventually(lambda: seen == [ChangeEvent("s", {"a"})])
            end()
            await here.emit(ChangeEvent("s", {"b"}))
            await there.cursor_now("s")
            assert len(seen) == 1


def test_a_publisher_waits_until_the_engine_has_accepted_the_event(server: Server) -> None:
    with Publisher(MemoryEngine(server), patience=1.5) as publisher:
        publisher.emit("s", "a", "b", audience=["anna"])
        assert {key[1] for key in server.scopes["s"].records} == {"a", "b"}
        server.kill()
        with pytest.raises(EmitTimeoutError, match="the server is down"):
            publisher.emit("s", "c")
        server.start()
        publisher.emit("s", "c")
        assert len(server.scopes["s"].records) == 3


def test_a_publisher_whose_pause_exceeds_the_deadline_never_connects_with_a_negative_timeout(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    class Away(MemoryEngine):
        def open_sender(self, timeout: float) -> Sender:
            given.append(timeout)
            raise ConnectionRefusedError("the server is down")

    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda _: sleep(2.1))
    with Publisher(Away(server), patience=2) as publisher, pytest.raises(EmitTimeoutError, match="the server is down"):
        publisher.emit("s", "a")
    assert len(given) == 2
    assert min(given) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_connects_on_its_own() -> None:
    server = Server()
    with buses(server, 1) as (bus,):
        while not bus.health().connected:
            time.sleep(0.001)
        mine = process_of(bus)
        child = os.fork()
        if child == 0:
            server.lock = threading.Lock()  # the engine is in this process, and the fork may have copied a held lock
            bus.start()
            bus.emit_sync(ChangeEvent("s", {"a"}))
            until = time.monotonic() + 20
            while not server.scopes and time.monotonic() < until:
                time.sleep(0.001)
            fresh = process_of(bus) != mine
            os._exit(0 if server.scopes and fresh else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert not server.scopes


def test_a_signal_handler_can_emit() -> None:
    server = Server()
    with buses(server, 1) as (bus,):
        before = signal.signal(signal.SIGUSR1, lambda *_: bus.emit_sync(ChangeEvent("signal", {"a"})))
        try:
            for _ in range(50):
                os.kill(os.getpid(), signal.SIGUSR1)
                bus.emit_sync(ChangeEvent("s", {"a"}))
        finally:
            signal.signal(signal.SIGUSR1, before)
        until = time.monotonic() + 20
        while set(server.scopes) != {"signal", "s"} and time.monotonic() < until:
            time.sleep(0.001)
        assert set(server.scopes) == {"signal", "s"}
