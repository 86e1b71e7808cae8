"""Ways in which a page could be left stale, one by one; the chaos test found or suggested them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from starlette_reactive import ChangeEvent, DependencyIndex, ReactiveBus, reactive_stream
from starlette_reactive._index.index import registry_of
from starlette_reactive._streams import EventStream
from starlette_reactive._streams import backoff as backoff_module
from starlette_reactive._streams import group as group_module
from starlette_reactive._streams import viewer as viewer_module

from ..support import Connection, connect, environment, eventually

PAGE = """<h1 id="title">{% block title %}{{ title }}{% endblock %}</h1>
<ul id="list">{% block list %}{% for task in tasks %}<li>{{ task }}</li>{% endfor %}{% endblock %}</ul>"""

ENV = environment(page=PAGE)


class Board:
    def __init__(self) -> None:
        self.bus = ReactiveBus()
        self.index = DependencyIndex()
        self.index.register_template(ENV, "page.html")
        self.data: dict[str, Any] = {"title": "Board", "tasks": []}
        self.reads = 0
        self.failing = False
        self.may_render = anyio.Event()
        self.may_render.set()

    async def context(self) -> Mapping[str, Any]:
        self.reads += 1
        if self.failing:
            raise RuntimeError("no database")
        data = dict(self.data)
        await self.may_render.wait()
        return data

    def stream(self, **options: Any) -> EventStream:
        return reactive_stream(
            self.bus,
            **{"scope": "board", "index": self.index, "context_builder": self.context, "share": "all", **options},
        )

    def change(self, *, _origin: str | None = None, _audience: frozenset[str] | None = None, **data: Any) -> None:
        self.data.update(data)
        self.bus.emit_sync(ChangeEvent("board", set(data), _origin, _audience))


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture(autouse=True)
def quick_healing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 0.05)


def shown(connection: Connection, block: str) -> str | None:
    """Return what the block was last updated with."""
    return next((frame.data for frame in reversed(connection.updates) if frame.event == block), None)


async def test_many_changes_while_rendering_fails_do_not_put_off_the_next_try(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff_module, "FIRST_RETRY", 0.2)
    monkeypatch.setattr(group_module, "MIN_INTERVAL", 0.0)
    async with connect(board.stream()) as connection:
        board.failing = True
        for number in range(10):
            reads = board.reads
            board.change(title=str(number))
            await eventually(lambda reads=reads: board.reads > reads)  # type: ignore[misc]
        board.failing = False
        await eventually(lambda: shown(connection, "title") == "9")


async def test_a_block_that_fails_for_long_does_not_put_off_the_others_for_who_comes_back(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff_module, "FIRST_RETRY", 3600)
    monkeypatch.setattr(backoff_module, "LAST_RETRY", 3600)
    async with connect(board.stream()):
        board.change(tasks=7)  # neither iterable nor sized
        await eventually(lambda: board.reads)
        async with connect(board.stream(), query="cursor=unknown") as late:
            await eventually(lambda: shown(late, "title") == "Board")
            assert shown(late, "list") is None


async def test_nothing_is_rendered_for_those_who_left_amid_a_render(board: Board) -> None:
    async with connect(board.stream()):
        board.may_render = anyio.Event()
        board.change(title="new")
        await eventually(lambda: board.reads)
        async with connect(board.stream(), query="cursor=unknown"):  # who is owed what is not rendered now
            await anyio.wait_all_tasks_blocked()
    board.may_render.set()
    await eventually(lambda: board.bus.subscriber_count == 0)
    await anyio.sleep(3 * group_module.MIN_INTERVAL)
    assert board.reads == 1


async def test_an_update_on_its_way_does_not_outlast_a_change_of_the_viewers_own(board: Board) -> None:
    async with connect(board.stream(origin="tab")) as connection:
        board.may_render = anyio.Event()
        board.change(title="by another")
        await eventually(lambda: board.reads)
        board.change(title="own", _origin="tab")  # shown by the answer to the request that made it
        board.may_render.set()
        await eventually(lambda: shown(connection, "title") == "by another")  # and so overwritten
        await eventually(lambda: shown(connection, "title") == "own")


async def test_a_change_of_ones_own_after_an_update_just_sent_is_told(board: Board) -> None:
    async with connect(board.stream(origin="tab")) as connection:
        board.change(title="by another")
        await eventually(lambda: shown(connection, "title") == "by another")  # it may still be on its way
        board.change(title="own", _origin="tab")
        await eventually(lambda: shown(connection, "title") == "own")
        assert shown(connection, "list") is None


async def test_an_answer_that_is_later_than_a_newer_update_does_not_stay(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 0.5)
    async with connect(board.stream(origin="tab")) as connection, connect(board.stream()) as other:
        board.change(title="before")
        await eventually(lambda: shown(connection, "title") == "before")
        board.change(title="own", _origin="tab")
        await eventually(lambda: shown(other, "title") == "own")
        board.change(title="by another")
        await eventually(lambda: shown(connection, "title") == "by another")
        answered = len(connection.updates)  # the answer, which is older, has replaced it
        await eventually(lambda: len(connection.updates) > answered)
        assert connection.updates[-1].data == "by another"


async def test_a_change_of_ones_own_before_one_connects_again_is_told(board: Board) -> None:
    cursor = board.bus.cursor("board")
    board.change(title="own", _origin="tab")
    async with connect(board.stream(origin="tab"), headers={"Last-Event-ID": cursor}) as connection:
        await eventually(lambda: shown(connection, "title") == "own")


async def test_html_that_a_change_of_ones_own_replaced_is_sent_again(board: Board) -> None:
    async with connect(board.stream(origin="tab")) as connection:
        board.change(title="before")
        await eventually(lambda: shown(connection, "title") == "before")
        board.change(title="own", _origin="tab")  # shown by the answer to the request that made it
        board.change(title="before")
        await eventually(lambda: len(connection.updates) == 2)
        assert shown(connection, "title") == "before"


async def test_an_update_rendered_before_a_page_does_not_take_it_back(board: Board) -> None:
    async with connect(board.stream()):
        board.may_render = anyio.Event()
        board.change(title="old")
        await eventually(lambda: board.reads)
        board.change(title="new", _audience=frozenset({"ann"}))
        async with connect(board.stream(), query=f"cursor={board.bus.cursor('board')}") as late:
            board.may_render.set()
            board.change(tasks=["a"])
            await eventually(lambda: shown(late, "list"))
            assert shown(late, "title") is None


async def test_a_fault_of_the_package_itself_lets_the_client_come_back(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(changed: object, shown: object) -> None:
        raise RuntimeError("a fault")

    async with connect(board.stream(close_event="bye")) as connection:
        monkeypatch.setattr(registry_of(board.index), "plan", broken)
        board.change(title="New")
        with anyio.fail_after(20):
            await connection.ended.wait()
    assert connection.complete
    assert connection.updates == [], "a client that is told to stop would be stale for ever"
