"""A net under what is tracked: a page runs again after changes that it does not seem to depend on, and is compared.

The facts of a page decide which changes it never sees. If they are wrong, nothing else notices. So in debug mode, and
in tests with the package's clients, a part of the changes that meet no fact cause a run whose HTML is only compared. A
block that differs is reported, with the statements that have read the changed tables.

Two runs must agree before a block is reported, because HTML may differ by nature. Then the net waits for changes that
are on their way, which explain the difference if they meet a fact.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from .._core.blocks import BlockRef
from .._core.facts import COMMITS, UNKNOWN
from .._core.paths import ALL
from .._core.reads import Read, Reads, reading
from .rendering import RenderBlocks, Rendered

__all__ = ["Misjudged", "Net", "watch_misjudged"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

DEBUG_PART = 0.1
"""The part of the changes that cause a run in debug mode."""
SETTLING = 1.0
"""Seconds that an event may take after its commit."""


@dataclass(frozen=True, slots=True)
class Misjudged:
    """Blocks that differ after changes which meet no fact.

    Args:
        blocks: The blocks.
        scopes: The scopes of the changes.
        statements: The statements that have read these tables.
    """

    blocks: tuple[BlockRef, ...]
    scopes: tuple[str, ...]
    statements: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(f"{each.block_name!r} of {each.template_name!r}" for each in self.blocks)
        return (
            f"the block {names} shows something else, although no change that its page depends on was emitted. The "
            f"last changes were in {', '.join(self.scopes)}. Either something that is not tracked has written to the "
            "database, or the block shows the time or another source, or the package has misjudged a statement: then "
            f"report {'; '.join(self.statements) or 'the statements of the page'}"
        )


_observers: list[Callable[[Misjudged], object]] = []


@contextmanager
def watch_misjudged() -> Iterator[list[Misjudged]]:
    """Compare after all changes that meet no fact, and collect what differs."""
    found: list[Misjudged] = []
    _observers.append(found.append)
    try:
        yield found
    finally:
        _observers.remove(found.append)


class Net:
    """Compares the blocks of one group.

    Args:
        render: Renders blocks.
        blocks: The blocks.
        is_debug: Whether a part of the changes cause a run without observers too.
    """

    __slots__ = ("_blocks", "_is_debug", "_render", "_scopes", "_shown")

    def __init__(self, render: RenderBlocks, blocks: Sequence[BlockRef], *, is_debug: bool) -> None:
        self._render = render
        self._blocks = list(blocks)
        self._is_debug = is_debug
        self._shown: dict[tuple[str, str], str] = {}
        self._scopes: set[str] = set()

    @property
    def is_due(self) -> bool:
        """Whether changes that meet no fact wait for a run."""
        return bool(self._scopes)

    def keep(self, rendered: Rendered) -> None:
        """Take note of what is shown."""
        if self._is_debug or _observers:
            self._shown.update({key: html for key, html in rendered.items() if isinstance(html, str)})

    def rule_out(self, scopes: Iterable[str]) -> None:
        """Take note of changes that meet no fact."""
        if self._shown and (_observers or (self._is_debug and random.random() < DEBUG_PART)):  # noqa: S311 - a sample
            self._scopes.update(scopes)

    def forget(self) -> None:
        """Wait for no run any more, because what is shown is not known, or is rendered anyway."""
        self._scopes.clear()

    async def compare(self, entries: Sequence[Read], have_changed: Callable[[], bool]) -> None:
        """Render all blocks, and report those that differ from what is shown.

        Args:
            entries: What the page has read.
            have_changed: Returns whether something has changed by now that meets a fact.
        """
        scopes = tuple(sorted(self._scopes - {COMMITS}))
        self.forget()
        differing = await self._differing()
        if not differing:
            return
        await anyio.sleep(SETTLING)
        if have_changed():
            return
        found = Misjudged(tuple(differing), scopes, _statements(entries, scopes))
        logger.error("%s", found)
        for observe in _observers:
            observe(found)

    async def _differing(self) -> list[BlockRef]:
        """Return the blocks that are different from what is shown, and the same in two runs."""
        blocks = [each for each in self._blocks if each.key in self._shown]
        first = await self._run(blocks)
        blocks = [each for each in blocks if first[each.key] != self._shown[each.key]]
        if not blocks:
            return []
        second = await self._run(blocks)
        return [each for each in blocks if isinstance(second[each.key], str) and second[each.key] == first[each.key]]

    async def _run(self, blocks: list[BlockRef]) -> Rendered:
        with reading(Reads()):
            return await self._render(frozenset((ALL,)), blocks)


def _statements(entries: Iterable[Read], scopes: Sequence[str]) -> tuple[str, ...]:
    changed = {*scopes} - {UNKNOWN}
    return tuple(" ".join(each.statement.split()) for each in entries if not changed.isdisjoint(each.facts.scopes))
