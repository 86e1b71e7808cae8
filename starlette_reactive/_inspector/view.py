"""The facts of the recorder and of the bus, as the templates show them.

Each part is computed when a template reads it, so an update of one block computes nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from .._bus.bus import ReactiveBus
from .._checks import AppDescription
from .._index.graph import DependencyGraph, build_graph
from .._index.index import registry_of
from .event_rows import EventRow, count_of, event_row, format_bytes, format_time
from .graph_layout import GraphLayout, lay_out
from .readings import ReadRow, read_rows
from .recorder import MAX_EVENTS, GroupRecorder, Recorder
from .sharing import SharingRow, sharing_rows

__all__ = ["DifferenceRow", "ScopeRow", "View"]

MAX_SCOPES = 100
"""How many scopes the presence section lists."""
MAX_READS = 100
"""How many statements are listed."""
MAX_NAMES = 40
"""How many users it names in each scope."""


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """The presence in a scope.

    Args:
        scope: Its name.
        viewers: The number of viewers in its groups, in this process.
        groups: The number of groups that count their viewers.
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


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A block that was different for two viewers who share it.

    Args:
        scope: Their scope.
        message: Where the block is, which viewers it was different for, and what to do.
        at: The time of day when it was last found.
        times: How often it was found.
    """

    scope: str
    message: str
    at: str
    times: int


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
            return [event_row(record) for record in self._recorder.newest()]

    @property
    def older(self) -> list[EventRow]:
        """The events before them."""
        with self._recorder.locked():
            return [event_row(record) for record in self._recorder.older()]

    @property
    def graph(self) -> GraphLayout:
        """The dependency graph of the pages that are in use: all of them, until one is."""
        graph, used = self._whole_graph, self._used
        scopes: dict[str, list[str]] = {}
        for page in self._describe().pages:
            scopes.setdefault(page.template_name, []).extend(page.scopes)
        return lay_out(graph if not used else _part_of(graph, used), scopes)

    @property
    def folded(self) -> list[tuple[str, Sequence[str]]]:
        """The pages that are not in the graph, because nobody has them open and no event has touched them."""
        used = self._used
        blocks: dict[str, dict[str, None]] = {}
        for _, page, block in self._whole_graph.reads:
            blocks.setdefault(page, {})[block] = None
        return [(page, list(names)) for page, names in blocks.items() if used and page not in used]

    @property
    def _whole_graph(self) -> DependencyGraph:
        registries = [*map(registry_of, self._describe().all_indexes), *list(self._recorder.registries.values())]
        return build_graph(dict.fromkeys(registries))

    @property
    def _used(self) -> frozenset[str]:
        """The pages with live blocks that somebody has open, or that an event has touched."""
        with self._recorder.locked():
            touched = {
                block.ref.template_name
                for record in (*self._recorder.newest(), *self._recorder.older())
                for effect in record.effects
                for block in effect.blocks
            }
        groups = (group for each in self._recorder.scopes().values() for group in each)
        return frozenset(touched.union(ref.template_name for group in groups for ref in group.registry.blocks()))

    @property
    def sharing(self) -> list[SharingRow]:
        """Who shares the renders of each declared page."""
        return sharing_rows(self._describe())

    @property
    def differences(self) -> list[DifferenceRow]:
        """What was different for two viewers who share it."""
        return [
            DifferenceRow(each.scope, each.message, format_time(each.at), each.times)
            for each in self._recorder.differences()
        ]

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
            (f"{count_of(health.waiting, 'change')} waiting to be sent", health.waiting > 0),
            (count_of(health.connections, "connection") + " so far", False),
        ]
        if health.last_error is not None:
            phrases.append((f"last error: {health.last_error}", not health.connected))
        return phrases

    @property
    def reads(self) -> list[ReadRow]:
        """What the runs of open pages have read from databases, each statement of a page once for the same rows."""
        groups = (group for scope, each in self._recorder.scopes().items() for group in each if group.scope == scope)
        rows = (row for group in groups for row in read_rows(group.page, group.entries))
        found = {(row.page, row.statement, *row.rows): row for row in rows}
        return sorted(found.values(), key=lambda row: (row.page, row.why is None))[:MAX_READS]

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
            viewers=_viewers(scope, groups),
            groups=sum(not group.follows for group in groups),
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


def _part_of(graph: DependencyGraph, pages: Collection[str]) -> DependencyGraph:
    """Return the part of a graph with the blocks of some pages."""
    reads = [read for read in graph.reads if read[1] in pages]
    paths = {path for path, _, _ in reads}
    return DependencyGraph(reads, [each for each in graph.derived if not paths.isdisjoint(each)], graph.origins)


def _by_viewers(item: tuple[str, Sequence[GroupRecorder]]) -> tuple[int, str]:
    scope, groups = item
    return -_viewers(scope, groups), scope


def _viewers(scope: str, groups: Sequence[GroupRecorder]) -> int:
    return sum(group.count_in(scope) for group in groups if not group.follows)
