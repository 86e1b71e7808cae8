"""The registered facts, frozen for queries.

A changed path matters to a block that reads the path itself, something above it, or something below it. Two tables
answer that without visiting what does not match: the blocks that read exactly a path, looked up for each ancestor of
the changed path, and the blocks that read a path or something below it, looked up for the changed path alone.

A block's own paths are those it reads outside the registered blocks nested in it. What is read only in a nested block
is shown by updating that block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .._core.blocks import BlockRef, Placement
from .._core.paths import ALL, ancestors
from .._templates import PageReads

__all__ = ["BlockKey", "BlockTables", "Derivations", "IndexedBlock", "Registration", "RenderPlan"]

BlockKey = tuple[str, str]
"""A template and a block of it."""
_T = TypeVar("_T")
_NOTHING: frozenset[Any] = frozenset()
_PLANS = 1024  # how many plans are remembered


@dataclass(slots=True)
class Registration:
    """What was registered for a block."""

    placements: dict[BlockRef, Placement] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
    analysed: bool = False


@dataclass(slots=True)
class Derivations:
    """Which paths are computed from which. Tables with an older version are out of date."""

    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    version: int = 0

    def add(self, path: str, sources: frozenset[str]) -> None:
        """Record that ``path`` is also computed from ``sources``."""
        self.sources = {**self.sources, path: self.sources.get(path, frozenset()) | sources}
        self.version += 1


@dataclass(frozen=True, slots=True, eq=False)
class IndexedBlock:
    """A registered block with one of its targets.

    Args:
        ref: The block and its target.
        placement: How the block and its element are nested.
        order: Its place in template order.
        around: The registered blocks that it is nested in.
        inside: The registered blocks nested in it.
    """

    ref: BlockRef
    placement: Placement
    order: int
    around: frozenset[BlockRef]
    inside: tuple[BlockRef, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RenderPlan:
    """What a change means for the blocks of an index.

    Args:
        paths: The paths that are shown, with all derived from them.
        affected: The blocks to render, in template order, none inside another.
        touched: Every block whose HTML the change may alter: those that show it, and those around them.
    """

    paths: frozenset[str]
    affected: tuple[IndexedBlock, ...]
    touched: frozenset[BlockRef]


class BlockTables:
    """The registered facts, frozen for queries. Thread-safe. Blocks are numbered in template order."""

    def __init__(
        self,
        registrations: Mapping[BlockKey, Registration],
        pages: Mapping[str, PageReads],
        excluded: Set[BlockKey],
        all_derivations: Derivations,
    ) -> None:
        self.version: int = all_derivations.version
        derivations = all_derivations.sources
        keys = _in_template_order(registrations, pages)
        self._number: dict[BlockKey, int] = {key: number for number, key in enumerate(keys)}
        self._all: frozenset[int] = frozenset(range(len(keys)))
        self._own = [frozenset(_own_paths(key, registrations, pages, excluded)) for key in keys]
        self._around = [
            frozenset(self._number[outer] for outer in _enclosing(key, pages) if outer in self._number) for key in keys
        ]
        self._refs = [tuple(registrations[key].placements) for key in keys]
        self._blocks = self._indexed([registrations[key].placements for key in keys])
        self._always = frozenset(number for number, paths in enumerate(self._own) if ALL in paths)
        self._exact = _Lookup((path, {number}) for number, paths in enumerate(self._own) for path in paths)
        self._derived = _Lookup(
            (source, {derived}) for derived, sources in derivations.items() for source in sorted(sources)
        )
        self._derivations_all = frozenset(derivations)
        self._plans: dict[tuple[frozenset[str], frozenset[str]], RenderPlan] = {}

    def _indexed(self, placements: list[dict[BlockRef, Placement]]) -> list[tuple[IndexedBlock, ...]]:
        inside: list[list[BlockRef]] = [[] for _ in placements]
        for number, around in enumerate(self._around):
            for outer in around:
                inside[outer].extend(self._refs[number])
        blocks = []
        order = 0
        for number, targets in enumerate(placements):
            around_refs = frozenset(ref for outer in self._around[number] for ref in self._refs[outer])
            indexed = []
            for ref, placement in targets.items():
                indexed.append(IndexedBlock(ref, placement, order, around_refs, tuple(inside[number])))
                order += 1
            blocks.append(tuple(indexed))
        return blocks

    def plan(self, changed: frozenset[str], shown: frozenset[str] | None = None) -> RenderPlan:
        """Return what a change means for the blocks.

        Args:
            changed: The paths that changed.
            shown: Those of them that are rendered for somebody. ``None`` means all.
        """
        key = (changed, changed if shown is None else shown)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._made_plan(*key)
        return plan

    def _made_plan(self, changed: frozenset[str], shown: frozenset[str]) -> RenderPlan:
        touched = self._matching(self.expand(changed))
        paths = self.expand(shown)
        matching = touched if shown == changed else self._matching(paths)
        return RenderPlan(
            paths,
            tuple(block for number in sorted(self._outermost(matching)) for block in self._blocks[number]),
            frozenset(self._in_order(touched.union(*(self._around[number] for number in touched)))),
        )

    def expand(self, paths: frozenset[str]) -> frozenset[str]:
        """Return paths with all that are derived from them."""
        if not self._derivations_all:
            return paths
        expanded = set(paths)
        unseen = list(paths)
        while unseen:
            path = unseen.pop()
            derived = self._derivations_all if path == ALL else self._derived.overlapping(path)
            unseen.extend(derived - expanded)
            expanded |= derived
        return frozenset(expanded)

    def affected(self, paths: frozenset[str]) -> list[BlockRef]:
        """Return the outermost blocks to which one of the paths, or of those derived from them, matters."""
        numbers = self._matching(self.expand(paths) if self._derivations_all else paths)
        if not numbers:
            return []
        if len(numbers) == 1:  # the usual case: nothing to sort or to compare
            (number,) = numbers
            return list(self._refs[number])
        return self._in_order(self._outermost(numbers))

    def refs(self) -> list[BlockRef]:
        """Return all blocks, in template order."""
        return self._in_order(self._all)

    def blocks_inside(self, key: BlockKey) -> tuple[BlockRef, ...]:
        """Return the registered blocks nested in a registered block."""
        return self._blocks[self._number[key]][0].inside

    def own_paths(self, key: BlockKey) -> frozenset[str]:
        """Return the paths that a block reads outside the blocks nested in it.

        Raises:
            KeyError: The block is not registered.
        """
        return self._own[self._number[key]]

    def _matching(self, paths: frozenset[str]) -> frozenset[int]:
        if ALL in paths:
            return self._all
        found = self._always if paths else _NOTHING
        for path in paths:
            overlapping = self._exact.overlapping(path)
            found = found | overlapping if found else overlapping
        return found

    def _outermost(self, numbers: frozenset[int]) -> list[int]:
        return [number for number in numbers if self._around[number].isdisjoint(numbers)]

    def _in_order(self, numbers: Iterable[int]) -> list[BlockRef]:
        return [ref for number in sorted(numbers) for ref in self._refs[number]]


class _Lookup(Generic[_T]):
    """Values by path, found from every path that overlaps with theirs."""

    def __init__(self, items: Iterable[tuple[str, set[_T]]]) -> None:
        exact: dict[str, set[_T]] = {}
        at_or_below: dict[str, set[_T]] = {}
        for path, values in items:
            exact.setdefault(path, set()).update(values)
            for place in (path, *ancestors(path)):
                at_or_below.setdefault(place, set()).update(values)
        self._exact = {path: frozenset(values) for path, values in exact.items()}
        self._at_or_below = {path: frozenset(values) for path, values in at_or_below.items()}
        self._everywhere = self._exact.get(ALL)

    def overlapping(self, path: str) -> frozenset[_T]:
        found = self._at_or_below.get(path, _NOTHING)
        if self._everywhere is not None:
            found |= self._everywhere
        exact = self._exact
        end = path.rfind(".")
        while end != -1:  # the same as `ancestors`, without a generator
            if (above := exact.get(path[:end])) is not None:
                found = found | above if found else above
            end = path.rfind(".", 0, end)
        return found


def _in_template_order(
    registrations: Mapping[BlockKey, Registration], pages: Mapping[str, PageReads]
) -> list[BlockKey]:
    names = dict.fromkeys(template for template, _ in registrations)
    templates = {template: number for number, template in enumerate(names)}
    positions = {
        (template, block): number
        for template in templates
        if template in pages
        for number, block in enumerate(pages[template].blocks)
    }
    registered = {key: number for number, key in enumerate(registrations)}
    return sorted(
        registrations, key=lambda key: (templates[key[0]], positions.get(key, len(positions)), registered[key])
    )


def _own_paths(
    key: BlockKey,
    registrations: Mapping[BlockKey, Registration],
    pages: Mapping[str, PageReads],
    excluded: Set[BlockKey],
) -> Iterator[str]:
    registration = registrations[key]
    yield from registration.by_hand
    template, name = key
    if not registration.analysed:
        return
    page = pages[template]
    shown_elsewhere = {
        block
        for block in page.blocks
        if (template, block) in excluded
        or ((template, block) in registrations and registrations[template, block].analysed)
    }
    for block in page.blocks.values():
        if block.name == name or (
            block.name not in shown_elsewhere and page.nearest(block.name, shown_elsewhere) == name
        ):
            yield from block.paths


def _enclosing(key: BlockKey, pages: Mapping[str, PageReads]) -> Iterator[BlockKey]:
    template, name = key
    if template in pages:
        yield from ((template, outer) for outer in pages[template].enclosing(name))
