"""Runs of a page's endpoint for all viewers with an equal key, each with the request of one of them.

The member whose request served last serves again, until it leaves or is refused. If it is refused, or has become
somebody else, its stream ends and another member serves. If its run fails, others are tried, because the failure may
be its own or its person's. One whose browser has another run under way is passed over.

If a data source fails, all runs fail, and trying each member again and again would add to its load. So a render tries
only some members, and each further render twice as many as the one before, until every member has been tried once.
From then on, each render tries as few as the first one, until one succeeds.

Equal keys are a claim of the application. An audit checks it: the endpoint runs for a second member too, and what it
renders must be the same. Data may change between the two runs, so a difference counts only if the first member's run,
repeated, again differs from that of the second member.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import anyio

from .._core.blocks import BlockRef
from .._core.errors import ReactiveError, StreamRestartError
from .._core.paths import ALL
from .._core.reads import untracked
from .._log.changelog import Reading
from .._streams.rendering import Rendered
from .share import Key, Partition, Share
from .varying import Varying

__all__ = ["Difference", "Member", "SharedRuns", "no_longer_shared", "watch_differences"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

MAX_FAILURES = 3
"""How many members' runs may fail before a first render has failed. An audit tries as many."""
_ROUNDS = 3  # of an audit, before what always differs counts as a difference
_PATIENCE = 5.0  # seconds that an audit waits for a run


class Member(Protocol):
    """A viewer whose request can serve for the others."""

    @property
    def session(self) -> str:
        """The name of its browser's session."""

    @property
    def person(self) -> str:
        """Its user, or its browser's session if the user is not known."""

    @property
    def is_ending(self) -> bool:
        """Whether its stream ends."""

    @property
    def is_busy(self) -> bool:
        """Whether its run would have to wait for another one of its browser."""

    async def run(self, blocks: list[BlockRef], varying: Varying | None) -> Rendered:
        """Run the endpoint with its request.

        Args:
            blocks: The blocks to render.
            varying: The values that vary by nature. ``None`` if nothing is compared.

        Raises:
            StreamRestartError: It was refused, or has become somebody else.
        """

    def restart(self, restart: StreamRestartError) -> None:
        """Restart its stream."""

    def differed(self, difference: Difference) -> None:
        """Report that what it shared with others was different for one of them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A shared block that was different for two viewers with an equal key.

    Args:
        page: The key of the page.
        block: The block.
        template: The template that defines it.
        line: The line there.
        key: The key of both viewers.
        always: Whether it was different in each run, also for the same viewer.
    """

    page: str
    block: BlockRef
    template: str
    line: int
    key: str
    always: bool

    def __str__(self) -> str:
        what = (
            f"{self.template}:{self.line}: the block {self.block.block_name!r} of the page {self.page} was different "
            f"for two viewers whose keys are both {self.key}"
        )
        if self.always:
            return (
                f"{what}, and for one viewer from run to run: write a value that differs by nature, such as the time, "
                "as {{ varies(value) }}"
            )
        return (
            f"{what}: return a key that also says what it depends on, or name the variable that belongs to one viewer "
            "in viewer_names="
        )


_observers: list[Callable[[Difference], object]] = []


@contextmanager
def watch_differences() -> Iterator[list[Difference]]:
    """Audit all updates of pages that are audited at all, and collect the differences that are found."""
    found: list[Difference] = []
    observe = found.append
    _observers.append(observe)
    try:
        yield found
    finally:
        _observers.remove(observe)


def no_longer_shared(page: str) -> StreamRestartError:
    """Return what restarts a stream of a page, some blocks of which turned out to differ."""
    return StreamRestartError(f"blocks of the page {page} are no longer shared", whole=True)


