"""Runs of a page's endpoint for all viewers with an equal key, each with the request of one of them.

The member whose request served last serves again, until it leaves or is refused. If it is refused, or has become
somebody else, its stream ends and another member serves. If its run fails, another one is tried, because the failure
may be its own. One whose browser has another run under way is passed over.

Equal keys are a claim of the application. An audit checks it: the endpoint runs for a second member too, and what it
renders must be the same. Data may change between the two runs, so a difference counts only if the first member's run,
repeated, again differs from the second one's.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from .._core.blocks import BlockRef
from .._core.errors import StreamRestartError
from .._streams.rendering import Rendered
from .share import Key, Partition, Share
from .varying import Marks

__all__ = ["Difference", "Member", "SharedRuns", "watch_differences"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

MAX_FAILURES = 3
"""How many members' runs may fail before a render has failed."""
_ROUNDS = 3  # of an audit, before what always differs counts as a difference


class Member(Protocol):
    """A viewer whose request can serve for the others."""

    @property
    def session(self) -> str:
        """The name of its browser's session."""

    @property
    def is_ending(self) -> bool:
        """Whether its stream ends."""

    @property
    def is_busy(self) -> bool:
        """Whether its run would have to wait for another one of its browser."""

    async def run(self, blocks: list[BlockRef], marks: Marks | None) -> Rendered:
        """Run the endpoint with its request.

        Args:
            blocks: The blocks to render.
            marks: What to enclose values in that vary by nature.

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


class SharedRuns:
    """The runs of one group.

    Args:
        page: The key of the page.
        share: What the page's viewers share.
        partition: Which blocks the group shares.
        key: The key of its members.
    """

    def __init__(self, page: str, share: Share, partition: Partition, key: Key) -> None:
        self._page = page
        self._share = share
        self._partition = partition
        self._key = key
        self._members: dict[Member, None] = {}  # the one that serves next comes first

    def add(self, member: Member) -> None:
        """Add a member."""
        self._members[member] = None

    def remove(self, member: Member) -> None:
        """Remove a member."""
        self._members.pop(member, None)

    async def __call__(self, paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:  # noqa: ARG002 - an endpoint reads everything that it shows
        """Render blocks for the group.

        Raises:
            StreamRestartError: No member is left, or a block is no longer shared.
        """
        if self._share.partition() is not self._partition:
            raise self._no_longer_shared()
        marks = Marks() if self._is_audited() else None
        member, rendered = await self._run(blocks, marks)
        if marks is None:
            return rendered
        await self._audit(blocks, member, rendered, marks)
        return {key: marks.without(html) if isinstance(html, str) else html for key, html in rendered.items()}

    async def _run(self, blocks: list[BlockRef], marks: Marks | None) -> tuple[Member, Rendered]:
        failures: list[Exception] = []
        tried: set[Member] = set()
        while len(failures) < MAX_FAILURES:
            member = self._next(tried)
            if member is None:
                break
            tried.add(member)
            try:
                rendered = await member.run(blocks, marks)
            except StreamRestartError as restart:
                member.restart(restart)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
                self._serve_last(member)
            else:
                if any(isinstance(html, Exception) for html in rendered.values()):
                    self._serve_last(member)  # what failed is tried again with another one
                return member, rendered
        if failures:
            raise failures[0]
        raise StreamRestartError(f"the application admits none of the viewers of the page {self._page} any more")

    def _next(self, tried: set[Member]) -> Member | None:
        first = None
        for member in self._members:
            if member not in tried and not member.is_ending:
                if not member.is_busy:
                    return member
                first = first or member
        return first

    def _serve_last(self, member: Member) -> None:
        if member in self._members:
            del self._members[member]
            self._members[member] = None

    def _no_longer_shared(self) -> StreamRestartError:
        return StreamRestartError(f"blocks of the page {self._page} are no longer shared", whole=True)

    # The audit

    def _is_audited(self) -> bool:
        audit = self._share.audit
        return audit > 0 and (bool(_observers) or random.random() < audit)  # noqa: S311 - a sample

    async def _audit(self, blocks: list[BlockRef], first: Member, rendered: Rendered, marks: Marks) -> None:
        """Compare what two members would be shown.

        Raises:
            StreamRestartError: It is not the same.
        """
        others = [each for each in self._members if each.session != first.session and not each.is_ending]
        if not others:
            return
        comparison = _Comparison(blocks, rendered, marks)
        for member in (others[0], first) * _ROUNDS:
            try:
                comparison.add(await member.run(comparison.open_blocks, marks))
            except StreamRestartError as restart:
                member.restart(restart)
                return
            except Exception:  # noqa: BLE001 - the next audit compares again
                return
            if not comparison.open_blocks:
                break
        if comparison.differing:
            self._report(comparison)
            raise self._no_longer_shared()

    def _report(self, comparison: _Comparison) -> None:
        self._share.note_different(comparison.differing)
        for block, always in comparison.differing.items():
            reads = self._partition.shared.reads(block)
            found = Difference(self._page, block, reads.template, reads.line, self._key.text, always)
            logger.warning("%s. From now on the block is rendered for each viewer", found)
            for member in list(self._members)[:1]:
                member.differed(found)
            for observe in _observers:
                observe(found)


class _Comparison:
    """Compares the blocks of runs of two members, which take turns.

    Args:
        blocks: The blocks.
        first: What the first run has rendered.
        marks: What encloses values that vary by nature.
    """

    def __init__(self, blocks: list[BlockRef], first: Rendered, marks: Marks) -> None:
        self._marks = marks
        self._runs = [first]
        self.open_blocks: list[BlockRef] = blocks
        self.differing: dict[BlockRef, bool] = {}
        """Blocks that differ between the members, and whether they differ from run to run as well."""

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
        if len(self._runs) > 2 * _ROUNDS:
            self.differing.update(dict.fromkeys(still_open, True))

    def _html(self, block: BlockRef, ago: int) -> str | None:
        if len(self._runs) < ago:
            return None
        html = self._runs[-ago].get(block.key)
        return self._marks.comparable(html) if isinstance(html, str) else None
