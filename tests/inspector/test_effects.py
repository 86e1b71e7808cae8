"""What the inspector reports as the effects of an event, or as the reason why there are none."""

from __future__ import annotations

import functools
import logging
import re
from datetime import datetime

import anyio
import anyio.to_thread
import pytest

from starlette_reactive import ChangeEvent, ConnectionInfo, DependencyIndex, reactive_stream
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._index.registry import Registry
from starlette_reactive._inspector.effects import MAX_EFFECTS, GroupStatus
from starlette_reactive._inspector.event_rows import EventRow
from starlette_reactive._inspector.recorder import MAX_EVENTS, Recorder
from starlette_reactive._log.changelog import Change
from starlette_reactive._streams import viewer as viewer_module
from starlette_reactive._streams.trace import TracedChange, TracedReading
from starlette_reactive.app import describe_app
from tests.pages.support import request, stream, view
from tests.support import Connection, connect, environment, eventually

from .demo import Demo
from .support import block_statuses, newest, settled, view_of

EVENT = ChangeEvent("s", {"x"})


async def test_an_event_shows_what_it_rendered_and_for_how_many_viewers() -> None:
    demo = Demo()
    async with view(demo.app, "/news") as one, view(demo.app, "/news") as other:
        await demo.reactive.emit("news", "headlines")
        await one.next_update()
        await other.next_update()
        effect = await settled(demo.reactive)
        row = newest(demo.reactive)
        assert (row.record.event.scope, row.paths, row.derived) == ("news", ["headlines"], [])
        assert (effect.page, effect.groups, effect.viewers, effect.reached) == ("news.html", 1, 2, 2)
        assert block_statuses(effect) == {"headlines": "sent"}
        assert effect.blocks[0].size == len("<li>Nothing new</li>")
        assert effect.size == sum(len(chunk) for each in (one, other) for chunk in each.chunks if b"Nothing" in chunk)
        assert effect.milliseconds is not None
        assert effect.until_sent is not None
        assert effect.until_sent >= effect.milliseconds
        assert row.tone == "sent"
        assert re.fullmatch(r"2 viewers, \d+ B, \d+\.\d ms", row.summary[1])


def test_derived_paths_are_listed() -> None:
    demo = Demo()
    demo.reactive.emit_sync("board:a", "tasks.0.title", "board")
    row = newest(demo.reactive)
    assert (row.paths, row.derived) == (["board", "tasks.0.title"], ["done"])


async def test_a_scope_without_viewers() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a"):
        await demo.reactive.emit("board:b", "tasks")
        assert (newest(demo.reactive).effects, newest(demo.reactive).summary) == ([], ["no viewer in this scope"])


async def test_paths_that_no_block_shows() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a"):
        await demo.reactive.emit("board:a", "board.colour")
        effect = await settled(demo.reactive, "unseen")
        assert effect.notes == ["Nothing rendered: no live block of board.html shows these paths."]
        assert newest(demo.reactive).summary == ["no block shows it"]


async def test_a_viewers_own_change_is_sent_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 0.3)
    demo = Demo()
    seen = await request(demo.app, "/boards/a")
    async with stream(demo.app, seen.url) as author:
        await demo.reactive.emit("board:a", "tasks", origin=seen.origin)
        effect = await settled(demo.reactive, "rendering")
        assert effect.notes == ["Sent two seconds later to 1 viewer who made the change."]
        assert newest(demo.reactive).record.event.origin == seen.origin
        await demo.reactive.emit("board:a", "board.name")  # its render is not the one that the first change waits for
        await eventually(lambda: len(author.updates) == 3)
        effects = [effect for row in view_of(demo.reactive).newest[:2] for effect in row.effects]
        assert [block_statuses(effect) for effect in effects] == [
            {"title": "sent"},
            {"progress": "sent", "tasks": "sent"},
        ]
        await eventually(
            lambda: [e.reached for row in view_of(demo.reactive).newest[:2] for e in row.effects] == [1, 1]
        )


async def test_a_viewers_own_change_is_sent_to_the_script_like_any_other() -> None:
    demo = Demo()
    seen = await request(demo.app, "/boards/a")
    async with stream(demo.app, f"{seen.url}&script=1") as author:
        await demo.reactive.emit("board:a", "tasks", origin=seen.origin)
        await author.next_update()
        assert (await settled(demo.reactive)).notes == []


