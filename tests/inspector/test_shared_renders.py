"""What the inspector shows of shared renders: runs of endpoints, groups of personal blocks, and differences."""

from __future__ import annotations

import logging

import pytest
from jinja2 import DictLoader, Environment

from starlette_reactive import BlockRef, ChangeEvent, DependencyIndex, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._checks import AppDescription, DeclaredPage
from starlette_reactive._index.index import register_elements, registry_of
from starlette_reactive._index.registry import Registry
from starlette_reactive._inspector.effects import MAX_EFFECTS
from starlette_reactive._inspector.recorder import MAX_DIFFERENCES, GroupRecorder, Recorder
from starlette_reactive._inspector.view import View
from starlette_reactive._log.changelog import Change
from starlette_reactive._streams.trace import (
    GroupTraces,
    RenderedBlock,
    RenderTrace,
    TracedChange,
    TracedReading,
    add_tracer,
)
from tests.pages.support import view

from .demo import Demo
from .support import newest, settled, view_of

NAMES = frozenset({"user"})
SOURCE = """<html><p id="one">{% block one %}{{ n }}{% endblock %}</p>
<p id="own">{% block own %}{{ user }} {{ n }}{% endblock %}</p>"""


class Wall:
    """A page whose viewers share one block and have one of their own, as its groups report it."""

    def __init__(self) -> None:
        env = Environment(loader=DictLoader({"wall.html": SOURCE}), autoescape=True)
        self.index = DependencyIndex()
        register_elements(self.index, env, "wall.html")
        self.registry = registry_of(self.index)
        self.shared = self.registry.part({("wall.html", "one")})
        self.personal = self.registry.part({("wall.html", "own")})
        self.recorder = Recorder(lambda paths: paths, lambda _: 0)
        self.view = View(self.recorder, ReactiveBus(), self.describe)

    def describe(self) -> AppDescription:
        page = DeclaredPage("wall.html", ("wall:{id}",), False, "htmx", self.index, share=True)
        return AppDescription([], pages=[page], viewer_names=NAMES)

    def join(self, viewers: int) -> tuple[GroupRecorder, list[GroupRecorder]]:
        """Add viewers: a group of their own each, and then the one that they share."""
        own = [self.recorder.group("wall:1", self.personal, follows=True) for _ in range(viewers)]
        for group in own:
            group.viewers_changed(1)
        shared = self.recorder.group("wall:1", self.shared)
        shared.viewers_changed(viewers)
        return shared, own

    def emit(self, *paths: str) -> None:
        self.recorder.observe(ChangeEvent("wall:1", set(paths)))


def work(group: GroupRecorder, path: str, viewers: int = 1, *, retry_in: float | None = None) -> None:
    """Let a group read a change, render its blocks, and send them to its viewers."""
    refs = group.registry.affected(frozenset({path}))
    change = TracedChange(Change(path, None, 1, None, 0, "wall:1"), own=0, outside=0)
    group.read(TracedReading([change], refs, viewers))
    error = None if retry_in is None else ValueError("down")
    group.rendered(RenderTrace([RenderedBlock(ref, 9, False, error) for ref in refs], 0.001, retry_in))
    for viewer in [object() for _ in range(viewers)] if error is None else []:
        group.sent(viewer, 20)


# Runs


async def test_an_event_shows_how_often_the_endpoint_ran_for_it() -> None:
    demo = Demo()
    async with view(demo.app, "/news") as one, view(demo.app, "/news") as other:
        await demo.reactive.emit("news", "headlines")
        await one.next_update()
        await other.next_update()
        assert (await settled(demo.reactive)).runs == 1
        assert newest(demo.reactive).summary[-1] == "1 run"
    async with view(demo.app, "/boards/a") as one, view(demo.app, "/boards/a") as other:
        await demo.reactive.emit("board:a", "board.name")
        await one.next_update()
        await other.next_update()
        assert (await settled(demo.reactive)).runs == 2
        assert newest(demo.reactive).summary[-1] == "2 runs"


