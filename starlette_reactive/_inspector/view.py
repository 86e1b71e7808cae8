"""What the page shows, in words: facts of the journal and of the bus as the templates read them.

Each part is worked out when a template asks for it, so an update that renders one block reads no more than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .._bus.bus import ReactiveBus
from .._checks import Subject
from .._index.index import registry_of
from .._index.wiring import wiring_of
from .journal import KEPT, GroupRecord, Journal
from .picture import Picture, draw
from .records import BlockRecord, Effect, EventRecord, Fate, Stage

__all__ = ["EffectRow", "EventRow", "ScopeRow", "View", "bytes_in_words", "clock"]

MAX_SCOPES = 100
"""How many scopes the presence lists."""
MAX_NAMES = 40
"""How many viewers it names in each."""


@dataclass(frozen=True, slots=True)
class EffectRow:
    """What an event caused in groups in which it caused the same.

    Args:
        page: The template of the groups' blocks.
        groups: How many groups they are.
        viewers: How many viewers they have.
        stage: How far the event has come there.
        blocks: What concerns it.
        told: How many viewers were sent something.
        size: How many bytes.
        milliseconds: How long the longest render took.
        until_sent: Milliseconds from the event to the last viewer that was sent it.
        together: The numbers of other events that the same render shows.
        notes: Sentences: what was skipped, and why.
    """

    page: str
    groups: int
    viewers: int
    stage: Stage
    blocks: Sequence[BlockRecord]
    told: int
    size: int
    milliseconds: float | None
    until_sent: float | None
    together: Sequence[int]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event, as a line of the list.

    Args:
        record: The event.
        at: When, as a clock shows it.
        paths: Its paths.
        derived: The paths that follow from them.
        audience: Whom it is for; ``None``: everybody.
        effects: What it caused.
        summary: The same in a few words.
        tone: ``sent``, ``quiet``, ``busy`` or ``failed``: how the line looks.
        more: For how many groups it is not kept what it caused.
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
    def touched(self) -> list[tuple[str, str, str]]:
        """The blocks that it concerns and what came of them, for the picture to light up."""
        found = {block.ref.key: block.fate for effect in self.effects for block in effect.blocks}
        return [(template, name, str(fate)) for (template, name), fate in found.items()]


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """Who is in a scope.

    Args:
        scope: Its name.
        viewers: How many viewers its groups have, in this process.
        groups: How many groups.
        connected: How many connections are known, with subscriptions of their own and of other processes.
        pages: The templates that they look at.
        users: The user ids of those who are connected, with how often each is.
        nameless: How many are connected without a user id.
        more: How many users are not listed.
    """

    scope: str
    viewers: int
    groups: int
    connected: int
    pages: Sequence[str]
    users: Sequence[tuple[str, int]]
    nameless: int
    more: int


class View:
    """What the page shows.

    Args:
        journal: What the inspector knows.
        bus: What it looks at.
        subject: Gives the pages and indexes of the application.
    """

    def __init__(self, journal: Journal, bus: ReactiveBus, subject: Callable[[], Subject]) -> None:
        self._journal = journal
        self._bus = bus
        self._subject = subject

    @property
    def newest(self) -> list[EventRow]:
        """The newest events."""
        with self._journal.entering():
            return [_event_row(record) for record in self._journal.newest()]

    @property
    def older(self) -> list[EventRow]:
        """The events before them."""
        with self._journal.entering():
            return [_event_row(record) for record in self._journal.older()]

    @property
    def picture(self) -> Picture:
        """What shows what."""
        subject = self._subject()
        indexes = [*subject.indexes, *(page.index for page in subject.pages)]
        registries = [*map(registry_of, indexes), *list(self._journal.indexes.values())]
        scopes: dict[str, list[str]] = {}
        for page in subject.pages:
            scopes.setdefault(page.template_name, []).append(page.scope)
        return draw(wiring_of(dict.fromkeys(registries)), scopes)

    @property
    def counters(self) -> list[tuple[str, str, str]]:
        """The counters: what each is called, what it stands at, and what it counts."""
        bus, totals = self._bus, self._journal.totals()
        return [
            ("Emitted", f"{bus.emitted_count:,}", "Events, dropped ones included"),
            ("Viewers", f"{totals.viewers:,}", "Open live pages in this process"),
            ("Groups", f"{totals.groups:,}", "Viewers that share their renders are one group"),
            ("Renders", f"{totals.renders:,}", "Runs of a context builder, with what was rendered from it"),
            ("Sent", bytes_in_words(totals.size), "Bytes of updates to all viewers"),
            ("Subscribers", f"{bus.subscriber_count:,}", "Subscriptions of the bus; a group has one"),
            ("Coalesced", f"{bus.coalesced_count:,}", "Events merged into one that waited for the same subscriber"),
            ("Dropped", f"{bus.dropped_count:,}", "Events for which a subscriber had no room"),
        ]

    @property
    def engine(self) -> list[tuple[str, bool]]:
        """How things stand with the engine, in phrases, each with whether it is bad news."""
        health = self._bus.health()
        if health.engine == "memory":
            return [("Engine: none, events stay in this process", False)]
        words = [
            (f"Engine: {health.engine}", False),
            ("connected", False) if health.connected else ("not connected", True),
            (f"{_count(health.waiting, 'change')} waiting for it", health.waiting > 0),
            (f"connected to {_count(health.connections, 'time')} so far", False),
        ]
        if health.last_error is not None:
            words.append((f"last error: {health.last_error}", not health.connected))
        return words

    @property
    def presence(self) -> list[ScopeRow]:
        """Who is where."""
        scopes = sorted(self._journal.scopes().items(), key=_by_viewers)[:MAX_SCOPES]
        rows = [self._scope_row(scope, groups) for scope, groups in scopes]
        return [row for row in rows if row.groups or row.connected]

    @property
    def more_scopes(self) -> int:
        """How many scopes are not listed."""
        return max(0, len(self._journal.scopes()) - MAX_SCOPES)

    def _scope_row(self, scope: str, groups: Sequence[GroupRecord]) -> ScopeRow:
        connections = self._bus.presence(scope)
        users = Counter(connection.user_id for connection in connections)
        nameless = users.pop(None, 0)
        named = sorted((user, count) for user, count in users.items() if user is not None)
        return ScopeRow(
            scope=scope,
            viewers=sum(group.viewers for group in groups),
            groups=len(groups),
            connected=len(connections),
            pages=sorted({group.page for group in groups}),
            users=named[:MAX_NAMES],
            nameless=nameless,
            more=max(0, len(named) - MAX_NAMES),
        )

    @property
    def kept(self) -> int:
        """How many events are kept."""
        return KEPT


def _by_viewers(item: tuple[str, Sequence[GroupRecord]]) -> tuple[int, str]:
    scope, groups = item
    return -sum(group.viewers for group in groups), scope


def clock(at: float) -> str:
    """Return a time of day with its milliseconds."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def bytes_in_words(size: int) -> str:
    """Return a number of bytes as one reads it."""
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
        at=clock(record.at),
        paths=sorted(event.changed_paths),
        derived=sorted(record.derived),
        audience=None if event.audience is None else sorted(event.audience),
        effects=effects,
        summary=summary,
        tone=tone,
        more=record.more_groups,
    )


