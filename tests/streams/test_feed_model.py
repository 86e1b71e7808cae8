"""Random sequences of changes, renders, failures, comings and goings against a group and its feed.

The test takes the place of everything around them: it lets the group note changes and publish what was rendered, lets
viewers take, and delivers what they took later, perhaps after the answer to a request of their own, which may be lost.
Throughout it checks what an id vouches for, who was sent what, that nothing is sent twice, and what is sent to a tab as
its own; in the end, that nobody is stale.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from starlette_reactive import ChangeEvent, DependencyIndex, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._clients.htmx import NAMED_EVENTS
from starlette_reactive._clients.script import ROW_SCRIPT, SCRIPT
from starlette_reactive._core.blocks import BlockRef
from starlette_reactive._core.rows import keyed_text
from starlette_reactive._index.index import registry_of
from starlette_reactive._index.tables import IndexedBlock
from starlette_reactive._streams.group import Group
from starlette_reactive._streams.group_options import GroupOptions
from starlette_reactive._streams.viewer import Viewer

from ..support import environment, parse

SOURCES = {"flat": ("a",), "two": ("a", "b"), "outer": ("c",), "inner": ("d",), "innermost": ("e",)}
"""Each block with the paths that it shows itself."""
AROUND = {"inner": ("outer",), "innermost": ("outer", "inner")}
INSIDE = {"outer": ("inner", "innermost"), "inner": ("innermost",)}
PATHS = "abcde"
PAGE = (
    "{% block flat %}{{ a }}{% endblock %}{% block two %}{{ a }},{{ b }}{% endblock %}"
    "{% block outer %}{{ c }}{% block inner %}{{ d }}{% block innermost %}{{ e }}{% endblock %}{% endblock %}"
    "{% endblock %}"
)
INDEX = DependencyIndex()
INDEX.register_template(environment(page=PAGE), "page.html")
REFS = {ref.block_name: ref for ref in INDEX.blocks()}
USERS = ("ann", "ben")
SCOPES = ("scope", "news", "user:ann", "user:ben")
"""The scopes that changes are in: that of the group, one that all tabs have besides, and one for each user."""
KINDS = ("stream", "page", "script", "rows")
"""An application's own stream, which skips changes of its origin; a page; and pages with the script: one that does not
take rows, and one that does."""
CLIENTS = {"script": SCRIPT, "rows": ROW_SCRIPT}
PADDING = f"<i id=padding>{'-' * 99}"
"""A row that never changes, so that the rows that do are less than half of a block."""

State = dict[str, int]


def own_text(block: str, state: State) -> tuple[int, ...]:
    return tuple(state[path] for path in SOURCES[block])


def rendered(block: str, state: State) -> str:
    """Return a block's HTML, a list of rows: its own values and those of the blocks inside, each with its name."""
    shown = (block, *INSIDE.get(block, ()))
    rows = [f"<i id={each}>{each}={','.join(map(str, own_text(each, state)))};" for each in shown]
    return keyed_text("|".join(["", PADDING, *rows, ""]), "|")


def applied(page: dict[str, tuple[int, ...]], html: str) -> None:
    for part in html.removeprefix(PADDING).split(";")[:-1]:
        block, _, values = part.rpartition(">")[2].partition("=")
        page[block] = tuple(int(value) for value in values.split(","))


@dataclass(frozen=True)
class Step:
    """One change, and the state after it."""

    state: State
    blocks: frozenset[str]  # whose HTML it may alter, not counting those around
    position: int
    origin: str | None = None
    audience: frozenset[str] | None = None
    scope: str = "scope"


def around_and_inside(block: str) -> set[str]:
    return {block, *AROUND.get(block, ()), *INSIDE.get(block, ())}


@dataclass(frozen=True)
class Update:
    """A frame that is on its way to a tab."""

    block: str
    html: str
    own: bool
    id: str | None
    by_rows: bool = False


