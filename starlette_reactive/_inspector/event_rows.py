"""Events, as lines of the list, each with its effects.

Groups where an event caused the same share a row of effects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .effects import BlockEffect, BlockStatus, EventRecord, GroupEffect, GroupStatus

__all__ = ["EffectRow", "EventRow", "count_of", "event_row", "format_bytes", "format_time"]


@dataclass(frozen=True, slots=True)
class EffectRow:
    """What an event caused in all groups where it caused the same.

    Args:
        page: The template of the groups' blocks.
        personal: Whether each group has the personal blocks of one viewer, which another group counts.
        groups: The number of groups.
        viewers: The number of their viewers.
        status: How far the groups have processed the event.
        blocks: The blocks that show its paths.
        reached: The number of viewers that were sent something.
        size: The bytes that they were sent.
        runs: How many times an endpoint or a context builder has run for it.
        milliseconds: The time of the longest render.
        until_sent: Milliseconds from the event until the last viewer was sent it.
        merged_with: The numbers of the other events in the same render.
        notes: Sentences on what was skipped, and why.
        differences: What was different for two viewers who share these renders.
    """

    page: str
    personal: bool
    groups: int
    viewers: int
    status: GroupStatus
    blocks: Sequence[BlockEffect]
    reached: int
    size: int
    runs: int
    milliseconds: float | None
    until_sent: float | None
    merged_with: Sequence[int]
    notes: Sequence[str]
    differences: Sequence[str]


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


def event_row(record: EventRecord) -> EventRow:
    """Return an event as a line of the list."""
    event = record.event
    effects = _effect_rows(record.effects)
    summary, tone = _summary(effects, record)
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
        if effect.personal and effect.status is GroupStatus.DELIVERED:
            continue  # a group that follows another one is woken only if the event is for its viewer
        groups.setdefault(_grouping_key(effect), []).append(effect)
    return [_effect_row(each) for each in groups.values()]


def _grouping_key(effect: GroupEffect) -> object:
    blocks = tuple((block.ref, block.status, block.detail) for block in effect.blocks)
    told = bool(effect.own), bool(effect.outside), bool(effect.later)
    return effect.page, effect.personal, effect.status, blocks, told, effect.reason, tuple(effect.differences)


def _effect_row(effects: Sequence[GroupEffect]) -> EffectRow:
    first = effects[0]
    renders = {effect.render.number: effect.render for effect in effects if effect.render is not None}
    sent_at = max((render.sent_at for render in renders.values() if render.sent_at is not None), default=None)
    number = first.event.number
    return EffectRow(
        page=first.page,
        personal=first.personal,
        groups=len(effects),
        viewers=sum(effect.viewers for effect in effects),
        status=first.status,
        blocks=first.blocks,
        reached=sum(render.viewers for render in renders.values()),
        size=sum(render.size for render in renders.values()),
        runs=sum(effect.attempts for effect in effects),
        milliseconds=max((1000 * render.seconds for render in renders.values()), default=None),
        until_sent=None if sent_at is None else max(0.0, 1000 * (sent_at - first.event.delivered_at)),
        merged_with=sorted({each for render in renders.values() for each in render.events} - {number}),
        notes=list(_notes(effects)),
        differences=first.differences,
    )


def _notes(effects: Sequence[GroupEffect]) -> Iterable[str]:
    first = effects[0]
    own, outside = sum(effect.own for effect in effects), sum(effect.outside for effect in effects)
    later = sum(effect.later for effect in effects)
    if later:
        yield f"Sent two seconds later to {count_of(later, 'viewer')} who made the change."
    if own:
        yield f"Not sent to {count_of(own, 'viewer')} who made the change."
    if outside:
        where = "in other scopes" if first.event.event.audience is None else "outside the audience"
        yield f"Not sent to {count_of(outside, 'viewer')} {where}."
    if first.status is GroupStatus.UNSEEN:
        yield f"Nothing rendered: no live block of {first.page or 'the page'} shows these paths."
    if first.status is GroupStatus.WITHHELD:
        yield "Nothing rendered: no viewer is to receive it."
    if first.status is GroupStatus.ENDED:
        yield f"Not rendered: the group ended, because {first.reason}."
    retries = [effect.retry_at for effect in effects if effect.retry_at is not None]
    if retries:
        attempts = count_of(max(effect.attempts for effect in effects), "attempt")
        yield f"Failed after {attempts}. The next attempt is at {format_time(min(retries))}, or with the next change."


def _summary(effects: Sequence[EffectRow], record: EventRecord) -> tuple[list[str], str]:
    if not effects:
        return ["no live page in this process" if record.others else "no viewer in this scope"], "quiet"
    statuses = {effect.status for effect in effects}
    block_counts = Counter(block.status for effect in effects for block in effect.blocks)
    shared, personal = ([effect for effect in effects if effect.personal is each] for each in (False, True))
    delivered = _delivery_summary(shared, is_partial=record.more_groups > 0 and not personal)  # they are kept first
    delivered_personal = _delivery_summary(personal, is_partial=record.more_groups > 0)
    found = (
        _blocks_summary(block_counts),
        delivered,
        f"personal: {delivered_personal}" if delivered_personal else "",
    )
    parts = [part for part in found if part]
    if not parts:
        parts = [_STATUS_TEXTS[status] for status in GroupStatus if status in statuses]
    if record.runs:
        parts.append(count_of(record.runs, "run"))
    if any(effect.differences for effect in effects):
        parts.append("different for two viewers")
        return parts, "failed"
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
        f"{count_of(block_counts[BlockStatus.SENT], 'block')}" if block_counts[BlockStatus.SENT] else "",
        f"{block_counts[BlockStatus.FAILED]} failed" if block_counts[BlockStatus.FAILED] else "",
        f"{block_counts[BlockStatus.SAME]} unchanged" if block_counts[BlockStatus.SAME] else "",
        f"{block_counts[BlockStatus.WAITING]} being rendered" if block_counts[BlockStatus.WAITING] else "",
    ]
    return ", ".join(part for part in parts if part)


def _delivery_summary(effects: Sequence[EffectRow], *, is_partial: bool) -> str:
    reached, size = sum(effect.reached for effect in effects), sum(effect.size for effect in effects)
    if not reached:
        return ""
    longest = max((effect.milliseconds for effect in effects if effect.milliseconds is not None), default=0.0)
    least = "at least " if is_partial else ""
    return f"{least}{count_of(reached, 'viewer')}, {format_bytes(size)}, {longest:.1f} ms"


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number} {noun if number == 1 else f'{noun}s'}"