async def test_an_event_that_renders_nothing_shows_no_runs() -> None:
    demo = Demo()
    async with view(demo.app, "/boards/a"):
        await demo.reactive.emit("board:a", "board.colour")
        await settled(demo.reactive, "unseen")
        assert newest(demo.reactive).summary == ["no block shows it"]


async def test_runs_that_fail_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    demo = Demo()
    async with view(demo.app, "/boards/a") as connection:
        demo.fails = True
        await demo.reactive.emit("board:a", "people")
        await settled(demo.reactive, "failed")
        demo.fails = False
        await connection.next_update()
        effect = await settled(demo.reactive)
        assert effect.runs >= 2
        assert newest(demo.reactive).record.runs == effect.runs


def test_runs_in_groups_whose_effects_are_not_kept_count() -> None:
    wall = Wall()
    groups = [wall.recorder.group("wall:1", wall.registry) for _ in range(MAX_EFFECTS + 5)]
    wall.emit("n")
    for group in groups:
        work(group, "n")
    (row,) = wall.view.newest
    assert row.more == 5
    assert row.record.runs == MAX_EFFECTS + 5
    assert row.summary[1:] == [f"at least {MAX_EFFECTS} viewers, 960 B, 1.0 ms", f"{MAX_EFFECTS + 5} runs"]


# Groups of personal blocks


def test_viewers_who_also_have_a_group_of_their_own_are_counted_once() -> None:
    wall = Wall()
    shared, own = wall.join(3)
    counters = {name: value for name, value, _ in wall.view.counters}
    assert (counters["Viewers"], counters["Groups"]) == ("3", "1")
    (row,) = wall.view.presence
    assert (row.viewers, row.groups, row.pages) == (3, 1, ["wall.html"])
    wall.emit("n")
    work(shared, "n", 3)
    for group in own:
        work(group, "n")
    counters = {name: value for name, value, _ in wall.view.counters}
    assert (counters["Renders"], counters["Sent"]) == ("4", "120 B")
    for group in (shared, *own):
        group.viewers_changed(0)
        group.ended(None)
    counters = {name: value for name, value, _ in wall.view.counters}
    assert (counters["Viewers"], counters["Groups"], counters["Renders"]) == ("0", "0", "4")


def test_personal_blocks_of_all_viewers_share_a_row_beside_the_shared_ones() -> None:
    wall = Wall()
    shared, own = wall.join(3)
    wall.emit("n")
    work(shared, "n", 3)
    for group in own:
        work(group, "n")
    (row,) = wall.view.newest
    facts = [(each.personal, each.groups, each.viewers, each.runs, each.reached) for each in row.effects]
    assert facts == [(False, 1, 3, 1, 3), (True, 3, 3, 3, 3)]
    assert row.summary == ["2 blocks", "3 viewers, 60 B, 1.0 ms", "personal: 3 viewers, 60 B, 1.0 ms", "4 runs"]


def test_shared_blocks_are_kept_before_personal_ones() -> None:
    wall = Wall()
    shared, own = wall.join(MAX_EFFECTS + 1)
    wall.emit("n")
    for group in (shared, *own):
        work(group, "n")
    (row,) = wall.view.newest
    assert row.summary[1] == "1 viewer, 20 B, 1.0 ms"
    assert row.summary[2] == f"personal: at least {MAX_EFFECTS - 1} viewers, 940 B, 1.0 ms"
    with wall.recorder.locked():
        (record,) = wall.recorder.newest()
        assert [effect.personal for effect in record.effects[:2]] == [False, True]
        assert (len(record.effects), record.more_groups) == (MAX_EFFECTS, 2)


