"""The facts of the recorder and of the bus, as the templates show them.

Each part is computed when a template reads it, so an update of one block computes nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .._bus.bus import ReactiveBus
from .._checks import AppDescription
from .._index.graph import build_graph
from .._index.index import registry_of
from .effects import BlockEffect, BlockStatus, EventRecord, GroupEffect, GroupStatus
from .graph_layout import GraphLayout, lay_out
from .recorder import MAX_EVENTS, GroupRecorder, Recorder

__all__ = ["EffectRow", "EventRow", "ScopeRow", "View", "format_bytes", "format_time"]

MAX_SCOPES = 100
"""How many scopes the presence section lists."""
MAX_NAMES = 40
"""How many users it names in each scope."""


@dataclass(frozen=True, slots=True)
class EffectRow:
    """What an event caused in all groups where it caused the same.

    Args:
        page: The template of the groups' blocks.
        groups: The number of groups.
        viewers: The number of their viewers.
        status: How far the groups have processed the event.
        blocks: The blocks that show its paths.
        reached: The number of viewers that were sent something.
        size: The bytes that they were sent.
        milliseconds: The time of the longest render.
        until_sent: Milliseconds from the event until the last viewer was sent it.
        merged_with: The numbers of the other events in the same render.
        notes: Sentences on what was skipped, and why.
    """

    page: str
    groups: int
    viewers: int
    status: GroupStatus
    blocks: Sequence[BlockEffect]
    reached: int
    size: int
    milliseconds: float | None
    until_sent: float | None
    merged_with: Sequence[int]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event, as a line of the list.

    Args:
        record: The event.
        at: Its time of day.
        paths: Its paths.
        derived: The paths that are derived from them.
        audience: The ids of the users it is for. ``None`` for everyone.
        effects: What it caused.
        summary: The effects in a few words.
        tone: The look of the line: ``sent``, ``quiet``, ``busy`` or ``failed``.
        more: The number of further groups, whose effects are not kept.
    """

    record: EventRecord
    at: str
    paths: Sequence[str]
    derived: Sequence[str]
    audience: Sequence[str] | None
    effects: Sequence[EffectRow]
    summary: Sequence[str]
    tone: str
    more: int

    @property
    def block_statuses(self) -> list[tuple[str, str, str]]:
        """The blocks that show its paths, with their status, for the graph to highlight."""
        found = {block.ref.key: block.status for effect in self.effects for block in effect.blocks}
        return [(template, name, str(status)) for (template, name), status in found.items()]


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """The presence in a scope.

    Args:
        scope: Its name.
        viewers: The number of viewers in its groups, in this process.
        groups: The number of groups.
        connected: The number of connections, including those of other processes and of plain subscriptions.
        pages: The templates that the viewers have open.
        users: The ids of connected users, each with the number of its connections.
        anonymous: The number of connections without a user id.
        more: The number of users that are not listed.
    """

    scope: str
    viewers: int
    groups: int
    connected: int
    pages: Sequence[str]
    users: Sequence[tuple[str, int]]
    anonymous: int
    more: int