def _effect_rows(effects: Iterable[Effect]) -> list[EffectRow]:
    alike: dict[object, list[Effect]] = {}
    for effect in effects:
        alike.setdefault(_likeness(effect), []).append(effect)
    return [_effect_row(each) for each in alike.values()]


def _likeness(effect: Effect) -> object:
    blocks = tuple((block.ref, block.fate, block.detail) for block in effect.blocks)
    return effect.page, effect.stage, blocks, bool(effect.own), bool(effect.outside), effect.reason


def _effect_row(effects: Sequence[Effect]) -> EffectRow:
    first = effects[0]
    batches = {effect.batch.number: effect.batch for effect in effects if effect.batch is not None}
    sent_at = max((batch.sent_at for batch in batches.values() if batch.sent_at is not None), default=None)
    number = first.event.number
    return EffectRow(
        page=first.page,
        groups=len(effects),
        viewers=sum(effect.viewers for effect in effects),
        stage=first.stage,
        blocks=first.blocks,
        told=sum(batch.viewers for batch in batches.values()),
        size=sum(batch.size for batch in batches.values()),
        milliseconds=max((1000 * batch.seconds for batch in batches.values()), default=None),
        until_sent=None if sent_at is None else max(0.0, 1000 * (sent_at - first.event.delivered_at)),
        together=sorted({each for batch in batches.values() for each in batch.events} - {number}),
        notes=list(_notes(effects)),
    )