@dataclass(eq=False)
class Tab:
    """A simulated tab: its page, the updates on their way to it, and what it knows of where it is."""

    kind: str
    user: str
    origin: str | None
    page: dict[str, tuple[int, ...]]
    loaded: int  # the step that its page shows
    cursor: str | None
    viewer: Viewer | None = None
    under_way: deque[Update] = field(default_factory=deque)
    got: dict[str, tuple[str, int]] = field(default_factory=dict)  # what it was sent of each block, and when
    answers: list[set[str]] = field(default_factory=list)  # which blocks were in the answers to its requests
    answers_before: dict[str, int] = field(default_factory=dict)  # how many there were at the last update of a block
    texts: dict[str, tuple[str, list[str]]] = field(default_factory=dict)  # of its lists: their versions and parts

    @property
    def others(self) -> tuple[str, ...]:
        return "news", f"user:{self.user}"

    def may_know(self, step: Step) -> bool:
        return step.scope in ("scope", *self.others) and self._is_addressed(step)

    def _is_addressed(self, step: Step) -> bool:
        return step.audience is None or self.user in step.audience

    def is_told(self, step: Step) -> bool:
        """Whether the stream must tell it of a change."""
        return self.may_know(step) and (self.kind != "stream" or step.origin is None or step.origin != self.origin)

    def is_shown(self, step: Step) -> bool:
        """Whether its page comes to show a change, if only by the answer to its own request."""
        return self.may_know(step) or (step.origin is not None and step.origin == self.origin)

    def answer(self, html: dict[str, str]) -> None:
        """Show the answer to its own request."""
        self.answers.append({each for block in html for each in (block, *INSIDE.get(block, ()))})
        for shown in html.values():
            applied(self.page, shown)

    def receive(self, head: dict[str, Any], content: str) -> str:
        """Return the HTML of an update that may describe it by what the tab was sent before."""
        block, parts = head["id"], content.split("\x1e")
        if "rows" in head:
            version, before = self.texts[block]
            assert version == head["base"], "the rows are those of another text"
            fresh, parts = parts, []
            for piece in head["rows"]:
                parts += before[piece[0] : sum(piece)] if isinstance(piece, list) else fresh[:piece]
                fresh = fresh if isinstance(piece, list) else fresh[piece:]
        for other in around_and_inside(block):
            self.texts.pop(other, None)  # none of them is as it was sent
        if "v" in head:
            self.texts[block] = head["v"], parts
        return "".join(parts)

    def apply(self, update: Update) -> bool:
        """Show an update, unless it is the page's own and the one answer since the block's last update has shown it."""
        since = self.answers[self.answers_before.get(update.block, 0) :]
        is_shown = update.own and len(since) == 1 and update.block in since[0]
        if not is_shown:
            applied(self.page, update.html)
        for block in around_and_inside(update.block):
            self.answers_before[block] = len(self.answers)
        return not is_shown


