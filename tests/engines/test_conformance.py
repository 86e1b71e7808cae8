"""What holds for a bus on every engine, and for a bus without one.

``here`` and ``there`` are two processes. In memory they are the same.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import anyio
import anyio.to_thread
import pytest

from starlette_reactive import (
    ChangeEvent,
    ConnectionInfo,
    DependencyIndex,
    EmitTimeoutError,
    ReactiveBus,
    Subscription,
    reactive_stream,
)
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.events import LONGEST_ORIGIN
from starlette_reactive._engines import Publisher
from starlette_reactive._engines import heartbeat as heartbeat_module

from ..support import connect, environment
from .conftest import MEMORY, POSTGRES, World, level, soon

ALL = frozenset({"*"})
UNUSUAL_TEXTS = [
    "plain",
    "with: colons, spaces and 'quotes' \"of\" both kinds",
    "back\\slash %percent% {brace} [bracket] *star* ?",
    "two\nlines\tand\ra return",
    "ünïcödé 東京 🗺️ \u200b\u2028",
    "-1",
    "null",
    "'; DROP TABLE scopes; --",
    "x" * 300,
    "nul \0 and \x7f",
    "half a \ud83d pair",
]


async def take(subscription: Subscription, timeout: float = 60) -> ChangeEvent:
    with anyio.fail_after(timeout):
        return await anext(subscription)


async def take_next(world: World, subscription: Subscription, path: str) -> None:
    """Take an event for a path. On PostgreSQL, an event may repeat: a cursor may be older than the last event."""
    if world.kind == POSTGRES:
        await take_until(subscription, path)
    else:
        assert (await take(subscription)).changed_paths == {path}


async def take_until(subscription: Subscription, *paths: str, timeout: float = 60) -> list[ChangeEvent]:
    """Take events until they contain all of these paths, and return them."""
    events: list[ChangeEvent] = []
    with anyio.fail_after(timeout):
        while not set(paths) <= {path for event in events for path in event.changed_paths}:
            events.append(await anext(subscription))
    return events


async def processes(world: World, number: int, **options: Any) -> list[ReactiveBus]:
    buses = [world.process(**options) for _ in range(number)]
    await level(*buses)
    return buses


# Delivery


async def test_an_emit_reaches_every_process_in_order(world: World) -> None:
    here, there = await processes(world, 2)
    with here.subscribe(world.scope) as mine, there.subscribe(world.scope) as theirs:
        await here.ready(world.scope)
        await there.ready(world.scope)
        events = [ChangeEvent(world.scope, {f"p{number}", "same"}) for number in range(20)]
        for event in events:
            await here.emit(event)
        for subscription in (mine, theirs):
            assert [await take(subscription) for _ in events] == events


async def test_a_subscription_gets_no_events_of_other_scopes(world: World) -> None:
    here, there = await processes(world, 2)
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope + "x", {"other"}))
        await here.emit(ChangeEvent(world.scope, {"own"}))
        assert (await take(theirs)).changed_paths == {"own"}


async def test_an_event_arrives_unchanged(world: World) -> None:
    here, there = await processes(world, 2)
    for number, text in enumerate(UNUSUAL_TEXTS):
        scope, origin = f"{world.scope} {text}", text[:LONGEST_ORIGIN]
        event = ChangeEvent(scope, {"a.b", f"n{number}", "*"}, origin, {text, "somebody"})
        with there.subscribe(scope, connection=ConnectionInfo("tab", text)) as theirs:
            await there.ready(scope)
            cursor = there.cursor(scope)
            await here.emit(event)
            assert await take(theirs) == event
            with there.subscribe(scope, connection=ConnectionInfo("tab2", text), after=cursor) as late:
                assert (await take(late)).changed_paths == event.changed_paths
            with there.subscribe(scope, connection=ConnectionInfo("tab3", text), origin=origin, after=cursor) as own:
                assert own.drain() == []


async def test_only_the_audience_is_notified(world: World) -> None:
    here, there = await processes(world, 2)
    with ExitStack() as stack:
        ann, bob, nobody = (
            stack.enter_context(there.subscribe(world.scope, connection=connection))
            for connection in (ConnectionInfo("1", "ann"), ConnectionInfo("2", "bob"), None)
        )
        await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"secret"}, audience={"ann"}))
        await here.emit(ChangeEvent(world.scope, {"none"}, audience=set()))
        await here.emit(ChangeEvent(world.scope, {"open"}))
        assert [(await take(ann)).changed_paths for _ in range(2)] == [{"secret"}, {"open"}]
        assert (await take(bob)).changed_paths == {"open"}
        assert (await take(nobody)).changed_paths == {"open"}


async def test_the_origin_is_not_notified_of_its_own_change(world: World) -> None:
    here, there = await processes(world, 2)
    with there.subscribe(world.scope, origin="tab") as own, there.subscribe(world.scope, origin="else") as other:
        await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}, origin="tab"))
        await here.emit(ChangeEvent(world.scope, {"b"}))
        assert (await take(own)).changed_paths == {"b"}
        assert [(await take(other)).changed_paths for _ in range(2)] == [{"a"}, {"b"}]


async def test_an_event_with_many_paths_arrives_complete(world: World) -> None:
    here, there = await processes(world, 2)
    paths = {f"rows.r{number}" for number in range(1000)}
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        cursor = there.cursor(world.scope)
        await here.emit(ChangeEvent(world.scope, paths))
        assert (await take(theirs)).changed_paths == paths
        await here.emit(ChangeEvent(world.scope, {"last"}))
        assert (await take(theirs)).changed_paths == {"last"}
        with there.subscribe(world.scope, after=cursor) as late:
            assert (await take(late)).changed_paths in (ALL, paths | {"last"})


async def test_many_threads_can_emit_at_once(world: World) -> None:
    here, there = await processes(world, 2)
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)

        def emit(thread: int) -> None:
            for number in range(50):
                (here, there)[number % 2].emit_sync(ChangeEvent(world.scope, {f"t{thread}.n{number}"}))

        threads = [threading.Thread(target=emit, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        expected = {f"t{thread}.n{number}" for thread in range(8) for number in range(50)}
        seen = {path for event in await take_until(theirs, *expected) for path in event.changed_paths}
        assert seen == expected
        for thread in threads:
            thread.join()


async def test_thousands_of_scopes_each_get_their_own_events(world: World) -> None:
    here, there = await processes(world, 2)
    scopes = [f"{world.scope}-{number}" for number in range(3000)]
    with ExitStack() as stack:
        subscriptions = [stack.enter_context(there.subscribe(scope)) for scope in scopes]
        for scope in scopes:
            assert await there.ready(scope)
        for scope in scopes:
            here.emit_sync(ChangeEvent(scope, {f"of.{scope}"}))
        for scope, subscription in zip(scopes, subscriptions, strict=True):
            assert await take(subscription) == ChangeEvent(scope, {f"of.{scope}"})
            assert subscription.drain() == []


async def test_observers_see_the_events_delivered_in_their_process(world: World) -> None:
    here, there = await processes(world, 2)
    seen: list[ChangeEvent] = []
    end = there.observe(seen.append)
    with there.subscribe(world.scope):
        await there.ready(world.scope)
        event = ChangeEvent(world.scope, {"a"}, origin="tab", audience={"ann"})
        await here.emit(event)
        await soon(lambda: seen == [event])
        end()


async def test_an_emit_is_counted_in_the_emitting_process(world: World) -> None:
    here, there = await processes(world, 2)
    before = here.emitted_count, there.emitted_count
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}))
        here.emit_sync(ChangeEvent(world.scope, {"b"}))
        await take_until(theirs, "a", "b")
        assert there.subscriber_count == 1
    assert here.emitted_count == before[0] + 2
    assert there.emitted_count == before[1] + (2 if here is there else 0)
    await soon(lambda: there.subscriber_count == 0)


@pytest.mark.parametrize("overflow", ["coalesce", "drop"])
async def test_a_slow_reader_loses_nothing_that_is_not_counted(world: World, overflow: str) -> None:
    dropped: list[ChangeEvent] = []
    there = world.process(maxsize=2, overflow=overflow, on_drop=lambda _, event: dropped.append(event))
    here = world.process()
    await level(here, there)
    seen: list[ChangeEvent] = []
    with there.subscribe(world.scope) as slow:
        await there.ready(world.scope)
        there.observe(seen.append)
        for number in range(5):
            await here.emit(ChangeEvent(world.scope, {f"p{number}"}))
        await soon(lambda: len(seen) == 5)
        waiting = [sorted(event.changed_paths) for event in slow.drain()]
        if overflow == "drop":
            assert waiting == [["p0"], ["p1"]]
            assert (there.dropped_count, there.coalesced_count, len(dropped)) == (3, 0, 3)
        else:
            assert waiting == [["p0"], ["p1", "p2", "p3", "p4"]]
            assert (there.dropped_count, there.coalesced_count, len(dropped)) == (0, 3, 0)


# Cursors and catching up


async def test_changes_after_a_cursor_arrive_as_one_event(world: World) -> None:
    here, there = await processes(world, 2)
    await here.emit(ChangeEvent(world.scope, {"before"}))
    cursor = await here.cursor_now(world.scope)
    for paths in ({"a"}, {"b", "c"}, {"a"}):
        await here.emit(ChangeEvent(world.scope, paths))
    with there.subscribe(world.scope, after=cursor) as late:
        assert (await take(late)).changed_paths == {"a", "b", "c"}
        await here.emit(ChangeEvent(world.scope, {"later"}))
        await take_next(world, late, "later")


async def test_nothing_follows_a_cursor_of_now(world: World) -> None:
    here, there = await processes(world, 2)
    await here.emit(ChangeEvent(world.scope, {"before"}))
    await there.ready(world.scope)
    for cursor in (await here.cursor_now(world.scope), await there.cursor_now(world.scope)):
        with there.subscribe(world.scope, after=cursor) as late:
            assert await there.ready(world.scope)
            assert late.drain() == []


async def test_a_cursor_taken_without_asking_the_engine_misses_nothing(world: World) -> None:
    here, there = await processes(world, 2)
    for number in range(10):
        cursor = there.cursor(world.scope)
        await here.emit(ChangeEvent(world.scope, {f"p{number}"}))
        with there.subscribe(world.scope, after=cursor) as late:
            while not (await take(late)).changed_paths & {f"p{number}", "*"}:
                assert world.kind == POSTGRES  # its cursor may be older than the path before


async def test_a_cursor_is_valid_in_other_scopes(world: World) -> None:
    here, there = await processes(world, 2)
    other = f"{world.scope}-other"
    await here.emit(ChangeEvent(other, {"before"}))
    cursor = await here.cursor_now(world.scope)
    await here.emit(ChangeEvent(other, {"after"}))
    with there.subscribe(other, after=cursor) as late:
        assert "after" in (await take(late)).changed_paths


async def test_catching_up_skips_own_changes_and_those_for_others(world: World) -> None:
    here, there = await processes(world, 2)
    cursor = await here.cursor_now(world.scope)
    await here.emit(ChangeEvent(world.scope, {"both"}, origin="other"))
    await here.emit(ChangeEvent(world.scope, {"both"}, origin="tab"))
    await here.emit(ChangeEvent(world.scope, {"own"}, origin="tab"))
    await here.emit(ChangeEvent(world.scope, {"ann"}, audience={"ann"}))
    await here.emit(ChangeEvent(world.scope, {"bob"}, audience={"bob"}))
    await here.emit(ChangeEvent(world.scope, {"all"}))
    ann = ConnectionInfo("1", "ann")
    with there.subscribe(world.scope, connection=ann, origin="tab", after=cursor) as late:
        assert (await take(late)).changed_paths == {"both", "ann", "all"}
    with there.subscribe(world.scope, after=cursor) as late:
        assert (await take(late)).changed_paths == {"both", "own", "all"}


async def test_a_change_before_the_cursor_is_not_repeated_when_the_origin_changes_the_same_path(world: World) -> None:
    here, there = await processes(world, 2)
    await here.emit(ChangeEvent(world.scope, {"a"}, origin="other"))
    cursor = await here.cursor_now(world.scope)
    await here.emit(ChangeEvent(world.scope, {"a"}, origin="tab"))
    with there.subscribe(world.scope, origin="tab", after=cursor) as late:
        assert await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"later"}))
        assert (await take(late)).changed_paths == {"later"}


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "0-0", "000000000000-5", "unknown", "-", "12-99999999999999999999999"]
)
async def test_an_invalid_cursor_causes_an_event_for_all_paths(world: World, cursor: str) -> None:
    (there,) = await processes(world, 1)
    with there.subscribe(world.scope, after=cursor) as late:
        assert (await take(late)).changed_paths == ALL


async def test_a_cursor_older_than_the_log_causes_an_event_for_all_paths(world: World) -> None:
    here, there = await processes(world, 2)
    cursor = await here.cursor_now(world.scope)
    for number in range(300):
        here.emit_sync(ChangeEvent(world.scope, {f"p{number}"}))
    await here.emit(ChangeEvent(world.scope, {"middle"}))
    later = await here.cursor_now(world.scope)
    await here.emit(ChangeEvent(world.scope, {"last"}))
    with there.subscribe(world.scope, after=cursor) as late:
        assert "*" in (await take(late)).changed_paths
    with there.subscribe(world.scope, after=later) as late:
        assert (await take(late)).changed_paths & {"last", "*"}


async def test_no_change_is_lost_between_a_page_and_its_stream(world: World) -> None:
    """A page takes a cursor and reads its data. Its stream starts later, in any process."""
    here, there = await processes(world, 2)
    state = {"value": 0}
    done = threading.Event()

    def write() -> None:
        for value in range(1, 200):
            state["value"] = value
            here.emit_sync(ChangeEvent(world.scope, {"value"}))
        done.set()

    writer = threading.Thread(target=write)
    with ExitStack() as stack:
        writer.start()
        pages: list[tuple[int, Subscription]] = []
        for number in range(40):
            bus = (here, there)[number % 2]
            cursor = bus.cursor(world.scope)
            shown = state["value"]
            await anyio.sleep(0.001)
            pages.append((shown, stack.enter_context((there, here)[number % 2].subscribe(world.scope, after=cursor))))
        await anyio.to_thread.run_sync(writer.join)
        for shown, subscription in pages:
            if shown < state["value"]:
                assert (await take(subscription)).changed_paths <= {"value", "*"}


async def test_a_detached_scope_catches_up_when_it_is_viewed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat_module, "_LINGER", 0.05)
    here = world.process()
    there = here if world.kind == MEMORY else world.impatient_process()
    await level(here, there)
    with there.subscribe(world.scope) as first:
        await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take(first)
        cursor = there.cursor(world.scope)
    link = hub_of(there).link
    await soon(lambda: link is None or not link.replica.is_open(world.scope))
    await here.emit(ChangeEvent(world.scope, {"b"}))
    with there.subscribe(world.scope, after=cursor) as again:
        await take_next(world, again, "b")
        await here.emit(ChangeEvent(world.scope, {"c"}))
        await take_next(world, again, "c")


# Streams


PAGE = environment(
    page='<h1 id="title">{% block title %}{{ title }}{% endblock %}</h1>'
    '<p id="count">{% block count %}{{ count }}{% endblock %}</p>'
)


def streams(scope: str, state: Mapping[str, Any]) -> Callable[..., Any]:
    index = DependencyIndex()
    index.register_template(PAGE, "page.html")

    async def context(paths: frozenset[str]) -> Mapping[str, Any]:
        return dict(state)

    def stream(bus: ReactiveBus, **options: Any) -> Any:
        return reactive_stream(bus, scope=scope, index=index, context_builder=context, **options)

    return stream


async def test_a_stream_resumes_in_another_process(world: World) -> None:
    here, there = await processes(world, 2)
    state = {"title": "Board", "count": 0}
    stream = streams(world.scope, state)
    async with connect(stream(here)) as connection:
        await here.ready(world.scope)
        state["title"] = "New"
        await there.emit(ChangeEvent(world.scope, {"title"}))
        update = await connection.next_update(60)
        assert (update.event, update.data) == ("title", "New")
        await soon(lambda: connection.frames[-1].id is not None)
        last = connection.frames[-1].id
    state["count"] = 7
    await here.emit(ChangeEvent(world.scope, {"count"}))
    async with connect(stream(there), headers={"Last-Event-ID": last or ""}) as connection:
        while (update := await connection.next_update(60)).event != "count":
            assert (update.event, update.data) == ("title", "New")  # the cursor of the last id may be older
        assert update.data == "7"
        state["title"] = "Newest"
        await here.emit(ChangeEvent(world.scope, {"title"}))
        while (update := await connection.next_update(60)).data != "Newest":
            assert update.data in ("New", "7")
        assert len(connection.updates) == 2 or (world.kind == POSTGRES and len(connection.updates) <= 4)


async def test_a_stream_starts_at_the_cursor_of_its_page(world: World) -> None:
    here, there = await processes(world, 2)
    state = {"title": "Board", "count": 0}
    cursor = await here.cursor_now(world.scope)
    state["count"] = 1
    await here.emit(ChangeEvent(world.scope, {"count"}))
    async with connect(streams(world.scope, state)(there), query=f"cursor={cursor}") as connection:
        update = await connection.next_update(60)
        assert (update.event, update.data) == ("count", "1")


async def test_a_stream_with_a_foreign_cursor_renders_everything(world: World) -> None:
    (there,) = await processes(world, 1)
    state = {"title": "Board", "count": 3}
    async with connect(streams(world.scope, state)(there), headers={"Last-Event-ID": "0-17"}) as connection:
        found = {(await connection.next_update(60)).event, (await connection.next_update(60)).event}
        assert found == {"title", "count"}


# Presence


def users(bus: ReactiveBus, scope: str) -> list[tuple[str, str | None]]:
    return sorted((each.session_id, each.user_id) for each in bus.presence(scope))


async def test_presence_covers_all_processes(world: World) -> None:
    here, there = await processes(world, 2)
    with here.subscribe(world.scope, connection=ConnectionInfo("1", "ann")), there.subscribe(world.scope):
        await there.ready(world.scope)
        await soon(lambda: users(there, world.scope) == [("1", "ann")])
        late = there.subscribe(world.scope, connection=ConnectionInfo("2"))
        await soon(lambda: users(here, world.scope) == [("1", "ann"), ("2", None)])
        late.close()
        await soon(lambda: users(here, world.scope) == [("1", "ann")])
    assert users(here, world.scope) == []
    await soon(lambda: users(there, world.scope) == [])


async def test_presence_shows_a_user_with_two_tabs_until_both_are_closed(world: World) -> None:
    here, there = await processes(world, 2)
    with there.subscribe(world.scope):
        await there.ready(world.scope)
        one = here.subscribe(world.scope, connection=ConnectionInfo("1", "ann"))
        two = here.subscribe(world.scope, connection=ConnectionInfo("2", "ann"))
        await soon(lambda: users(there, world.scope) == [("1", "ann"), ("2", "ann")])
        one.close()
        await soon(lambda: users(there, world.scope) == [("2", "ann")])
        two.close()
        await soon(lambda: users(there, world.scope) == [])


async def test_presence_now_returns_members_of_other_processes(world: World) -> None:
    here, there = await processes(world, 2)
    with here.subscribe(world.scope, connection=ConnectionInfo("1", UNUSUAL_TEXTS[4])) as subscription:
        await here.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take_until(subscription, "a")
        found = await there.presence_now(world.scope)
        assert [(each.session_id, each.user_id) for each in found] == [("1", UNUSUAL_TEXTS[4])]


async def test_presence_is_current_when_a_later_event_arrives(world: World) -> None:
    here, there = await processes(world, 2)
    seen: dict[str, int] = {}

    def note(event: ChangeEvent) -> None:
        for path in event.changed_paths:
            seen.setdefault(path, len(there.presence(event.scope)))

    with there.subscribe(world.scope):
        await there.ready(world.scope)
        there.observe(note)
        for number in range(10):
            viewer = here.subscribe(world.scope, connection=ConnectionInfo("1"))
            here.emit_sync(ChangeEvent(world.scope, {f"came{number}"}))
            await soon(lambda path=f"came{number}": path in seen)  # type: ignore[misc]
            viewer.close()
            here.emit_sync(ChangeEvent(world.scope, {f"left{number}"}))
            await soon(lambda path=f"left{number}": path in seen)  # type: ignore[misc]
    assert {path: count for path, count in seen.items() if count != path.startswith("came")} == {}


async def test_presence_is_separate_for_each_scope(world: World) -> None:
    here, there = await processes(world, 2)
    other = f"{world.scope}-other"
    with (
        here.subscribe(world.scope, connection=ConnectionInfo("1")),
        here.subscribe(other, connection=ConnectionInfo("2")),
    ):
        await there.presence_now(world.scope)
        await there.presence_now(other)
        await soon(lambda: users(there, world.scope) == [("1", None)])
        await soon(lambda: users(there, other) == [("2", None)])


@pytest.mark.parametrize("only_one_scope", [True, False])
async def test_close_user_ends_a_users_streams_in_every_process(world: World, only_one_scope: bool) -> None:
    here, there = await processes(world, 2)
    other = f"{world.scope}-other"
    with ExitStack() as stack:

        def subscribe(bus: ReactiveBus, scope: str, user: str) -> Subscription:
            connection = ConnectionInfo(f"{scope}{user}", user)
            return stack.enter_context(bus.subscribe(scope, connection=connection))

        ann, bob = subscribe(here, world.scope, "ann"), subscribe(here, world.scope, "bob")
        ann_there, ann_in_another_scope = subscribe(there, world.scope, "ann"), subscribe(there, other, "ann")
        for bus in (here, there):
            await bus.ready(world.scope)
            await bus.ready(other)
        everything = [ann, ann_there] if only_one_scope else [ann, ann_there, ann_in_another_scope]
        ended = here.close_user("ann", scope=world.scope if only_one_scope else None)
        assert ended == (len(everything) if here is there else 1)
        await soon(lambda: all(subscription._subscriber.closed for subscription in everything))
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await here.emit(ChangeEvent(other, {"a"}))
        await take_until(bob, "a")
        if only_one_scope:
            await take_until(ann_in_another_scope, "a")


async def test_close_ends_the_streams_of_its_process(world: World) -> None:
    (here,) = await processes(world, 1)
    with here.subscribe(world.scope) as subscription:
        await here.ready(world.scope)
        here.close(world.scope)
        with pytest.raises(StopAsyncIteration), anyio.fail_after(60):
            await anext(subscription)
    with here.subscribe(world.scope) as again:
        await here.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take_until(again, "a")


# Engines only


async def test_events_emitted_while_the_engine_is_down_are_sent_when_it_is_back(shared: World) -> None:
    assert shared.server is not None
    here, there = shared.impatient_process(heartbeat=0.5, patience=0.5), shared.impatient_process(heartbeat=0.5)
    await level(here, there)
    with here.subscribe(shared.scope) as mine, there.subscribe(shared.scope) as theirs:
        await here.ready(shared.scope)
        await there.ready(shared.scope)
        shared.server.kill()
        try:
            here.emit_sync(ChangeEvent(shared.scope, {"a"}))
            with pytest.raises(EmitTimeoutError, match=r"has not accepted .* it is kept"):
                await here.emit(ChangeEvent(shared.scope, {"b"}))
            assert here.health().waiting >= 1
            await soon(lambda: not here.health().connected)
            assert here.health().last_error
        finally:
            shared.server.start()
        await soon(lambda: here.health().waiting == 0 and here.health().connected)
        for subscription in (mine, theirs):
            seen: set[str] = set()
            with anyio.fail_after(60):
                while "*" not in seen and not {"a", "b"} <= seen:
                    seen |= (await anext(subscription)).changed_paths
        await here.emit(ChangeEvent(shared.scope, {"after"}))
        await take_until(theirs, "after")


async def test_events_accepted_before_a_crash_are_delivered_after_it(shared: World) -> None:
    assert shared.server is not None
    here, there = shared.impatient_process(heartbeat=0.5), shared.impatient_process(heartbeat=0.5)
    await level(here, there)
    cursor = await here.cursor_now(shared.scope)
    await here.emit(ChangeEvent(shared.scope, {"a"}))
    shared.server.restart()
    with there.subscribe(shared.scope, after=cursor) as late:
        assert (await take(late)).changed_paths & {"a", "*"}


async def test_events_held_up_by_a_frozen_engine_are_delivered(shared: World) -> None:
    assert shared.server is not None
    here, there = (
        shared.impatient_process(heartbeat=0.2, patience=1),
        shared.impatient_process(heartbeat=0.2, patience=1),
    )
    await level(here, there)
    with there.subscribe(shared.scope) as theirs:
        await there.ready(shared.scope)
        shared.server.freeze()
        try:
            here.emit_sync(ChangeEvent(shared.scope, {"a"}))
            await soon(lambda: not there.health().connected)
        finally:
            shared.server.thaw()
        assert {path for event in await take_until(theirs, "a") for path in event.changed_paths} <= {"a", "*"}


VIEWER = """
import asyncio, sys
from starlette_reactive import ConnectionInfo, ReactiveBus
from starlette_reactive._engines import Bridge
from starlette_reactive._engines.urls import engine_from_url

