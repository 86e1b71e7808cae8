from __future__ import annotations

import contextvars
import functools
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from starlette_reactive import BlockRef, ChangeEvent, ConnectionInfo, DependencyIndex, ReactiveBus, reactive_stream
from starlette_reactive._streams import backoff as backoff_module
from starlette_reactive._streams import group as group_module
from starlette_reactive._streams import response as stream_module
from starlette_reactive._streams import viewer as viewer_module

from ..support import Connection, Frame, connect, environment, eventually

PAGE = """<h1 id="title">{% block title %}{{ title }}{% endblock %}</h1>
<ul id="list">{% block list %}{% for task in tasks %}<li>{{ task }}</li>{% endfor %}{% endblock %}</ul>
<p id="count">{% block count %}{{ tasks|length }}{% endblock %}</p>"""

ENV = environment(page=PAGE)


class Board:
    """An application's data, and how often it was read."""

    def __init__(self) -> None:
        self.bus = ReactiveBus()
        self.index = DependencyIndex()
        self.index.register_template(ENV, "page.html")
        self.data: dict[str, Any] = {"title": "Board", "tasks": []}
        self.reads: list[frozenset[str]] = []
        self.failing: Exception | None = None

    async def context(self, paths: frozenset[str]) -> Mapping[str, Any]:
        self.reads.append(paths)
        if self.failing:
            raise self.failing
        return dict(self.data)

    def stream(self, **options: Any) -> stream_module.EventStream:
        return reactive_stream(
            self.bus, **{"scope": "board", "index": self.index, "context_builder": self.context, **options}
        )

    async def change(self, *, _event: Mapping[str, Any] | None = None, **data: Any) -> None:
        self.data.update(data)
        await self.bus.emit(ChangeEvent("board", set(data), **(_event or {})))


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff_module, "FIRST_RETRY", 0.02)


def named(frames: list[Frame]) -> list[tuple[str | None, str | None]]:
    return [(frame.event, frame.data) for frame in frames]


async def settled(board: Board, connection: Connection, *, updates: int) -> None:
    await eventually(lambda: len(connection.updates) >= updates)
    await anyio.sleep(0.03)
    assert len(connection.updates) == updates


async def test_a_change_sends_just_the_blocks_that_show_it(board: Board) -> None:
    async with connect(board.stream()) as connection:
        await board.change(tasks=["a"])
        await settled(board, connection, updates=2)
        assert named(connection.updates) == [("list", "<li>a</li>"), ("count", "1")]
        await board.change(title="New")
        await settled(board, connection, updates=3)
        assert named(connection.updates[2:]) == [("title", "New")]
    assert board.reads == [{"tasks"}, {"title"}]


async def test_a_change_that_no_block_shows_costs_nothing(board: Board) -> None:
    async with connect(board.stream()) as connection:
        await board.change(unseen=1)
        await board.change(title="seen")
        await settled(board, connection, updates=1)
    assert len(board.reads) == 1


async def test_the_first_frame_is_an_id_and_each_batch_ends_with_one(board: Board) -> None:
    async with connect(board.stream()) as connection:
        first = connection.frames[0]
        assert first.id == board.bus.cursor("board")
        assert (first.data, first.event) == (None, None)
        await board.change(tasks=["a"])
        await settled(board, connection, updates=2)
        assert [frame.id for frame in connection.updates] == [None, board.bus.cursor("board")]


async def test_the_retry_time_rides_on_the_first_data_and_differs_by_client(board: Board) -> None:
    times = set()
    for number in range(5):
        async with connect(board.stream(retry=10_000)) as connection:
            await board.change(title=str(number))
            await settled(board, connection, updates=1)
            times.add(connection.updates[0].retry)
    assert all(time is not None and 7500 <= time <= 12500 for time in times)
    assert len(times) > 1


async def test_htmx_4_gets_partials(board: Board) -> None:
    async with connect(board.stream(), headers={"HX-Request-Type": "partial"}) as connection:
        await board.change(title="New")
        frame = await connection.next_update()
    assert (frame.event, frame.data) == (
        None,
        '<hx-partial hx-target="#title" hx-swap="innerMorph transition:false">New</hx-partial>',
    )


async def test_a_burst_is_one_context_and_one_render(board: Board) -> None:
    async with connect(board.stream()) as connection:
        for number in range(1000):
            board.data["title"] = str(number)
            board.bus.emit_sync(ChangeEvent("board", {"title"}))
        await eventually(lambda: connection.updates and connection.updates[-1].data == "999")
    assert len(board.reads) <= 2