class SharedRuns:
    """The runs of one group.

    Args:
        page: The key of the page.
        share: What the page's viewers share.
        partition: Which blocks the group shares.
        key: The key of its members.
        read: Returns what has changed in the page's scope since a position in the change log.
    """

    def __init__(
        self, page: str, share: Share, partition: Partition, key: Key, read: Callable[[int | None], Reading]
    ) -> None:
        self._page = page
        self._share = share
        self._partition = partition
        self._key = key
        self.read: Callable[[int | None], Reading] = read
        self._is_suspected = False  # whether a block differed, and could not be compared again
        self._members: dict[Member, None] = {}  # the one that serves next comes first
        self._failed: set[Member] = set()  # members whose runs have failed since the last one that did not
        self._max_failures = MAX_FAILURES

    @property
    def have_failed(self) -> bool:
        """Whether the last run has failed."""
        return bool(self._failed)

    def add(self, member: Member) -> None:
        """Add a member. It serves before those whose runs have failed."""
        self._members[member] = None

    def remove(self, member: Member) -> None:
        """Remove a member."""
        self._members.pop(member, None)
        self._failed.discard(member)

    async def __call__(self, paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:  # noqa: ARG002 - an endpoint reads everything that it shows
        """Render blocks for the group.

        Raises:
            StreamRestartError: No member is left, or a block is no longer shared.
            ReactiveError: A block differed between two viewers, and could not be compared again.
        """
        if self._share.partition() is not self._partition:
            raise no_longer_shared(self._page)
        if not self._is_audited():
            return (await self._run(blocks, audited=False)).rendered
        started_at = self.read(None).position
        run = await self._run(blocks, audited=True)
        await self._audit(blocks, run, started_at)
        return run.rendered

    async def _run(self, blocks: list[BlockRef], *, audited: bool) -> _Run:
        failures: list[Exception] = []
        tried: set[Member] = set()
        while len(failures) < self._max_failures:
            member = self._next(tried)
            if member is None or (member in self._failed and len(failures) >= MAX_FAILURES):
                break
            tried.add(member)
            varying = Varying() if audited else None
            try:
                rendered = await member.run(blocks, varying)
            except StreamRestartError as restart:
                member.restart(restart)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
                self._note_failure(member)
            else:
                if any(isinstance(html, Exception) for html in rendered.values()):
                    self._serve_last(member)  # what failed is tried again with another one
                self._failed.clear()
                self._max_failures = MAX_FAILURES
                return _Run(member, rendered, varying)
        self._max_failures = MAX_FAILURES if self._all_have_failed() else 2 * self._max_failures
        if failures:
            raise failures[0]
        raise StreamRestartError(f"the application admits none of the viewers of the page {self._page} any more")

    def _next(self, tried: set[Member]) -> Member | None:
        """Return the first member that is free, or any; one whose run has failed only if there is no other."""
        found = None
        for member in self._members:
            if member in tried or member.is_ending:
                continue
            if member not in self._failed and not member.is_busy:
                return member
            if found is None or self._is_better(member, found):
                found = member
        return found

    def _is_better(self, member: Member, other: Member) -> bool:
        return (member in self._failed, member.is_busy) < (other in self._failed, other.is_busy)

    def _all_have_failed(self) -> bool:
        return all(member in self._failed or member.is_ending for member in self._members)

    def _note_failure(self, member: Member) -> None:
        if member in self._members:  # it may have left meanwhile
            self._failed.add(member)
        self._serve_last(member)

    def _serve_last(self, member: Member) -> None:
        """Let all members of the same person serve after those of other persons, and this one last."""
        same = [each for each in self._members if each.person == member.person]
        for each in sorted(same, key=lambda each: each is member):
            del self._members[each]
            self._members[each] = None

    # The audit

    def _is_audited(self) -> bool:
        audit = self._share.audit
        is_sampled = bool(_observers) or self._is_suspected or random.random() < audit  # noqa: S311 - a sample
        return audit > 0 and is_sampled

    async def _audit(self, blocks: list[BlockRef], first: _Run, started_at: int) -> None:
        """Compare what two members would be shown.

        Raises:
            StreamRestartError: It is not the same.
            ReactiveError: It was not the same, and could not be compared again.
        """
        self._is_suspected = False
        comparison = _Comparison(blocks, first.rendered)
        second = await self._second(comparison, blocks, first)
        if second is None:
            return
        for member in (first.member, second) * (_ROUNDS - 1) + (first.member,):
            if not comparison.open_blocks:
                break
            rendered = await self._run_again(member, blocks, first)
            if rendered is None:
                self._is_suspected = True
                raise ReactiveError(
                    f"the page {self._page} was not the same for two viewers whose keys are both {self._key.text}, and "
                    "could not be rendered again to find out whether its data has changed: it is tried again"
                )
            comparison.add(rendered)
        found = comparison.differing | dict.fromkeys(self._always_differing(comparison, started_at), True)
        if found:
            self._report(found)
            raise no_longer_shared(self._page)

    async def _second(self, comparison: _Comparison, blocks: list[BlockRef], first: _Run) -> Member | None:
        """Compare with another member, and return it. ``None`` if none could be compared with."""
        session = first.member.session
        others = [each for each in self._members if each.session != session and not each.is_ending]
        for member in random.sample(others, min(MAX_FAILURES, len(others))):
            rendered = await self._run_again(member, blocks, first)
            if rendered is not None:
                comparison.add(rendered)
                return member
        return None

    async def _run_again(self, member: Member, blocks: list[BlockRef], first: _Run) -> Rendered | None:
        """Return what a run for a comparison renders. ``None`` if it fails, is refused or takes too long."""
        try:
            with anyio.move_on_after(_PATIENCE), untracked():
                return await member.run(blocks, first.varying)
        except StreamRestartError as restart:
            member.restart(restart)
        except Exception:  # noqa: BLE001, S110 - it is reported when the member serves
            pass
        return None

    def _always_differing(self, comparison: _Comparison, started_at: int) -> set[BlockRef]:
        """Return the blocks that differed in each run, although nothing that they show has changed meanwhile."""
        if not comparison.open_blocks:
            return set()
        changes = self.read(started_at).changes
        paths = (ALL,) if changes is None else [change.path for change in changes]
        return set(comparison.open_blocks) - self._partition.shared.plan(frozenset(paths)).touched

    def _report(self, differing: Mapping[BlockRef, bool]) -> None:
        self._share.note_different(differing)
        for block, always in differing.items():
            reads = self._partition.shared.reads(block)
            found = Difference(self._page, block, reads.template, reads.line, self._key.text, always)
            logger.warning("%s. From now on the block is rendered for each viewer", found)
            for member in list(self._members)[:1]:
                member.differed(found)
            for observe in _observers:
                observe(found)


@dataclass(frozen=True, slots=True)
class _Run:
    member: Member
    rendered: Rendered
    varying: Varying | None


class _Comparison:
    """Compares the blocks of runs of two members, which take turns.

    Args:
        blocks: The blocks.
        first: What the first run has rendered.
    """

    def __init__(self, blocks: list[BlockRef], first: Rendered) -> None:
        self._runs = [first]
        self.open_blocks: list[BlockRef] = blocks
        """Blocks that have been the same in no two runs."""
        self.differing: dict[BlockRef, bool] = {}
        """Blocks that differ between the members and not for one of them, each with ``False``."""

    def add(self, rendered: Rendered) -> None:
        """Compare a run with the two before it."""
        self._runs.append(rendered)
        still_open = []
        for block in self.open_blocks:
            newest, other, same = (self._html(block, ago) for ago in (1, 2, 3))
            if newest is None or other is None or newest == other:
                continue
            if same is not None and newest == same:
                self.differing[block] = False
            else:
                still_open.append(block)
        self.open_blocks = still_open

    def _html(self, block: BlockRef, ago: int) -> str | None:
        html = self._runs[-ago].get(block.key) if ago <= len(self._runs) else None
        return html if isinstance(html, str) else None