def test_a_group_of_personal_blocks_that_is_not_woken_is_not_shown() -> None:
    wall = Wall()
    shared, own = wall.join(1)
    env = Environment(loader=DictLoader({"wall.html": SOURCE.replace("{{ n }}", "{{ n }}{{ m }}", 1)}))
    index = DependencyIndex()
    register_elements(index, env, "wall.html")
    shared.registry = registry_of(index).part({("wall.html", "one")})
    wall.emit("m")  # no personal block shows it
    work(shared, "m")
    wall.emit("n")  # it is for another user
    work(shared, "n")
    newer, older = wall.view.newest
    assert [effect.personal for effect in newer.effects] == [False]
    assert len(older.record.effects) == 1
    assert newer.tone == older.tone == "sent"
    work(own[0], "n")
    newer, _ = wall.view.newest
    assert [effect.personal for effect in newer.effects] == [False, True]
    wall.emit("n")
    work(shared, "n")
    own[0].ended(None)
    assert [effect.personal for effect in wall.view.newest[0].effects] == [False]


def test_viewers_who_are_sent_nothing_are_not_counted_twice() -> None:
    wall = Wall()
    shared, own = wall.join(1)
    wall.emit("n")
    for group in (shared, *own):
        group.read(TracedReading([TracedChange(Change("n", None, 1, None, 0, "wall:1"), own=1, outside=0)], [], 1))
    (row,) = wall.view.newest
    assert [(effect.personal, effect.status, effect.viewers) for effect in row.effects] == [
        (False, "withheld", 1),
        (True, "withheld", 1),
    ]


def test_groups_tell_tracers_whether_they_follow_another_one() -> None:
    bus, recorder = ReactiveBus(), Recorder(lambda paths: paths, lambda _: 0)
    add_tracer(hub_of(bus), recorder)
    GroupTraces(hub_of(bus), "s", Registry())
    GroupTraces(hub_of(bus), "s", Registry(), follows=True)
    assert [group.follows for group in recorder.scopes()["s"]] == [False, True]


# Differences

MESSAGE = "wall.html:1: the block 'one' was different for two viewers whose keys are both 'admin': return another key"
REF = BlockRef("wall.html", "one", "one")


def test_a_difference_is_shown_beside_its_event_and_as_a_warning() -> None:
    bus, wall = ReactiveBus(), Wall()
    add_tracer(hub_of(bus), wall.recorder)
    traces = GroupTraces(hub_of(bus), "wall:1", wall.shared)
    (group,) = wall.recorder.scopes()["wall:1"]
    traces.differed(REF, MESSAGE)  # before any event
    wall.emit("n")
    work(group, "n")
    wall.recorder.take_changed_parts()
    traces.differed(REF, MESSAGE)
    assert wall.recorder.take_changed_parts() == {"differences", "newest"}
    (found,) = wall.view.differences
    assert (found.scope, found.message, found.times) == ("wall:1", MESSAGE, 2)
    (row,) = wall.view.newest
    assert row.effects[0].differences == [MESSAGE]
    assert (row.summary[-1], row.tone) == ("different for two viewers", "failed")


def test_only_the_last_differences_are_kept() -> None:
    wall = Wall()
    group = wall.recorder.group("wall:1", wall.shared)
    for number in range(MAX_DIFFERENCES + 3):
        group.differed(REF, f"difference {number}")
    messages = [row.message for row in wall.view.differences]
    assert len(messages) == MAX_DIFFERENCES
    assert messages[0] == f"difference {MAX_DIFFERENCES + 2}"


# Who shares what


def test_each_page_shows_who_shares_its_renders_and_why_a_block_is_personal() -> None:
    (row,) = Wall().view.sharing
    assert (row.page, row.scopes, row.serves) == ("wall.html", ("wall:{id}",), "once for each key")
    assert row.shared == ["one"]
    assert row.personal == [("own", "reads 'user'")]
    board, news = view_of(Demo().reactive).sharing
    assert (board.page, board.serves, board.shared, board.personal) == ("board.html", "for each viewer", [], [])
    assert (news.page, news.serves, news.shared) == ("news.html", "once for all", ["headlines", "weather"])