async def test_a_steady_stream_of_changes_is_gathered(board: Board) -> None:
    async with connect(board.stream()) as connection:
        for number in range(1000):
            await board.change(title=str(number))
        await eventually(lambda: connection.updates and connection.updates[-1].data == "999")
    assert len(board.reads) < 100


@pytest.mark.parametrize("key", ["Last-Event-ID", "resume", "cursor", "after"])
async def test_what_changed_since_a_cursor_comes_first(board: Board, key: str) -> None:
    cursor = board.bus.cursor("board")
    await board.change(title="New")
    options: dict[str, Any] = {}
    stream = board.stream()
    if key == "Last-Event-ID":
        options["headers"] = {key: cursor}
    elif key == "after":
        stream = board.stream(after=cursor)
    else:
        options["query"] = f"{key}={cursor}"
    async with connect(stream, **options) as connection:
        assert named([await connection.next_update()]) == [("title", "New")]
        assert connection.frames[0].id == cursor
        assert connection.updates[-1].id == board.bus.cursor("board")


async def test_the_header_goes_before_resume_and_resume_before_cursor(board: Board) -> None:
    old = board.bus.cursor("board")
    await board.change(title="New")
    new = board.bus.cursor("board")
    for query, headers in ((f"cursor={old}", {"Last-Event-ID": new}), (f"cursor={old}&resume={new}", {})):
        async with connect(board.stream(), query=query, headers=headers) as connection:
            await board.change(tasks=["a"])
            assert named([await connection.next_update()])[0][0] == "list"


async def test_an_unknown_cursor_brings_every_block(board: Board) -> None:
    async with connect(board.stream(), query="cursor=nonsense") as connection:
        await settled(board, connection, updates=3)
        assert named(connection.updates) == [("title", "Board"), ("list", ""), ("count", "0")]
        assert [frame.id for frame in connection.updates] == [None, None, board.bus.cursor("board")]


async def test_a_client_that_drops_before_its_catch_up_still_is_unknown(board: Board) -> None:
    board.failing = RuntimeError("no database")
    async with connect(board.stream(), query="cursor=nonsense") as connection:
        cursor = connection.frames[0].id
    board.failing = None
    async with connect(board.stream(), headers={"Last-Event-ID": cursor or ""}) as connection:
        await settled(board, connection, updates=3)


async def test_without_a_cursor_a_stream_begins_now(board: Board) -> None:
    await board.change(title="before")
    async with connect(board.stream()) as connection:
        await board.change(tasks=["a"])
        await settled(board, connection, updates=2)
        assert "title" not in {frame.event for frame in connection.updates}


async def test_identical_html_is_not_sent_again(board: Board) -> None:
    async with connect(board.stream()) as connection:
        await board.change(title="New")
        await board.change(title="New")
        await eventually(lambda: len(board.reads) == 2 or len(connection.updates) == 1)
        await board.change(tasks=["a"])
        await settled(board, connection, updates=3)
        assert named(connection.updates) == [("title", "New"), ("list", "<li>a</li>"), ("count", "1")]


async def test_html_that_only_earlier_viewers_got_is_sent_to_a_later_one(board: Board) -> None:
    async with connect(board.stream(share="all")) as early:
        await board.change(title="New")
        await early.next_update()
        async with connect(board.stream(share="all")) as late:
            await board.change(title="New", tasks=["a"])
            await settled(board, late, updates=3)
            await settled(board, early, updates=3)
            assert ("title", "New") in named(late.updates)


async def test_streams_that_share_cost_one_context_and_one_render(board: Board) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(connect(board.stream(share="all"))) for _ in range(20)]
        assert board.bus.subscriber_count == 1
        await board.change(title="New")
        for connection in streams:
            assert (await connection.next_update()).data == "New"
        assert len(board.reads) == 1
    assert board.bus.subscriber_count == 0


async def test_streams_of_other_scopes_and_keys_do_not_share(board: Board) -> None:
    async with AsyncExitStack() as stack:
        for scope, share in (("board", "a"), ("board", "b"), ("other", "a"), ("board", None), ("board", None)):
            await stack.enter_async_context(connect(board.stream(scope=scope, share=share)))
        assert board.bus.subscriber_count == 5


async def test_a_shared_context_sees_no_viewers_context_variables(board: Board) -> None:
    viewer = contextvars.ContextVar("viewer", default="nobody")
    seen: list[str] = []

    async def context() -> dict[str, Any]:
        seen.append(viewer.get())
        return board.data

    viewer.set("ann")
    for share in ("all", None):
        async with connect(board.stream(context_builder=context, share=share)) as connection:
            await board.change(title=str(share))
            await connection.next_update()
    assert seen == ["nobody", "ann"]