def _notes(effects: Sequence[Effect]) -> Iterable[str]:
    first = effects[0]
    own, outside = sum(effect.own for effect in effects), sum(effect.outside for effect in effects)
    if own:
        yield f"Not told: {_count(own, 'viewer')} whose own change it is."
    if outside:
        yield f"Not told: {_count(outside, 'viewer')} outside of the audience."
    if first.stage is Stage.UNSEEN:
        yield f"Nothing rendered: no live block of {first.page or 'the page'} shows these paths."
    if first.stage is Stage.WITHHELD:
        yield "Nothing rendered: no viewer is to be told."
    if first.stage is Stage.ENDED:
        yield f"Not rendered: the group ended, for {first.reason}."
    retries = [effect.retry_at for effect in effects if effect.retry_at is not None]
    if retries:
        tries = _count(max(effect.attempts for effect in effects), "try", "tries")
        yield f"Failed, after {tries} so far. The next one is at {clock(min(retries))}, or with the next change."


def _summary(effects: Sequence[EffectRow], others: int) -> tuple[list[str], str]:
    if not effects:
        return ["no live page here" if others else "no viewer in this scope"], "quiet"
    stages = {effect.stage for effect in effects}
    fates = Counter(block.fate for effect in effects for block in effect.blocks)
    words = [word for word in (_fates_in_words(fates), _told_in_words(effects)) if word]
    if not words:
        words = [_WORDS[stage] for stage in Stage if stage in stages]
    return words, _tone(stages, fates)


_WORDS = {
    Stage.DELIVERED: "delivered",
    Stage.UNSEEN: "no block shows it",
    Stage.WITHHELD: "nobody to tell",
    Stage.RENDERING: "rendering",
    Stage.RENDERED: "rendered",
    Stage.FAILED: "failed",
    Stage.ENDED: "viewers left",
}


def _tone(stages: set[Stage], fates: Counter[Fate]) -> str:
    if Stage.FAILED in stages:
        return "failed"
    if fates[Fate.SENT]:
        return "sent"
    return "busy" if stages & {Stage.DELIVERED, Stage.RENDERING} else "quiet"


def _fates_in_words(fates: Counter[Fate]) -> str:
    parts = [
        f"{_count(fates[Fate.SENT], 'block')}" if fates[Fate.SENT] else "",
        f"{fates[Fate.FAILED]} failed" if fates[Fate.FAILED] else "",
        f"{fates[Fate.SAME]} same as before" if fates[Fate.SAME] else "",
        f"{fates[Fate.WAITING]} being rendered" if fates[Fate.WAITING] else "",
    ]
    return ", ".join(part for part in parts if part)


def _told_in_words(effects: Sequence[EffectRow]) -> str:
    told, size = sum(effect.told for effect in effects), sum(effect.size for effect in effects)
    if not told:
        return ""
    longest = max((effect.milliseconds for effect in effects if effect.milliseconds is not None), default=0.0)
    return f"{_count(told, 'viewer')}, {bytes_in_words(size)}, {longest:.1f} ms"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
