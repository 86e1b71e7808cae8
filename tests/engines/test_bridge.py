"""The relay between a bus and any engine, on an engine in memory that is made to fail."""

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
from starlette_reactive._engines.outbox import Outbox

from ..support import eventually
from .engine import MemoryEngine, Server

pytestmark = pytest.mark.anyio

ALL = frozenset({"*"})


@pytest.fixture
def server() -> Server:
    return Server()


@contextmanager
def buses(server: Server, number: int, **options: float) -> Iterator[list[ReactiveBus]]:
    """Buses of as many processes."""
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


async def test_a_cursor_of_one_process_means_the_same_in_another(server: Server) -> None:
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


async def test_a_subscription_that_begins_before_its_scope_is_level_misses_nothing(server: Server) -> None:
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


async def test_what_happened_while_the_connection_was_cut_is_told(server: Server) -> None:
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


async def test_after_the_engine_lost_its_memory_everybody_is_told_everything(server: Server) -> None:
    with buses(server, 1) as (bus,):
        await connected(bus)
        with bus.subscribe("s") as subscription:
            await bus.ready("s")
            cursor = bus.cursor("s")
            server.kill()
            server.start(with_memory=False)
            with anyio.fail_after(20):
                assert (await anext(subscription)).changed_paths == ALL
            with bus.subscribe("s", after=cursor) as returning, anyio.fail_after(20):
                assert (await anext(returning)).changed_paths == ALL


async def test_an_event_that_got_lost_on_the_way_is_noticed_by_the_next(server: Server) -> None:
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


async def test_an_event_that_got_lost_is_noticed_by_the_check_of_positions(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "_CHECK_INTERVAL", 0.05)
    with buses(server, 2, heartbeat=0.5) as (here, there):  # so seldom that no session ends while the server is silent
        await connected(here, there)
        with there.subscribe("s") as theirs:
            await there.ready("s")
            server.losing = True
            await here.emit(ChangeEvent("s", {"lost"}))
            server.losing = False
            with anyio.fail_after(20):
                assert (await anext(theirs)).changed_paths == ALL


async def test_silence_ends_a_session(server: Server) -> None:
    with buses(server, 1, heartbeat=0.02) as (bus,):
        await connected(bus)
        server.frozen.set()
        await eventually(lambda: not bus.health().connected)
        assert bus.health().last_error is not None
        server.frozen.clear()
        await eventually(lambda: bus.health().connected)
        assert bus.health().connections > 1


async def test_emits_wait_while_the_engine_is_away_and_are_sent_when_it_is_back(server: Server) -> None:
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


async def test_more_than_is_kept_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._engines.outbox.SCOPE_LIMIT", 3)
    server.up = False
    with buses(server, 1) as (bus,):
        for number in range(3):
            bus.emit_sync(ChangeEvent(f"s{number}", {"a"}))
        await eventually(lambda: bus.health().waiting == 3)
        with pytest.raises(OutboxFullError, match="was not taken"):
            bus.emit_sync(ChangeEvent("s4", {"a"}))


async def test_presence_is_that_of_all_processes(server: Server) -> None:
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