async def test_a_viewer_is_not_told_of_its_own_changes_or_of_those_for_others(board: Board) -> None:
    ann = ConnectionInfo("1", "ann")
    async with (
        connect(board.stream(share="all", origin="tab", connection=ann)) as mine,
        connect(board.stream(share="all")) as other,
    ):
        await board.change(title="own", _event={"origin": "tab"})
        await settled(board, other, updates=1)
        await board.change(tasks=["for ann"], _event={"audience": {"ann"}})
        await settled(board, mine, updates=2)
        await board.change(tasks=["for ben"], _event={"audience": {"ben"}})
        await board.change(title="for all")
        await settled(board, other, updates=2)
        await settled(board, mine, updates=3)
    assert named(mine.updates) == [("list", "<li>for ann</li>"), ("count", "1"), ("title", "for all")]
    assert named(other.updates) == [("title", "own"), ("title", "for all")]


async def test_an_own_change_that_an_update_may_have_crossed_is_told_a_while_later(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 2.0)
    async with connect(board.stream(origin="tab")) as connection:
        first = connection.frames[0].id
        await board.change(title="theirs")
        await settled(board, connection, updates=1)
        await board.change(title="mine", _event={"origin": "tab"})
        await settled(board, connection, updates=1)
        await board.change(tasks=["a"])
        await settled(board, connection, updates=3)
        assert connection.updates[-1].id is None, "the cursor must not pass the change that is still to be told"
        await settled(board, connection, updates=4)
        assert named(connection.updates[3:]) == [("title", "mine")]
        assert connection.updates[-1].id not in (None, first)


async def test_merging_hides_no_change_that_was_for_a_viewer(board: Board) -> None:
    async with (
        connect(board.stream(share="all", origin="x")) as x,
        connect(board.stream(share="all", origin="y")) as y,
    ):
        board.data["title"] = "both"
        board.bus.emit_sync(ChangeEvent("board", {"title"}, origin="x"))
        board.bus.emit_sync(ChangeEvent("board", {"title"}, origin="y"))
        for connection in (x, y):
            assert (await connection.next_update()).data == "both"


async def test_a_change_that_is_for_no_viewer_costs_no_render(board: Board) -> None:
    async with connect(board.stream(origin="tab")) as connection:
        await board.change(title="own", _event={"origin": "tab"})
        await board.change(tasks=["a"])
        await settled(board, connection, updates=2)
    assert board.reads == [{"tasks"}]


