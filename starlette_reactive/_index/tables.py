"""The facts of a dependency index, frozen for questions.

A changed path matters to a block that reads the path itself, something above it, or something below it. Two tables
answer that without looking at what does not match: the blocks that read exactly a path, asked for each ancestor of
the changed path, and the blocks that read a path or something below it, asked for the changed path alone.

A block's own paths are those it reads outside the registered blocks nested in it: what is read only there is shown by
updating the nested block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .._core.blocks import BlockRef, Placement
from .._core.paths import ALL, ancestors
from .._templates import BlockReads, PageReads

__all__ = ["Derivations", "Entry", "Key", "Tables"]

Key = tuple[str, str]
"""A template and a block of it."""
_T = TypeVar("_T")
_NOTHING: frozenset[Any] = frozenset()


@dataclass(slots=True)
class Entry:
    """What was registered of a block."""

    placements: dict[BlockRef, Placement] = field(default_factory=dict)
    by_hand: set[str] = field(default_factory=set)
    analysed: bool = False


@dataclass(slots=True)
class Derivations:
    """What is computed from what; the version tells whether tables are older than the newest derivation."""

    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    version: int = 0

    def add(self, path: str, sources: frozenset[str]) -> None:
        """Note that ``path`` is computed from ``sources`` too."""
        self.sources = {**self.sources, path: self.sources.get(path, frozenset()) | sources}
        self.version += 1


class Tables:
    """The registered facts, frozen for questions. Blocks are numbered in template order."""

    def __init__(
        self,
        entries: Mapping[Key, Entry],
        pages: Mapping[str, PageReads],
        excluded: Set[Key],
        all_derivations: Derivations,
    ) -> None:
        self.version: int = all_derivations.version
        derivations = all_derivations.sources
        keys = _in_template_order(entries, pages)
        self.number: dict[Key, int] = {key: number for number, key in enumerate(keys)}
        self.all: frozenset[int] = frozenset(range(len(keys)))
        self._refs = [tuple(entries[key].placements) for key in keys]
        self.own: list[frozenset[str]] = [frozenset(_own_paths(key, entries, pages, excluded)) for key in keys]
        self._around = [
            frozenset(self.number[outer] for outer in _enclosing(key, pages) if outer in self.number) for key in keys
        ]
        self.inside: list[set[int]] = [set() for _ in keys]
        for number, around in enumerate(self._around):
            for outer in around:
                self.inside[outer].add(number)
        self._always = frozenset(number for number, paths in enumerate(self.own) if ALL in paths)
        self._exact = _Lookup((path, {number}) for number, paths in enumerate(self.own) for path in paths)
        self._derived = _Lookup(
            (source, {derived}) for derived, sources in derivations.items() for source in sorted(sources)
        )
        self._derivations_all = frozenset(derivations)

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

    def matching(self, paths: frozenset[str]) -> frozenset[int]:
        """Return the blocks to which one of the paths matters."""
        if ALL in paths:
            return self.all
        found = self._always if paths else _NOTHING
        for path in paths:
            overlapping = self._exact.overlapping(path)
            found = found | overlapping if found else overlapping
        return found

    def affected(self, paths: frozenset[str]) -> list[BlockRef]:
        """Return the outermost blocks to which one of the paths, or of those derived from them, matters."""
        numbers = self.matching(self.expand(paths) if self._derivations_all else paths)
        if not numbers:
            return []
        if len(numbers) == 1:  # what most changes come to: nothing to sort or to compare
            (number,) = numbers
            return list(self._refs[number])
        return self.refs(self.outermost(numbers))

    def outermost(self, numbers: Iterable[int]) -> list[int]:
        """Return the blocks that stand in no other one of them."""
        chosen = frozenset(numbers)
        return [number for number in chosen if self._around[number].isdisjoint(chosen)]

    def with_those_around(self, numbers: frozenset[int]) -> frozenset[int]:
        """Return the blocks and those that they stand in."""
        return numbers.union(*(self._around[number] for number in numbers))

    def refs(self, numbers: Iterable[int]) -> list[BlockRef]:
        """Return the references of blocks, in template order."""
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
        while end != -1:  # as `ancestors` does, without a generator
            if (above := exact.get(path[:end])) is not None:
                found = found | above if found else above
            end = path.rfind(".", 0, end)
        return found


def _in_template_order(entries: Mapping[Key, Entry], pages: Mapping[str, PageReads]) -> list[Key]:
    templates = {template: number for number, template in enumerate(dict.fromkeys(template for template, _ in entries))}
    positions = {
        (template, block): number
        for template in templates
        if template in pages
        for number, block in enumerate(pages[template].blocks)
    }
    registered = {key: number for number, key in enumerate(entries)}
    return sorted(entries, key=lambda key: (templates[key[0]], positions.get(key, len(positions)), registered[key]))


def _own_paths(
    key: Key, entries: Mapping[Key, Entry], pages: Mapping[str, PageReads], excluded: Set[Key]
) -> Iterator[str]:
    entry = entries[key]
    yield from entry.by_hand
    template, name = key
    if not entry.analysed:
        return
    blocks = pages[template].blocks
    shown_elsewhere = {
        block
        for block in blocks
        if (template, block) in excluded or ((template, block) in entries and entries[template, block].analysed)
    }
    for block in blocks.values():
        if block.name == name or (
            block.name not in shown_elsewhere and _nearest_of(block, blocks, shown_elsewhere) == name
        ):
            yield from block.paths


def _nearest_of(block: BlockReads, blocks: Mapping[str, BlockReads], wanted: set[str]) -> str | None:
    outer = block.parent
    while outer is not None and outer not in wanted:
        outer = blocks[outer].parent
    return outer


def _enclosing(key: Key, pages: Mapping[str, PageReads]) -> Iterator[Key]:
    template, name = key
    if template not in pages or name not in pages[template].blocks:
        return
    outer = pages[template].blocks[name].parent
    while outer is not None:
        yield template, outer
        outer = pages[template].blocks[outer].parent
