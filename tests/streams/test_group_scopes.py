"""The scopes of a group, whose viewers come and go with further ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from starlette_reactive import ChangeEvent, DependencyIndex, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._clients.htmx import NAMED_EVENTS
from starlette_reactive._core.blocks import BlockRef
from starlette_reactive._index.index import registry_of
from starlette_reactive._streams.group import Group
from starlette_reactive._streams.group_options import GroupOptions
from starlette_reactive._streams.viewer import Viewer

from ..support import environment

INDEX = DependencyIndex()
INDEX.register_template(environment(page="{% block title %}{{ title }}{% endblock %}"), "page.html")


class Board:
    """A group whose task does not run: the tests read the log and render."""

    def __init__(self, *, alone: bool = False) -> None:
        self.bus = ReactiveBus()
        self.hub = hub_of(self.bus)
        self.group = Group(
            GroupOptions(self.hub, "board", registry_of(INDEX), _never, 0, None, debug=False, alone=alone)
        )

    def emit(self, scope: str, path: str = "title") -> str:
        """Emit a change, and return the cursor after it."""
        self.bus.emit_sync(ChangeEvent(scope, {path}))
        return self.hub.latest_cursor()

    def join(self, *others: str, cursor: str | None = None) -> Viewer:
        self.group.scopes.expect(others)
        found = self.hub.locate("board", cursor or self.hub.latest_cursor(), others)
        scopes = ("board", *others)
        viewer = Viewer(
            None, None, NAMED_EVENTS, found.position, _nothing, found.latest, scopes=scopes, starts=found.starts
        )
        self.group.join(viewer)
        return viewer

    def render(self, html: str) -> bool:
        """Let the group read the log and render what is owed. Return whether there was a change."""
        is_changed = self.group._read_changes()
        blocks = self.group.feed.owed_blocks()
        self.group._publish(blocks, {block.ref.key: html for block in blocks})
        return is_changed

    def sent(self, viewer: Viewer) -> str:
        return self.group.feed.take(viewer).decode()


def _nothing() -> None:
    pass


async def _never(paths: frozenset[str], blocks: list[BlockRef]) -> dict[tuple[str, str], str | Exception]:
    raise AssertionError("the test renders by itself")


def in_a_loop(test: Callable[[Board], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def make() -> None:
            await test(Board())

        asyncio.run(make())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@in_a_loop
async def test_of_two_tabs_that_join_at_once_the_earlier_one_misses_nothing(board: Board) -> None:
    earlier = board.hub.latest_cursor()
    board.emit("user")
    board.join("user")
    early = board.join("user", cursor=earlier)
    assert board.render("new")
    assert "new" in board.sent(early)


@in_a_loop
async def test_a_scope_that_was_closed_is_watched_again_for_the_next_viewer(board: Board) -> None:
    board.join("user")
    board.bus.close("user")
    assert not board.group._alarm.rings_for(["user"])
    board.join("user")  # before the stream of the first one has ended
    assert board.group._alarm.rings_for(["board", "user"])


@in_a_loop
async def test_a_group_does_not_go_back_when_a_scope_is_gone(board: Board) -> None:
    board.join()
    viewer = board.join("user")
    board.emit("user")
    assert board.render("new")
    position = board.group.feed.position
    board.group.leave(viewer)
    assert not board.render("newer")
    assert board.group.feed.position == position


@in_a_loop
async def test_a_viewer_is_owed_the_changes_of_its_scopes(board: Board) -> None:
    ann, ben = board.join("ann"), board.join("ben")
    board.emit("ben")
    change = board.hub.read("ben", 0).changes
    assert change is not None
    assert not ann.is_owed(change[0], 0)
    assert not ann.is_in_audience(change[0])
    assert ben.is_owed(change[0], 0)
    assert ben.is_in_audience(change[0])


@in_a_loop
async def test_who_does_not_have_the_scope_is_not_sent_what_another_viewer_is(board: Board) -> None:
    ann, ben = board.join("ann"), board.join("ben")
    board.emit("ben")
    assert board.render("new")
    assert board.sent(ann) == ""
    assert "new" in board.sent(ben)


@in_a_loop
async def test_a_viewer_who_comes_back_reads_its_own_scopes(board: Board) -> None:
    keeper = board.join()
    before = board.emit("other")
    board.emit("ann")
    board.emit("board", "nothing")
    board.render("old")
    ann, ben = board.join("ann", cursor=before), board.join("ben", cursor=before)
    for viewer in (keeper, ann, ben):
        assert board.sent(viewer) == ""
    board.render("new")
    assert "new" in board.sent(ann)
    assert board.sent(ben) == board.sent(keeper) == ""


@pytest.mark.parametrize("alone", [False, True])
def test_a_viewer_with_one_scope_costs_no_reading_of_others(alone: bool) -> None:
    async def run() -> None:
        board = Board(alone=alone)
        board.join()
        assert board.group.scopes._all_starts is None
        viewer = board.join("user")
        assert board.group.scopes._all_starts is not None
        board.group.leave(viewer)
        assert board.group.scopes._all_starts is None
        assert "user" not in board.hub._roster

    asyncio.run(run())