async def test_a_failing_context_is_tried_again_and_loses_nothing(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(board.stream()) as connection:
        before = connection.frames[0].id
        board.failing = RuntimeError("no database")
        await board.change(title="New")
        await eventually(lambda: len(board.reads) >= 3)
        assert connection.updates == []
        board.failing = None
        assert named([await connection.next_update()]) == [("title", "New")]
        assert connection.updates[0].id not in (None, before)
    assert "no database" in caplog.text
    assert "'board'" in caplog.text


async def test_a_failing_context_is_tried_again_with_the_next_change(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff_module, "FIRST_RETRY", 3600)
    monkeypatch.setattr(backoff_module, "LAST_RETRY", 3600)
    async with connect(board.stream()) as connection:
        board.failing = RuntimeError("no database")
        await board.change(title="New")
        await eventually(lambda: board.reads)
        board.failing = None
        await board.change(tasks=["a"])
        await settled(board, connection, updates=3)
        assert board.reads[-1] == {"title", "tasks"}


@pytest.mark.parametrize("bad", [None, [("title", "x")], "title"])
async def test_a_context_that_is_no_mapping_is_an_error_that_says_what_to_return(
    board: Board, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[Any] = []

    def context() -> Any:
        attempts.append(bad)
        return board.data if len(attempts) > 2 else bad

    async with connect(board.stream(context_builder=context)) as connection:
        await board.change(title="New")
        assert (await connection.next_update()).data == "New"
    assert "return a dict of the template's variables" in caplog.text


async def test_a_failing_block_stays_owed_while_the_others_go_on(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(board.stream(share="all")) as connection:
        first = connection.frames[0].id
        board.data["tasks"] = 7  # neither iterable nor sized
        await board.change(tasks=7, title="New")
        assert named([await connection.next_update()]) == [("title", "New")]
        assert connection.updates[0].id is None, "the cursor must not pass what was not sent"
        board.data["tasks"] = ["a"]
        await settled(board, connection, updates=3)
        assert named(connection.updates[1:]) == [("list", "<li>a</li>"), ("count", "1")]
        assert connection.updates[-1].id not in (None, first)
    assert "'list'" in caplog.text


async def test_in_debug_mode_a_failing_block_shows_its_error_until_it_is_mended(board: Board) -> None:
    async with connect(board.stream(debug=True)) as connection:
        await board.change(tasks=7)
        assert "reactive-block-error" in ((await connection.next_update()).data or "")
        assert "TypeError" in ((await connection.next_update()).data or "")
        board.data["tasks"] = []
        await settled(board, connection, updates=4)
        assert named(connection.updates[2:]) == [("list", ""), ("count", "0")]


async def test_in_debug_mode_a_failing_context_shows_its_error(board: Board) -> None:
    async with connect(board.stream(debug=True)) as connection:
        board.failing = RuntimeError("no database")
        await board.change(title="New")
        assert "RuntimeError</strong>: no database" in ((await connection.next_update()).data or "")
        board.failing = None
        assert (await connection.next_update()).data == "New"


async def test_every_kind_of_context_builder_is_called_as_it_asks(board: Board) -> None:
    threads: list[str] = []

    def plain() -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return board.data

    def with_paths(paths: frozenset[str]) -> dict[str, Any]:
        assert paths == {"title"}
        return board.data

    class Builder:
        async def __call__(self) -> dict[str, Any]:
            return board.data

    def bound(first: str, data: dict[str, Any] = board.data) -> dict[str, Any]:
        return data

    async def coroutine() -> dict[str, Any]:
        return board.data

    builders: list[Callable[..., Any]] = [
        plain,
        with_paths,
        Builder(),
        functools.partial(bound, "x"),
        coroutine,
        lambda data=board.data: data,
        lambda: coroutine(),
        functools.partial(coroutine),
    ]
    for number, builder in enumerate(builders):
        async with connect(board.stream(context_builder=builder)) as connection:
            await board.change(title=str(number))
            assert (await connection.next_update()).data == str(number)
    assert threads
    assert threads[0] != threading.current_thread().name


async def test_on_connect_and_on_disconnect_run_once_and_see_presence(board: Board) -> None:
    seen: list[tuple[str, str, int]] = []

    async def came(scope: str, connection: ConnectionInfo | None) -> None:
        seen.append(("came", scope, len(board.bus.presence(scope))))

    async def left(scope: str, connection: ConnectionInfo | None) -> None:
        await checkpoint()
        assert connection is not None
        seen.append((connection.session_id, scope, len(board.bus.presence(scope))))

    stream = board.stream(connection=ConnectionInfo("1"), on_connect=came, on_disconnect=left)
    async with connect(stream):
        assert len(board.bus.presence("board")) == 1
    assert seen == [("came", "board", 1), ("1", "board", 0)]


@pytest.mark.parametrize("ending", ["disconnect", "close", "close all", "close user", "cancel"])
async def test_whatever_ends_a_stream_leaves_nothing_behind(board: Board, ending: str) -> None:
    left: list[str] = []
    options: dict[str, Any] = {
        "connection": ConnectionInfo("1", "ann"),
        "on_disconnect": lambda scope, _: left.append(scope),
        "share": "all",
        "close_event": "bye",
    }
    with anyio.CancelScope() as scope:
        async with connect(board.stream(**options)) as connection:
            if ending == "disconnect":
                connection.disconnect.set()
            elif ending == "close":
                board.bus.close("board")
            elif ending == "close all":
                await anyio.to_thread.run_sync(board.bus.close)
            elif ending == "close user":
                assert await anyio.to_thread.run_sync(board.bus.close_user, "ann") == 1
            else:
                scope.cancel()
            await connection.ended.wait()
    assert left == ["board"]
    assert board.bus.presence("board") == frozenset()
    assert board.bus.subscriber_count == 0
    if ending.startswith("close"):
        assert connection.complete
        assert named(connection.updates) == [("bye", "close")]


async def test_a_context_builder_may_finish_when_its_last_viewer_leaves(board: Board) -> None:
    steps: list[str] = []

    async def context() -> dict[str, Any]:
        steps.append("began")
        try:
            await anyio.sleep(0.02)
        finally:
            await checkpoint()  # as a database connection does when it is given back
            steps.append("gave back")
        return board.data

    async with connect(board.stream(context_builder=context)):
        await board.change(title="New")
        await eventually(lambda: steps)
    await eventually(lambda: steps == ["began", "gave back"])


async def test_a_context_builder_that_hangs_is_given_up_after_its_last_viewer(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "CLOSING_GRACE", 0.02)
    begun, ended = anyio.Event(), list[bool]()

    async def context() -> dict[str, Any]:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            ended.append(True)
        return board.data

    async with connect(board.stream(context_builder=context)):
        await board.change(title="New")
        await begun.wait()
    await eventually(lambda: ended)


async def test_a_broken_callback_is_logged_and_harms_nothing(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken callback")

    async def broken_too(*_: object) -> None:
        raise RuntimeError("another broken callback")

    async with connect(board.stream(on_connect=broken, on_disconnect=broken_too)) as connection:
        await board.change(title="New")
        await connection.next_update()
    assert caplog.text.count("RuntimeError: broken callback") == 1
    assert caplog.text.count("RuntimeError: another broken callback") == 1


async def test_a_slow_viewer_gets_the_newest_of_each_block_and_holds_up_nobody(board: Board) -> None:
    async with (
        connect(board.stream(share="all"), reading=False) as slow,
        connect(board.stream(share="all")) as quick,
    ):
        await anyio.wait_all_tasks_blocked()
        for number in range(5):
            await board.change(title=str(number))
            assert (await quick.next_update()).data == str(number)
        assert slow.chunks == []
        slow.accepts.set()
        await settled(board, slow, updates=1)
        assert named(slow.updates) == [("title", "4")]
        assert slow.updates[-1].id == quick.updates[-1].id


async def test_a_viewer_that_reads_nothing_is_sent_away(board: Board) -> None:
    async with (
        connect(board.stream(share="all", send_timeout=0.5), reading=False) as stuck,
        connect(board.stream(share="all", send_timeout=0.5)) as other,
    ):
        with anyio.fail_after(20):
            await stuck.ended.wait()
        await board.change(title="New")
        assert (await other.next_update()).data == "New"


async def test_heartbeats_break_the_silence(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette_reactive._streams import timer as timer_module

    monkeypatch.setattr(timer_module, "INTERVAL", 0.01)
    async with connect(board.stream(heartbeat_interval=0.03)) as connection:
        await eventually(lambda: len([frame for frame in connection.frames if frame.comment == "heartbeat"]) >= 2)


async def test_the_server_ends_its_streams_when_it_stops(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette_reactive._streams import servers as servers_module

    async with connect(board.stream(close_event="bye")) as live, connect(_silent_stream()) as generated:
        monkeypatch.setattr(servers_module.Server, "is_stopping", lambda _: True)
        with anyio.fail_after(20):
            await live.ended.wait()
            await generated.ended.wait()
    assert live.complete
    assert generated.complete
    assert live.updates == [], "a client that is to come back must not be told to stop"


def _silent_stream() -> stream_module.EventStream:
    async def generate() -> Any:
        await anyio.sleep_forever()
        yield ""

    return stream_module.EventStream(generate())


async def test_an_unknown_block_or_template_is_logged_by_name(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    index = DependencyIndex()
    index.register("title", BlockRef("page.html", "titel"))
    index.register("title", BlockRef("pages.html", "title"))
    with caplog.at_level(logging.ERROR):
        async with connect(board.stream(index=index, templates=ENV)):
            await board.change(title="New")
            await eventually(lambda: len(caplog.records) >= 2)
    assert "titel" in caplog.text
    assert "pages.html" in caplog.text


async def test_a_block_without_an_environment_is_an_error_that_names_the_mend(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    index = DependencyIndex()
    index.register("title", BlockRef("page.html", "title"))
    async with connect(board.stream(index=index)):
        await board.change(title="New")
        await eventually(lambda: caplog.records)
    assert "pass templates= to reactive_stream" in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scope": ""}, ValueError, "scope"),
        ({"scope": 7}, TypeError, "scope"),
        ({"index": None}, TypeError, "DependencyIndex"),
        ({"context_builder": {}}, TypeError, "context_builder must be a function"),
        ({"context_builder": lambda a, b: {}}, TypeError, "needs a, b"),
        ({"context_builder": lambda *, key: {}}, TypeError, "needs key"),
        ({"templates": "templates"}, TypeError, "templates must be"),
    ],
)
def test_bad_arguments_are_refused(board: Board, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        board.stream(**options)


def test_a_bus_is_required(board: Board) -> None:
    with pytest.raises(TypeError, match="ReactiveBus"):
        reactive_stream(None, scope="s", index=board.index, context_builder=dict)  # type: ignore[arg-type]