class World:
    """The data, the group, and the tabs."""

    def __init__(self, *, small_log: bool, everybody: bool, several: bool) -> None:
        self.several = several  # changes are in several scopes
        self.everybody = everybody  # all changes are for all, and nobody's own
        self.small_log = small_log
        self.bus = ReactiveBus()
        self.hub = hub_of(self.bus)
        if small_log:
            log = self.hub._log
            log._paths_per_scope, log._scope_limit = 3, 2
        self.state: State = dict.fromkeys(PATHS, 0)
        self.steps = [Step(dict(self.state), frozenset(SOURCES), 0)]
        self.tabs: list[Tab] = []
        self.rendering: tuple[list[IndexedBlock], State] | None = None
        self.value = 0
        self.published: dict[str, list[str]] = {block: [] for block in SOURCES}
        self.own_updates = self.dropped_updates = self.row_updates = 0
        options = GroupOptions(self.hub, "scope", registry_of(INDEX), _never, 0, None, debug=False)
        self.group = Group(options)
        self.group.join(Viewer(None, None, NAMED_EVENTS, 0, lambda: None, scopes=("scope",)))  # keeps the group open

    # What may happen

    def change(self, paths: Iterable[str], old: bool, who: int, audience: int, is_lost: bool, where: int) -> None:
        for path in paths:
            if old:
                self.state[path] = self.steps[max(0, len(self.steps) - 3)].state[path]
            else:
                self.value += 1
                self.state[path] = self.value
        tab = None
        if not self.everybody and self.tabs and who < 3:
            tab = self.tabs[who % len(self.tabs)]
        told = None if self.everybody else (None, None, None, frozenset({"ann"}), frozenset({"ben"}))[audience]
        if tab is not None and told is not None:
            told = told | {tab.user}
        origin = None if tab is None else tab.origin
        scope = SCOPES[where] if self.several else "scope"
        if tab is not None and scope not in tab.others:
            scope = "scope"
        self.bus.emit_sync(ChangeEvent(scope, paths, origin, told))
        shown = {block for block, own in SOURCES.items() if set(own) & set(paths)}
        position = self.hub.locate(scope, None).latest
        self.steps.append(Step(dict(self.state), frozenset(shown), position, origin, told, scope))
        if tab is not None and origin is not None:  # the answer to its request
            refs = [] if is_lost and tab.kind != "stream" else INDEX.affected_blocks(paths)
            tab.answer({ref.block_name: rendered(ref.block_name, self.state) for ref in refs})

    def change_elsewhere(self, number: int) -> None:
        self.bus.emit_sync(ChangeEvent(f"other {number}", {"x"}))

    def note(self) -> None:
        if self.rendering is None:
            self.group._read_changes()

    def begin_render(self) -> None:
        if self.rendering is None and self.group.feed.is_owed:
            self.rendering = self.group.feed.owed_blocks(), dict(self.state)

    def end_render(self, failing: int) -> None:
        """Publish what is being rendered; ``failing``: 0 nothing fails, 1 all, else every ``failing``-th block."""
        if self.rendering is None:
            return
        (blocks, state), self.rendering = self.rendering, None
        results: dict[tuple[str, str], str | Exception] = {
            block.ref.key: RuntimeError()
            if failing and number % failing == 0
            else rendered(block.ref.block_name, state)
            for number, block in enumerate(blocks)
        }
        for block in blocks:
            if isinstance(html := results[block.ref.key], str):
                self.published[block.ref.block_name].append(html)
        self.group._publish(blocks, results)

    def load(self, user: int, with_origin: bool, kind: str) -> None:
        page = {block: own_text(block, self.state) for block in SOURCES}
        origin = f"tab {len(self.steps)}.{len(self.tabs)}" if with_origin else None
        self.tabs.append(Tab(kind, USERS[user], origin, page, len(self.steps) - 1, self.hub.latest_cursor()))

    def connect(self, number: int, lost: bool) -> None:
        for tab in self._one_of([tab for tab in self.tabs if tab.viewer is None], number):
            others = tab.others if self.several else ()
            self.group.scopes.expect(others)
            location = self.hub.locate("scope", tab.cursor or "", others)
            position = None if lost or tab.cursor is None else location.position
            client = CLIENTS.get(tab.kind, NAMED_EVENTS)
            tells_own = tab.kind != "stream"
            tab.viewer = Viewer(
                tab.user,
                tab.origin,
                client,
                position,
                lambda: None,
                location.latest,
                tells_own=tells_own,
                scopes=("scope", *others),
                starts=location.starts,
            )
            tab.got, tab.texts = {}, {}
            self.group.join(tab.viewer)

    def disconnect(self, number: int) -> None:
        for tab in self._one_of([tab for tab in self.tabs if tab.viewer is not None], number):
            assert tab.viewer is not None
            self.group.leave(tab.viewer)
            tab.viewer = None
            tab.under_way.clear()

    def take(self, number: int) -> None:
        for tab in self._one_of([tab for tab in self.tabs if tab.viewer is not None], number):
            assert tab.viewer is not None
            self._take(tab, tab.viewer)

    def deliver(self, number: int) -> None:
        for tab in self._one_of([tab for tab in self.tabs if tab.under_way], number):
            self._deliver(tab)

    def heal(self) -> None:
        """Let the time pass after which viewers are told of their own changes."""
        for tab in self.tabs:
            if tab.viewer is not None and tab.viewer.crossed_paths:
                self.group.feed.repeat_crossed(tab.viewer, math.inf)

    def cycle(self, failing: int, delivering: bool) -> None:
        """Do what usually follows upon a change, in one move."""
        self.note()
        self.begin_render()
        self.end_render(failing)
        for number in range(len(self.tabs)):
            self.take(number)
            if delivering:
                self.deliver(number)

    @staticmethod
    def _one_of(tabs: list[Tab], number: int) -> list[Tab]:
        return [tabs[number % len(tabs)]] if tabs else []

    # What must hold

    def _take(self, tab: Tab, viewer: Viewer) -> bool:
        batch = self.group.feed._batch
        known = viewer.position
        since = None if known is None else min(known, known if batch is None else batch.start)
        is_one_behind = batch is not None and viewer.caught_up and viewer.sequence == self.group.feed._sequence - 1
        served = max(known or 0, batch.start) if batch is not None and is_one_behind else known
        updates = updates_of(self.group.feed.take(viewer).decode(), tab)
        self.row_updates += sum(update.by_rows for update in updates)
        for update in updates:
            self._check_entitled(tab, update.block, since)
            self._check_new(tab, update.block, update.html)
            if update.own:
                self._check_own(tab, update.block, served, self.group.feed.position)
            tab.under_way.append(update)
        return bool(updates)

    def _check_own(self, tab: Tab, block: str, served: int | None, until: int) -> None:
        """Check an update that is sent as a tab's own, since it was last served up to a position."""
        self.own_updates += 1
        assert served is not None
        steps = [step for step in self.steps if served < step.position <= until]
        known = [step for step in steps if step.scope in ("scope", *tab.others)]
        concerning = [step for step in known if step.blocks & around_and_inside(block)]
        assert {step.origin for step in concerning} == {tab.origin}, f"{block} is not the tab's own"

    def _check_entitled(self, tab: Tab, block: str, since: int | None) -> None:
        if since is None or self.small_log:
            return  # it may be sent everything
        assert any(step.position > since and block in step.blocks and tab.may_know(step) for step in self.steps), (
            f"{block} was sent to who was not to be told"
        )

    def _check_new(self, tab: Tab, block: str, html: str) -> None:
        published = self.published[block]
        last, number = tab.got.get(block, ("", 0))
        tab.got[block] = html, len(published)
        if not self.everybody or self.several or (self.small_log and tab.origin) or block not in ("flat", "two"):
            return  # audience, origin, several scopes and nesting make for more caution
        assert html != last or {*published[number:]} != {html}, f"{block} was sent twice"

    def _deliver(self, tab: Tab) -> None:
        update = tab.under_way.popleft()
        self.dropped_updates += not tab.apply(update)
        if update.id is not None:
            tab.cursor = update.id
            position = self.hub.locate("scope", update.id).position
            assert position is not None
            for block in SOURCES:
                last = self._last(tab.is_told, block, tab)
                if self.steps[last].position <= position:  # else the log will tell of it again
                    self._check_shows(tab, block, last)

    def _last(self, wanted: Any, block: str, tab: Tab) -> int:
        """Return the last wanted step at or after the tab's page that altered a block, or one around it."""
        showing = {block, *AROUND.get(block, ())}
        found = (
            number
            for number, step in reversed(list(enumerate(self.steps)))
            if number > tab.loaded and wanted(step) and showing & step.blocks
        )
        return next(found, tab.loaded)

    def _check_shows(self, tab: Tab, block: str, first: int) -> None:
        allowed = {own_text(block, step.state) for step in self.steps[first:]}
        assert tab.page[block] in allowed, f"{block} shows {tab.page[block]}, since step {first} it is in {allowed}"

    def settle(self) -> None:
        """Let everything come to rest, then look at every page."""
        self.end_render(0)
        for number in range(len(self.tabs)):
            self.connect(number, lost=False)
        while self._go_on():
            pass
        assert not self.group.feed.is_owed
        for tab in self.tabs:
            assert tab.viewer is not None
            assert tab.viewer.caught_up
            for block in SOURCES:
                self._check_shows(tab, block, self._last(tab.is_shown, block, tab))

    def _go_on(self) -> bool:
        self.note()
        self.begin_render()
        rested = self.rendering is None
        self.end_render(0)
        self.heal()
        for tab in self.tabs:
            while tab.viewer is not None and self._take(tab, tab.viewer):
                rested = False
            while tab.under_way:
                self._deliver(tab)
        return not rested or self.group.feed.is_owed