class View:
    """What the page shows.

    Args:
        recorder: The recorded events and groups.
        bus: The inspected bus.
        describe: Returns the description of the application.
    """

    def __init__(self, recorder: Recorder, bus: ReactiveBus, describe: Callable[[], AppDescription]) -> None:
        self._recorder = recorder
        self._bus = bus
        self._describe = describe

    @property
    def newest(self) -> list[EventRow]:
        """The newest events."""
        with self._recorder.locked():
            return [_event_row(record) for record in self._recorder.newest()]

    @property
    def older(self) -> list[EventRow]:
        """The events before them."""
        with self._recorder.locked():
            return [_event_row(record) for record in self._recorder.older()]

    @property
    def graph(self) -> GraphLayout:
        """The dependency graph."""
        app = self._describe()
        registries = [*map(registry_of, app.all_indexes), *list(self._recorder.registries.values())]
        scopes: dict[str, list[str]] = {}
        for page in app.pages:
            scopes.setdefault(page.template_name, []).append(page.scope)
        return lay_out(build_graph(dict.fromkeys(registries)), scopes)

    @property
    def counters(self) -> list[tuple[str, str, str]]:
        """The counters, each as (name, value, meaning)."""
        bus, totals = self._bus, self._recorder.totals()
        return [
            ("Emitted", f"{bus.emitted_count:,}", "Events, including dropped ones"),
            ("Viewers", f"{totals.viewers:,}", "Live pages open in this process"),
            ("Groups", f"{totals.groups:,}", "Viewers that share renders form one group"),
            ("Renders", f"{totals.renders:,}", "Runs of a page's endpoint or context builder"),
            ("Sent", format_bytes(totals.size), "Bytes of updates to all viewers"),
            ("Subscribers", f"{bus.subscriber_count:,}", "Subscriptions on the bus; each group has one"),
            ("Coalesced", f"{bus.coalesced_count:,}", "Events merged into one that waited for the same subscriber"),
            ("Dropped", f"{bus.dropped_count:,}", "Events that did not fit into a subscriber's queue"),
        ]

    @property
    def engine(self) -> list[tuple[str, bool]]:
        """The state of the engine, as phrases, each with whether it reports a problem."""
        health = self._bus.health()
        if health.engine == "memory":
            return [("Engine: none, events stay in this process", False)]
        phrases = [
            (f"Engine: {health.engine}", False),
            ("connected", False) if health.connected else ("not connected", True),
            (f"{_count(health.waiting, 'change')} waiting to be sent", health.waiting > 0),
            (_count(health.connections, "connection") + " so far", False),
        ]
        if health.last_error is not None:
            phrases.append((f"last error: {health.last_error}", not health.connected))
        return phrases

    @property
    def presence(self) -> list[ScopeRow]:
        """The presence in each scope."""
        scopes = sorted(self._recorder.scopes().items(), key=_by_viewers)[:MAX_SCOPES]
        rows = [self._scope_row(scope, groups) for scope, groups in scopes]
        return [row for row in rows if row.groups or row.connected]

    @property
    def more_scopes(self) -> int:
        """The number of scopes that are not listed."""
        return max(0, len(self._recorder.scopes()) - MAX_SCOPES)

    def _scope_row(self, scope: str, groups: Sequence[GroupRecorder]) -> ScopeRow:
        connections = self._bus.presence(scope)
        users = Counter(connection.user_id for connection in connections)
        anonymous = users.pop(None, 0)
        named = sorted((user, count) for user, count in users.items() if user is not None)
        return ScopeRow(
            scope=scope,
            viewers=sum(group.viewers for group in groups),
            groups=len(groups),
            connected=len(connections),
            pages=sorted({group.page for group in groups}),
            users=named[:MAX_NAMES],
            anonymous=anonymous,
            more=max(0, len(named) - MAX_NAMES),
        )

    @property
    def max_events(self) -> int:
        """The number of events that are kept."""
        return MAX_EVENTS


def _by_viewers(item: tuple[str, Sequence[GroupRecorder]]) -> tuple[int, str]:
    scope, groups = item
    return -sum(group.viewers for group in groups), scope