async def view(url, scope):
    bus = ReactiveBus(relay=Bridge(engine_from_url(url), heartbeat=0.1, lease=1.0))
    with bus.subscribe(scope, connection=ConnectionInfo("1", "ann")):
        await asyncio.sleep(600)

asyncio.run(view(*sys.argv[1:]))
"""


async def test_the_members_of_a_killed_process_are_removed(shared: World) -> None:
    here = shared.impatient_process()
    await level(here)
    with here.subscribe(shared.scope) as mine:
        await here.ready(shared.scope)
        viewer = await anyio.open_process([sys.executable, "-c", VIEWER, shared.url, shared.scope])
        try:
            await soon(lambda: users(here, shared.scope) == [("1", "ann")])
        finally:
            viewer.kill()
        await viewer.aclose()
        await soon(lambda: users(here, shared.scope) == [])
        await take_until(mine, "*")
        late = shared.impatient_process()
        assert not await late.presence_now(shared.scope)


async def test_a_stopping_bus_sends_waiting_events_and_removes_its_members(shared: World) -> None:
    here, there = shared.process(), shared.process()
    await level(here, there)
    with there.subscribe(shared.scope) as theirs, here.subscribe(shared.scope, connection=ConnectionInfo("1")):
        await there.ready(shared.scope)
        await soon(lambda: users(there, shared.scope) == [("1", None)])
        here.emit_sync(ChangeEvent(shared.scope, {"last"}))
        here.stop()
        await take_until(theirs, "last")
        await soon(lambda: users(there, shared.scope) == [])
        assert not here.health().connected
        await here.emit(ChangeEvent(shared.scope, {"again"}))
        await take_until(theirs, "again")


async def test_a_publisher_reaches_every_process(shared: World) -> None:
    here, there = shared.process(), shared.process()
    await level(here, there)

    def publish() -> None:
        with Publisher.from_url(shared.url) as publisher:
            publisher.emit(shared.scope, "a", "b", origin="script", audience=["ann"])
            publisher.emit(shared.scope, "c")

    with here.subscribe(shared.scope, connection=ConnectionInfo("1", "ann")) as mine:
        cursor = await there.cursor_now(shared.scope)
        await here.ready(shared.scope)
        await anyio.to_thread.run_sync(publish)
        assert await take(mine) == ChangeEvent(shared.scope, {"a", "b"}, "script", {"ann"})
        assert await take(mine) == ChangeEvent(shared.scope, {"c"})
        with there.subscribe(shared.scope, after=cursor) as late:
            assert (await take(late)).changed_paths == {"c"}


async def test_events_of_a_publisher_arrive_unchanged(shared: World) -> None:
    event = ChangeEvent(
        "; ".join(UNUSUAL_TEXTS), {'a"b', "c\\d", "{e,f}", "null", "ü"}, UNUSUAL_TEXTS[-1], UNUSUAL_TEXTS
    )

    def publish() -> None:
        with Publisher.from_url(shared.url) as publisher:
            publisher.emit(event.scope, *event.changed_paths, origin=event.origin, audience=event.audience)

    bus = shared.process()
    await level(bus)
    with bus.subscribe(event.scope, connection=ConnectionInfo("1", UNUSUAL_TEXTS[0])) as mine:
        await bus.ready(event.scope)
        await anyio.to_thread.run_sync(publish)
        assert await take(mine) == event


async def test_a_publisher_raises_if_the_engine_is_down(shared: World) -> None:
    assert shared.server is not None

    def publish(patience: float) -> None:
        with Publisher.from_url(shared.url, patience=patience) as publisher:
            publisher.emit(shared.scope, "a")

    shared.server.kill()
    try:
        with pytest.raises(EmitTimeoutError, match=shared.scope):
            await anyio.to_thread.run_sync(publish, 0.5)
    finally:
        shared.server.start()
    await anyio.to_thread.run_sync(publish, 20)


def test_a_publisher_does_not_wait_forever(shared: World) -> None:
    assert shared.server is not None
    with Publisher.from_url(shared.url, patience=1) as publisher:
        publisher.emit(shared.scope, "a")
        shared.server.freeze()
        try:
            started = time.monotonic()
            with pytest.raises(EmitTimeoutError, match="not answered in time"):
                publisher.emit(shared.scope, "b")
            assert time.monotonic() - started < 30
        finally:
            shared.server.thaw()
        publisher.emit(shared.scope, "c")


async def test_a_publisher_refuses_to_block_an_event_loop(shared: World) -> None:
    with Publisher.from_url(shared.url) as publisher, pytest.raises(RuntimeError, match="use a ReactiveBus here"):
        publisher.emit(shared.scope, "a")