def updates_of(stream: str, tab: Tab) -> list[Update]:
    """Return the updates in what a viewer was sent."""
    updates = []
    for frame in parse(stream):
        assert frame.data is not None
        if tab.kind in CLIENTS:
            assert frame.event is None
            first, _, content = frame.data.partition("\n")
            head = json.loads(first)
            html = tab.receive(head, content) if tab.kind == "rows" else content
            updates.append(Update(head["id"], html, head.get("own", False), frame.id, "rows" in head))
        else:
            assert frame.event is not None
            updates.append(Update(frame.event, frame.data, own=False, id=frame.id))
    return updates


async def _never(paths: frozenset[str], blocks: list[BlockRef]) -> dict[tuple[str, str], str | Exception]:
    raise AssertionError("the test renders by itself")


def draw_moves(chance: random.Random) -> list[tuple[Any, ...]]:
    return [_draw_move(chance) for _ in range(chance.randint(5, 40))]


def _draw_move(chance: random.Random) -> tuple[Any, ...]:
    paths = frozenset(chance.sample(PATHS, chance.choice((1, 1, 2))))
    number, failing = chance.randrange(6), chance.choice((0, 0, 0, 1, 2))
    moves: list[tuple[int, tuple[Any, ...]]] = [
        (
            12,
            (
                "change",
                paths,
                chance.random() < 0.3,
                number,
                chance.randrange(5),
                chance.random() < 0.2,
                chance.randrange(4),
            ),
        ),
        (9, ("cycle", failing, chance.random() < 0.5)),
        (2, ("take", number)),
        (2, ("deliver", number)),
        (1, ("change_elsewhere", chance.randrange(3))),
        (1, ("note",)),
        (1, ("begin_render",)),
        (1, ("end_render", failing)),
        (1, ("heal",)),
        (1, ("load", chance.randrange(2), chance.random() < 0.7, chance.choice(KINDS))),
        (1, ("connect", number, chance.random() < 0.3)),
        (1, ("disconnect", number)),
    ]
    return chance.choices([move for _, move in moves], [weight for weight, _ in moves])[0]


async def play(moves: list[tuple[Any, ...]], *, small_log: bool, everybody: bool, several: bool) -> World:
    world = World(small_log=small_log, everybody=everybody, several=several)
    for tab, kind in enumerate(KINDS):
        world.load(tab % 2, with_origin=True, kind=kind)
        world.connect(0, lost=False)
    for name, *arguments in moves:
        getattr(world, name)(*arguments)
    world.settle()
    return world


@pytest.mark.parametrize(("everybody", "several"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("small_log", [False, True])
def test_whoever_is_caught_up_shows_what_is(small_log: bool, everybody: bool, several: bool) -> None:
    own_updates = dropped_updates = row_updates = 0
    for seed in range(300):
        moves = draw_moves(random.Random(seed))
        try:
            world = asyncio.run(play(moves, small_log=small_log, everybody=everybody, several=several))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\nafter {moves}") from error
        own_updates += world.own_updates
        dropped_updates += world.dropped_updates
        row_updates += world.row_updates
    assert row_updates > 100
    if not everybody:
        assert own_updates > 50
        assert dropped_updates > 20
