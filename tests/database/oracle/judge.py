"""The oracle: runs each page again after each commit, and compares what it shows with what its facts predicted.

A page whose text has changed although its facts were not met is a *miss*. A page whose facts were met although its text
is the same counts against precision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._core.facts import Facts
from starlette_reactive._core.reads import Reads, reading

from .harder_pages import PAGES
from .pages import Page

__all__ = ["Miss", "Oracle", "RunPage", "Tally", "changes_of"]

RunPage = Callable[[Page, int], str]
"""Runs a page in a session of its own."""


@dataclass
class Tally:
    """How often the facts of one kind of page were met, and its text had changed.

    Args:
        changed: The changes of the text.
        met: How often the facts were met.
        useful: How often both were true.
    """

    changed: int = 0
    met: int = 0
    useful: int = 0

    @property
    def precision(self) -> float:
        return self.useful / self.met if self.met else 1.0


@dataclass(frozen=True)
class Miss:
    """A change of a page that its facts did not predict."""

    page: str
    number: int
    commit: str
    before: str
    after: str
    facts: Facts
    statements: tuple[str, ...]
    events: dict[str, set[str]]

    def __str__(self) -> str:
        facts = sorted((fact.table, sorted(map(sorted, fact.conditions))) for fact in self.facts.facts)
        return "\n".join(
            [
                f"the page {self.page!r} ({self.number}) changed, and its facts were not met by {self.commit!r}",
                *(f"  statement: {' '.join(each.split())}" for each in self.statements),
                *(f"  fact: {table} {conditions}" for table, conditions in facts),
                *(f"  event: {scope} {sorted(paths)}" for scope, paths in sorted(self.events.items())),
                f"  before: {self.before}",
                f"  after:  {self.after}",
            ]
        )


@dataclass
class _Viewed:
    page: str
    number: int
    text: str = ""
    facts: Facts = field(default_factory=Facts)
    statements: tuple[str, ...] = ()


class Oracle:
    """Judges the facts of some pages after each commit.

    Args:
        run: Runs a page.
        random: Chooses pages and their numbers.
        size: The number of pages that are viewed at one time.
        kinds: The kinds of page.
    """

    def __init__(self, run: RunPage, random: Random, *, size: int = 13, kinds: Iterable[str] = PAGES) -> None:
        self.tallies: dict[str, Tally] = {}
        self.misses: list[Miss] = []
        self.commits = Counter[str]()
        self._run, self._random, self._size, self._kinds = run, random, size, sorted(kinds)
        self._viewed: list[_Viewed] = []

    def choose_pages(self) -> None:
        """View other pages from now on."""
        kinds = self._random.sample(self._kinds, min(self._size, len(self._kinds)))
        self._viewed = [_Viewed(kind, self._random.randrange(240)) for kind in kinds]
        for viewed in self._viewed:
            self._record(viewed)

    def judge(self, commit: str, events: Iterable[ChangeEvent]) -> None:
        """Run all pages again after a commit, and judge the events that it has emitted."""
        changed = changes_of(events)
        self.commits[commit] += 1
        for viewed in self._viewed:
            before, facts, statements = viewed.text, viewed.facts, viewed.statements
            is_met = facts.are_met_by(changed)
            if is_met:
                self._record(viewed)
            else:
                viewed.text = self._run(PAGES[viewed.page], viewed.number)
            differs = viewed.text != before
            if differs and not is_met:
                after = viewed.text
                self.misses.append(Miss(viewed.page, viewed.number, commit, before, after, facts, statements, changed))
                self._record(viewed)
            self._count(viewed.page, is_met=is_met, differs=differs)

    def _count(self, page: str, *, is_met: bool, differs: bool) -> None:
        tally = self.tallies.setdefault(page, Tally())
        tally.changed += differs
        tally.met += is_met
        tally.useful += is_met and differs

    def _record(self, viewed: _Viewed) -> None:
        reads = Reads()
        with reading(reads):
            viewed.text = self._run(PAGES[viewed.page], viewed.number)
        viewed.facts = reads.facts
        viewed.statements = tuple(read.statement for read in reads.entries)

    @property
    def precision(self) -> float:
        """The share of runs that have changed a page."""
        tallies = self.tallies.values()
        return sum(tally.useful for tally in tallies) / sum(tally.met for tally in tallies)

    def report(self) -> str:
        """Return the numbers of all pages, as a table."""
        lines = [f"{sum(self.commits.values())} commits of {len(self.commits)} kinds, {len(self.misses)} misses"]
        for page, tally in sorted(self.tallies.items()):
            lines.append(f"{page:30} {tally.changed:7} changes {tally.met:7} met, precision {tally.precision:.2f}")
        return "\n".join(lines)


def changes_of(events: Iterable[ChangeEvent]) -> dict[str, set[str]]:
    """Return the changed paths by scope."""
    found: dict[str, set[str]] = {}
    for event in events:
        found.setdefault(event.scope, set()).update(event.changed_paths)
    return found