def format_time(at: float) -> str:
    """Return a time of day with its milliseconds."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def format_bytes(size: int) -> str:
    """Return a number of bytes with a readable unit."""
    if size < 1000:
        return f"{size} B"
    for unit, factor in (("kB", 1e3), ("MB", 1e6)):
        if size < factor * 1000:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e9:.1f} GB"


def _event_row(record: EventRecord) -> EventRow:
    event = record.event
    effects = _effect_rows(record.effects)
    summary, tone = _summary(effects, record.others)
    return EventRow(
        record=record,
        at=format_time(record.at),
        paths=sorted(event.changed_paths),
        derived=sorted(record.derived),
        audience=None if event.audience is None else sorted(event.audience),
        effects=effects,
        summary=summary,
        tone=tone,
        more=record.more_groups,
    )


def _effect_rows(effects: Iterable[GroupEffect]) -> list[EffectRow]:
    groups: dict[object, list[GroupEffect]] = {}
    for effect in effects:
        groups.setdefault(_grouping_key(effect), []).append(effect)
    return [_effect_row(each) for each in groups.values()]


def _grouping_key(effect: GroupEffect) -> object:
    blocks = tuple((block.ref, block.status, block.detail) for block in effect.blocks)
    return effect.page, effect.status, blocks, bool(effect.own), bool(effect.outside), effect.reason


def _effect_row(effects: Sequence[GroupEffect]) -> EffectRow:
    first = effects[0]
    renders = {effect.render.number: effect.render for effect in effects if effect.render is not None}
    sent_at = max((render.sent_at for render in renders.values() if render.sent_at is not None), default=None)
    number = first.event.number
    return EffectRow(
        page=first.page,
        groups=len(effects),
        viewers=sum(effect.viewers for effect in effects),
        status=first.status,
        blocks=first.blocks,
        reached=sum(render.viewers for render in renders.values()),
        size=sum(render.size for render in renders.values()),
        milliseconds=max((1000 * render.seconds for render in renders.values()), default=None),
        until_sent=None if sent_at is None else max(0.0, 1000 * (sent_at - first.event.delivered_at)),
        merged_with=sorted({each for render in renders.values() for each in render.events} - {number}),
        notes=list(_notes(effects)),
    )


def _notes(effects: Sequence[GroupEffect]) -> Iterable[str]:
    first = effects[0]
    own, outside = sum(effect.own for effect in effects), sum(effect.outside for effect in effects)
    if own:
        yield f"Not sent to {_count(own, 'viewer')} who made the change."
    if outside:
        yield f"Not sent to {_count(outside, 'viewer')} outside the audience."
    if first.status is GroupStatus.UNSEEN:
        yield f"Nothing rendered: no live block of {first.page or 'the page'} shows these paths."
    if first.status is GroupStatus.WITHHELD:
        yield "Nothing rendered: no viewer is to receive it."
    if first.status is GroupStatus.ENDED:
        yield f"Not rendered: the group ended, because {first.reason}."
    retries = [effect.retry_at for effect in effects if effect.retry_at is not None]
    if retries:
        attempts = _count(max(effect.attempts for effect in effects), "attempt")
        yield f"Failed after {attempts}. The next attempt is at {format_time(min(retries))}, or with the next change."


def _summary(effects: Sequence[EffectRow], others: int) -> tuple[list[str], str]:
    if not effects:
        return ["no live page in this process" if others else "no viewer in this scope"], "quiet"
    statuses = {effect.status for effect in effects}
    block_counts = Counter(block.status for effect in effects for block in effect.blocks)
    parts = [part for part in (_blocks_summary(block_counts), _delivery_summary(effects)) if part]
    if not parts:
        parts = [_STATUS_TEXTS[status] for status in GroupStatus if status in statuses]
    return parts, _tone(statuses, block_counts)


_STATUS_TEXTS = {
    GroupStatus.DELIVERED: "delivered",
    GroupStatus.UNSEEN: "no block shows it",
    GroupStatus.WITHHELD: "no recipient",
    GroupStatus.RENDERING: "rendering",
    GroupStatus.RENDERED: "rendered",
    GroupStatus.FAILED: "failed",
    GroupStatus.ENDED: "viewers left",
}


def _tone(statuses: set[GroupStatus], block_counts: Counter[BlockStatus]) -> str:
    if GroupStatus.FAILED in statuses:
        return "failed"
    if block_counts[BlockStatus.SENT]:
        return "sent"
    return "busy" if statuses & {GroupStatus.DELIVERED, GroupStatus.RENDERING} else "quiet"


def _blocks_summary(block_counts: Counter[BlockStatus]) -> str:
    parts = [
        f"{_count(block_counts[BlockStatus.SENT], 'block')}" if block_counts[BlockStatus.SENT] else "",
        f"{block_counts[BlockStatus.FAILED]} failed" if block_counts[BlockStatus.FAILED] else "",
        f"{block_counts[BlockStatus.SAME]} unchanged" if block_counts[BlockStatus.SAME] else "",
        f"{block_counts[BlockStatus.WAITING]} being rendered" if block_counts[BlockStatus.WAITING] else "",
    ]
    return ", ".join(part for part in parts if part)


def _delivery_summary(effects: Sequence[EffectRow]) -> str:
    reached, size = sum(effect.reached for effect in effects), sum(effect.size for effect in effects)
    if not reached:
        return ""
    longest = max((effect.milliseconds for effect in effects if effect.milliseconds is not None), default=0.0)
    return f"{_count(reached, 'viewer')}, {format_bytes(size)}, {longest:.1f} ms"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else f'{noun}s'}"