async def test_a_viewers_own_change_is_not_sent_to_a_stream_that_skips_its_origin() -> None:
    demo = Demo()
    index = DependencyIndex(demo.reactive.templates)
    index.register_template(demo.reactive.templates, "news.html")

    def context() -> dict[str, object]:
        return {}

    bus = demo.reactive.bus
    async with connect(reactive_stream(bus, scope="news", index=index, context_builder=context, origin="x")):
        await demo.reactive.emit("news", "headlines", origin="x")
        effect = await settled(demo.reactive, "withheld")
        assert effect.notes[0] == "Not sent to 1 viewer who made the change."


async def test_an_audience() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a", headers={"Cookie": "user=ada"}) as ada, view(demo.app, "/boards/a"):
        await demo.reactive.emit("board:a", "tasks", audience={"ada", "zoe"})
        await ada.next_update()
        await eventually(lambda: {each.status for each in newest(demo.reactive).effects} == {"withheld", "rendered"})
        by_status = {each.status: each for each in newest(demo.reactive).effects}
        assert by_status[GroupStatus.RENDERED].notes == []
        assert by_status[GroupStatus.WITHHELD].notes[0] == "Not sent to 1 viewer outside the audience."
        assert newest(demo.reactive).audience == ["ada", "zoe"]


async def test_the_same_html_as_before() -> None:
    demo = Demo()
    async with view(demo.app, "/news") as connection:
        await demo.reactive.emit("news", "headlines")
        await connection.next_update()
        await demo.reactive.emit("news", "headlines")
        effect = await settled(demo.reactive)
        assert block_statuses(effect) == {"headlines": "same"}
        assert (effect.reached, effect.size) == (0, 0)
        assert newest(demo.reactive).summary == ["1 unchanged", "1 run"]


async def test_a_block_inside_another_one_that_is_rendered() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a") as connection:
        await demo.reactive.emit("board:a", "board.owner", "tasks")
        await connection.next_update()
        effect = await settled(demo.reactive)
        assert block_statuses(effect) == {"overview": "sent", "tasks": "sent", "progress": "inside"}
        assert next(block.detail for block in effect.blocks if block.status == "inside") == "overview"


async def test_a_block_inside_one_that_another_event_has_rendered() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a") as connection:
        demo.reactive.emit_sync("board:a", "done")
        demo.reactive.emit_sync("board:a", "board.owner")
        await connection.next_update()
        await settled(demo.reactive)
        last, first = view_of(demo.reactive).newest
        assert block_statuses(first.effects[0]) == {"progress": "inside"}
        assert (first.effects[0].merged_with, last.effects[0].merged_with) == ([2], [1])


async def test_a_failing_endpoint_and_the_time_of_the_next_attempt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    demo = Demo(debug=True)
    async with view(demo.app, "/boards/a") as connection:
        demo.fails = True
        await demo.reactive.emit("board:a", "people")
        effect = await settled(demo.reactive, "failed")
        assert block_statuses(effect) == {"people": "failed"}
        assert effect.blocks[0].detail == "RuntimeError: the database is down"
        (note,) = effect.notes
        found = re.fullmatch(r"Failed after 1 attempt\. The next attempt is at (.+), or with the next change\.", note)
        assert found
        datetime.strptime(found[1], "%H:%M:%S.%f")
        assert newest(demo.reactive).tone == "failed"
        demo.fails = False
        effect = await settled(demo.reactive)
        assert (block_statuses(effect), effect.notes) == ({"people": "sent"}, [])
        await connection.next_update()


async def test_a_failing_block_beside_one_that_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    demo = Demo()
    async with view(demo.app, "/news") as connection:
        demo.headlines = None  # type: ignore[assignment]
        await demo.reactive.emit("news", "headlines", "weather")
        await connection.next_update()
        effect = await settled(demo.reactive, "failed")
        assert block_statuses(effect) == {"headlines": "failed", "weather": "sent"}
        assert "NoneType" in effect.blocks[0].detail