async def test_a_process_that_nobody_views_a_scope_in_can_ask_who_does(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with here.subscribe("s", connection=ConnectionInfo("one")):
            await eventually(lambda: server.rosters.get("s"))
            assert {each.session_id for each in await there.presence_now("s")} == {"one"}


async def test_a_viewer_who_comes_while_others_are_asked_for_is_shown(server: Server) -> None:
    server.attach_delay = 0.05
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with there.subscribe("s"):
            await anyio.sleep(0.02)
            with here.subscribe("s", connection=ConnectionInfo("late")):
                await eventually(lambda: {each.session_id for each in there.presence("s")} == {"late"})


@asynccontextmanager
async def viewed_from_elsewhere(server: Server) -> AsyncIterator[tuple[ReactiveBus, ReactiveBus, Subscription]]:
    """A process, another one in which somebody views a scope, and what the first is told of it from then on."""
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


async def test_the_viewers_of_a_process_that_died_are_gone_and_pages_are_told(server: Server) -> None:
    async with viewed_from_elsewhere(server) as (here, dying, mine):
        with anyio.fail_after(20):
            while here.presence("s"):
                server.leases.pop(process_of(dying), None)
                await anyio.sleep(0.001)
            assert (await anext(mine)).changed_paths == ALL


async def test_a_viewer_who_takes_the_key_of_another_is_shown(server: Server) -> None:
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


async def test_pages_are_told_of_a_process_that_died_while_the_connection_was_cut(server: Server) -> None:
    async with viewed_from_elsewhere(server) as (here, _, mine):
        with server.lock:
            server.rosters.clear()
            for session in [each for each in server.sessions if each.process == process_of(here)]:
                session.break_off()
        await eventually(lambda: not here.presence("s"))
        with anyio.fail_after(20):
            assert (await anext(mine)).changed_paths == ALL


async def test_a_process_that_was_taken_for_dead_shows_its_viewers_again_and_pages_are_told(server: Server) -> None:
    with buses(server, 1) as (here,), buses(server, 1, lease=0.4) as (sleepy,):
        await connected(here, sleepy)
        with sleepy.subscribe("s", connection=ConnectionInfo("one")), here.subscribe("s") as mine:
            await eventually(lambda: len(here.presence("s")) == 1)
            asleep = bridge_of(sleepy)
            awake = threading.Event()
            asleep._thread.post(lambda: awake.wait(60))  # nothing of the process goes on
            await eventually(lambda: not here.presence("s"))
            mine.drain()
            awake.set()
            await eventually(lambda: len(here.presence("s")) == 1)
            with anyio.fail_after(20):
                assert (await anext(mine)).changed_paths == ALL


async def test_after_the_engine_lost_its_memory_viewers_are_shown_again(server: Server) -> None:
    with buses(server, 2) as (here, there):
        await connected(here, there)
        with here.subscribe("s", connection=ConnectionInfo("one")), there.subscribe("s"):
            await eventually(lambda: len(there.presence("s")) == 1)
            server.kill()
            server.start(with_memory=False)
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


async def test_a_scope_that_nobody_views_is_let_go_after_a_while(
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


async def test_many_threads_may_emit_at_once(server: Server) -> None:
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


async def test_a_bus_that_was_stopped_connects_again_when_it_is_used(server: Server) -> None:
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


async def test_whoever_waits_for_an_engine_that_stays_away_gives_up_and_leaves_nothing(server: Server) -> None:
    server.up = False
    with buses(server, 1, patience=0.05) as (bus,):
        assert not await bus.ready("s")
        with anyio.move_on_after(0.01):
            await bus.ready("s")
        assert hub_of(bus)._levels._waiters == {}
        assert (await bus.cursor_now("s")).endswith("unknown")


async def test_a_relay_serves_one_bus(server: Server) -> None:
    relay = Bridge(MemoryEngine(server))
    ReactiveBus(relay=relay)
    with pytest.raises(ValueError, match="serves another bus"):
        ReactiveBus(relay=relay)


async def test_observers_see_each_event_that_is_delivered(server: Server) -> None:
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


def test_a_publisher_waits_until_the_engine_has_accepted(server: Server) -> None:
    with Publisher(MemoryEngine(server), patience=1.5) as publisher:
        publisher.emit("s", "a", "b", audience=["anna"])
        assert {key[1] for key in server.scopes["s"].records} == {"a", "b"}
        server.kill()
        with pytest.raises(EmitTimeoutError, match="nobody listens"):
            publisher.emit("s", "c")
        server.start()
        publisher.emit("s", "c")
        assert len(server.scopes["s"].records) == 3


def test_a_publisher_that_slept_for_too_long_still_gives_time_to_connect(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    class Away(MemoryEngine):
        def open_sender(self, timeout: float) -> Sender:
            given.append(timeout)
            raise ConnectionRefusedError("nobody listens")

    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda _: sleep(2.1))
    with Publisher(Away(server), patience=2) as publisher, pytest.raises(EmitTimeoutError, match="nobody listens"):
        publisher.emit("s", "a")
    assert len(given) == 2
    assert min(given) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_connects_for_itself() -> None:
    server = Server()
    with buses(server, 1) as (bus,):
        while not bus.health().connected:
            time.sleep(0.001)
        mine = process_of(bus)
        child = os.fork()
        if child == 0:
            server.lock = threading.Lock()  # the engine is this process itself here, and its lock may be held
            bus.emit_sync(ChangeEvent("s", {"a"}))
            until = time.monotonic() + 20
            while not server.scopes and time.monotonic() < until:
                time.sleep(0.001)
            fresh = process_of(bus) != mine
            os._exit(0 if server.scopes and fresh else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert not server.scopes


def test_an_emit_in_a_signal_handler_is_taken() -> None:
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


# What waits


def test_what_waits_is_merged_by_scope_origin_and_audience() -> None:
    outbox = Outbox()
    for event in (
        ChangeEvent("s", {"a"}),
        ChangeEvent("s", {"b"}),
        ChangeEvent("s", {"c"}, "x"),
        ChangeEvent("t", {"d"}, None, {"u"}),
    ):
        outbox.put(event, [])
    assert len(outbox) == 3
    assert [letter.event for letter in outbox.take(10)] == [
        ChangeEvent("s", {"a", "b"}),
        ChangeEvent("s", {"c"}, "x"),
        ChangeEvent("t", {"d"}, None, {"u"}),
    ]
    assert len(outbox) == 0


def test_too_many_letters_of_a_scope_become_one_for_everybody() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(ChangeEvent("s", {"a"}, f"tab{number}"), [])
    letters = outbox.take(200)
    assert letters[0].event == ChangeEvent("s", {"a"})
    assert len(letters) < 50
    assert len(outbox) == 0


def test_too_many_paths_become_all() -> None:
    outbox = Outbox()
    for number in range(300):
        outbox.put(ChangeEvent("s", {f"p{number}"}), [])
    assert "*" in outbox.take(1)[0].event.changed_paths


def test_what_could_not_be_sent_waits_again_before_what_came_since() -> None:
    outbox = Outbox()
    told: list[str] = []
    outbox.put(ChangeEvent("s", {"a"}), [lambda: told.append("a")])
    letters = outbox.take(10)
    outbox.put(ChangeEvent("s", {"b"}), [lambda: told.append("b")])
    outbox.put(ChangeEvent("t", {"c"}), [])
    outbox.put_back(letters)
    first, second = outbox.take(10)
    assert (first.event, second.event) == (ChangeEvent("s", {"a", "b"}), ChangeEvent("t", {"c"}))
    for accepted in first.accepted:
        accepted()
    assert told == ["a", "b"]