async def test_streams_that_the_application_ends() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a") as connection:
        demo.forbidden = True
        await demo.reactive.emit("board:a", "tasks")
        with anyio.fail_after(20):
            await connection.ended.wait()
        effect = await settled(demo.reactive, "ended")
        assert effect.notes == ["Not rendered: the group ended, because the page '/boards/a' answered 403."]


async def test_viewers_who_leave_before_it_is_rendered() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a"):
        demo.pause = anyio.Event()
        await demo.reactive.emit("board:a", "tasks")
        await settled(demo.reactive, "rendering")
        assert newest(demo.reactive).tone == "busy"
    effect = await settled(demo.reactive, "ended")
    assert effect.notes == ["Not rendered: the group ended, because its last viewer left."]
    demo.pause.set()


async def test_groups_with_the_same_effect_share_a_row() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a") as one, view(demo.app, "/boards/a") as other:
        await demo.reactive.emit("board:a", "board.name")
        await one.next_update()
        await other.next_update()
        effect = await settled(demo.reactive)
        assert (effect.groups, effect.viewers, effect.reached) == (2, 2, 2)


async def test_a_burst_is_one_render_for_several_events() -> None:
    demo = Demo()
    async with view(demo.app, "/news") as connection:
        for _ in range(3):
            demo.reactive.emit_sync("news", "headlines")
        await connection.next_update()
        await settled(demo.reactive)
        assert [row.effects[0].merged_with for row in view_of(demo.reactive).newest] == [[1, 2], [1, 3], [2, 3]]


async def test_plain_streams_of_the_same_bus_are_recorded() -> None:
    demo = Demo()
    env = environment(plain='<b id="x">{% block x %}{{ value }}{% endblock %}</b>')
    index = DependencyIndex()
    index.register_template(env, "plain.html")
    response = reactive_stream(
        demo.reactive.bus, scope="plain", index=index, context_builder=lambda: {"value": 1}, share="all"
    )
    async with connect(response) as connection:
        await demo.reactive.emit("plain", "value")
        await connection.next_update()
        assert block_statuses(await settled(demo.reactive)) == {"x": "sent"}
        assert "plain.html" in [row.template for row in view_of(demo.reactive).graph.blocks]


async def test_presence_names_users_by_scope() -> None:
    demo = Demo()
    async with (
        view(demo.app, "/boards/a", headers={"Cookie": "user=ada"}),
        view(demo.app, "/boards/a", headers={"Cookie": "user=ada"}),
        view(demo.app, "/boards/a"),
        view(demo.app, "/news"),
    ):
        first, second = view_of(demo.reactive).presence
        assert (first.scope, first.viewers, first.groups, first.pages) == ("board:a", 3, 3, ["board.html"])
        assert (first.users, first.anonymous) == ([("ada", 2)], 1)
        assert (second.scope, second.viewers, second.groups) == ("news", 1, 1)
    assert view_of(demo.reactive).presence == []


async def test_only_the_scopes_with_the_most_viewers_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._inspector.view.MAX_SCOPES", 2)
    demo = Demo()
    async with (
        view(demo.app, "/boards/a"),
        view(demo.app, "/news"),
        view(demo.app, "/news"),
        view(demo.app, "/boards/b"),
    ):
        assert [row.scope for row in view_of(demo.reactive).presence] == ["news", "board:a"]
        assert view_of(demo.reactive).more_scopes == 1


async def test_counters_include_ended_groups() -> None:
    demo = Demo()

    def counters() -> dict[str, str]:
        return {name: value for name, value, _ in view_of(demo.reactive).counters}

    async with view(demo.app, "/news") as connection:
        await demo.reactive.emit("news", "headlines")
        await connection.next_update()
        await settled(demo.reactive)
        assert counters() | {"Sent": ""} == {
            "Emitted": "1",
            "Viewers": "1",
            "Groups": "1",
            "Renders": "1",
            "Sent": "",
            "Subscribers": "1",
            "Coalesced": "0",
            "Dropped": "0",
        }
        sent = counters()["Sent"]
        assert sent.endswith(" B")
    assert (counters()["Viewers"], counters()["Groups"], counters()["Renders"]) == ("0", "0", "1")
    assert counters()["Sent"] == sent


async def test_it_does_not_record_itself() -> None:
    demo = Demo(inspector=lambda _: True)
    seen = await request(demo.app, "/_reactive/inspector", base="http://localhost")
    async with stream(demo.app, seen.url, host="localhost") as connection:
        await receive_two_updates(demo, connection)
    assert [row.record.event.scope for row in view_of(demo.reactive).newest] == ["nowhere", "nowhere"]
    assert demo.reactive.bus.emitted_count == 2
    assert view_of(demo.reactive).presence == []
    assert "inspector.html" not in [row.template for row in view_of(demo.reactive).graph.blocks]
    assert "inspector.html" not in [page.template_name for page in describe_app(demo.reactive).pages]


async def receive_two_updates(demo: Demo, connection: Connection) -> None:
    for _ in range(2):
        await demo.reactive.emit("nowhere", "x")
        count = len(connection.updates)
        await eventually(functools.partial(lambda count: len(connection.updates) > count, count))


def test_only_the_last_events_and_some_groups_of_each_are_kept() -> None:
    recorder = Recorder(lambda paths: paths, len)
    registry = Registry()
    groups = [recorder.group("s", registry) for _ in range(MAX_EFFECTS + 5)]
    for _ in range(3 * MAX_EVENTS):
        recorder.observe(EVENT)
        recorder.take_changed_parts()
    with recorder.locked():
        kept = [*recorder.newest(), *recorder.older()]
        assert MAX_EVENTS - 60 < len(kept) <= MAX_EVENTS
        assert kept[0].number == 3 * MAX_EVENTS
        assert {len(record.effects) for record in kept} == {MAX_EFFECTS}
        assert {record.more_groups for record in kept} == {5}
        assert all(len(group.waiting) <= MAX_EVENTS for group in groups)


async def test_all_events_of_many_threads_and_loops_are_recorded() -> None:
    demo = Demo()
    async with view(demo.app, "/news") as connection, anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(anyio.to_thread.run_sync, emit_many, demo)
        await connection.next_update()
    assert sorted(row.record.number for row in all_rows(demo)) == list(range(1, 101))
    assert {row.effects[0].status for row in all_rows(demo)} <= {"rendered", "ended"}


def emit_many(demo: Demo) -> None:
    for _ in range(25):
        demo.reactive.emit_sync("news", "headlines")


def all_rows(demo: Demo) -> list[EventRow]:
    return [*view_of(demo.reactive).newest, *view_of(demo.reactive).older]


async def test_connections_of_plain_subscriptions_are_listed() -> None:
    demo = Demo()
    with demo.reactive.bus.subscribe("chat", connection=ConnectionInfo("tab", "ada")):
        await demo.reactive.emit("chat", "messages")
        assert (newest(demo.reactive).record.others, newest(demo.reactive).summary) == (
            1,
            ["no live page in this process"],
        )
        (row,) = view_of(demo.reactive).presence
        assert (row.scope, row.viewers, row.connected, row.users) == ("chat", 0, 1, [("ada", 1)])


def test_a_group_may_report_an_event_before_another_thread_records_it() -> None:
    recorder = Recorder(lambda paths: paths, len)
    group = recorder.group("s", Registry())

    def note() -> None:
        group.read(TracedReading([TracedChange(Change("x", None, 1, None, 0, "s"), own=0, outside=0)], [], 1))

    def statuses() -> list[GroupStatus]:
        with recorder.locked():
            return [record.effects[0].status for record in recorder.newest()]

    note()
    recorder.observe(EVENT)
    assert statuses() == [GroupStatus.UNSEEN]
    recorder.observe(EVENT)
    assert statuses() == [GroupStatus.DELIVERED, GroupStatus.UNSEEN]
    note()
    assert statuses() == [GroupStatus.UNSEEN, GroupStatus.UNSEEN]


async def test_nothing_is_traced_without_an_inspector() -> None:
    demo = Demo(inspector=False)
    async with view(demo.app, "/news") as connection:
        await demo.reactive.emit("news", "headlines")
        await connection.next_update()
    assert demo.reactive._inspector is None
    assert hub_of(demo.reactive.bus)._notifier.observers == ()
