"""What the blocks of a page read, joined over the variants of the page."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from .._core.paths import ALL
from .analysis.findings import AnalysedBlock, ParentChoice, required_statements
from .analysis.values import NO_PATHS
from .reads import BlockReads

__all__ = ["join_blocks"]

Variant = tuple[tuple[int | str, ...], Sequence[ParentChoice], Mapping[str, AnalysedBlock]]
"""The options taken, the choices between them, and the blocks that the page then has."""


def join_blocks(variants: Sequence[Variant], *, complete: bool) -> dict[str, BlockReads]:
    """Return what each block reads, from its findings in each variant of the page.

    Args:
        variants: The variants.
        complete: Whether these are all variants of the page.
    """
    by_name: dict[str, list[tuple[Variant, AnalysedBlock]]] = {}
    for variant in variants:
        for name, block in variant[2].items():
            by_name.setdefault(name, []).append((variant, block))
    blocks: dict[str, BlockReads] = {}
    for name, found in by_name.items():
        blocks[name] = _block_reads([block for _, block in found], _choosing_paths(found), complete=complete)
    parents = {name: _parents(block for _, block in found) for name, found in by_name.items()}
    return _placed(blocks, parents)


def _block_reads(blocks: list[AnalysedBlock], choosing: frozenset[str], *, complete: bool) -> BlockReads:
    first = blocks[0]
    paths = choosing.union(*(block.read_set.paths() for block in blocks))
    paths = paths.union(*(block.deciding_paths for block in blocks if block.visits > 1))
    notes = dict.fromkeys(note for block in blocks for note in block.read_set.notes)
    alone = next((block.alone for block in blocks if block.alone is not None), None)
    if not complete:
        incomplete = "the page has too many combinations of parents to follow"
        notes[incomplete] = None
        alone = alone or incomplete
        paths = frozenset((ALL,))
    return BlockReads(
        first.name,
        first.template.name,
        first.definition.lineno,
        frozenset((ALL,)) if ALL in paths else paths,
        None,
        alone,
        tuple(notes),
        any(block.read_set.translates for block in blocks),
    )


# ── parents that the values choose ───────────────────────────────────────────────────────────────────────────────────


def _choosing_paths(found: Sequence[tuple[Variant, AnalysedBlock]]) -> frozenset[str]:
    """Return the paths that choose between parents with which the block has different texts."""
    if len(found) == 1:
        return NO_PATHS
    origins = [_origin(block) for _, block in found]
    paths: set[str] = set()
    for (at, (one, _)), (other_at, (other, _)) in combinations(enumerate(found), 2):
        if origins[at] != origins[other_at]:
            taken, choices, _ = one
            differing = next(at for at, (left, right) in enumerate(zip(taken, other[0], strict=False)) if left != right)
            paths |= choices[differing].paths
    return frozenset(paths)


def _origin(block: AnalysedBlock) -> Hashable:
    """Return a key that is equal for variants with which the block has the same text."""
    if block.visits > 1:
        # where it is shown may also depend on the variant
        return id(block)
    needs = frozenset(id(statement.node) for statement in required_statements(block.read_set.needs))
    return frozenset(block.read_set.origins), needs, block.eval_options, block.bound


# ── blocks around blocks ─────────────────────────────────────────────────────────────────────────────────────────────


Parents = Mapping[str, Sequence[str | None]]
"""The blocks directly around each block, wherever the page or a variant of it shows the block."""


def _parents(blocks: Iterable[AnalysedBlock]) -> list[str | None]:
    names = {parent.name if parent is not None else None for block in blocks for parent in block.parents}
    return sorted(names, key=lambda name: (name is not None, name))


def _placed(blocks: Mapping[str, BlockReads], parents: Parents) -> dict[str, BlockReads]:
    """Return the blocks with the block around each.

    What a block with several places reads belongs to all blocks around it: each of them shows it. The block around it
    is then the nearest one that contains all its places.
    """
    within: dict[str, list[str]] = {}
    for name, around in parents.items():
        for parent in around:
            within.setdefault(parent or "", []).append(name)
    placed = {name: replace(block, parent=_nearest_common(name, parents)) for name, block in blocks.items()}
    for name, around in parents.items():
        if len(around) > 1:
            inner = [blocks[each] for each in _with_nested(name, within) if each in blocks]
            for parent in around:
                if parent in placed and parent != placed[name].parent:
                    placed[parent] = _showing(placed[parent], inner)
    return placed


def _nearest_common(name: str, parents: Parents) -> str | None:
    """Return the nearest block that is around a block wherever the page shows it."""
    around = _always_around(name, parents, ())
    return around[1] if len(around) > 1 else None


def _always_around(name: str, parents: Parents, inner: tuple[str, ...]) -> list[str]:
    """Return a block and the blocks that are always around it, nearest first."""
    if name in inner:
        return [name]
    chains = [
        _always_around(parent, parents, (*inner, name)) if parent is not None else []
        for parent in parents.get(name, ())
    ]
    common = set[str](chains[0]).intersection(*chains[1:]) if chains else set[str]()
    return [name, *(each for each in chains[0] if each in common)] if chains else [name]


def _with_nested(name: str, within: Mapping[str, Iterable[str]]) -> Iterable[str]:
    found: dict[str, None] = {}
    pending = [name]
    while pending:
        each = pending.pop()
        if each not in found:
            found[each] = None
            pending.extend(within.get(each, ()))
    return found


def _showing(block: BlockReads, inner: Iterable[BlockReads]) -> BlockReads:
    """Return a block whose own text includes that of other blocks."""
    paths, notes, translates = set(block.paths), dict.fromkeys(block.widened), block.translates
    for each in inner:
        paths |= each.paths
        notes.update(dict.fromkeys(each.widened))
        translates = translates or each.translates
    return replace(
        block,
        paths=frozenset((ALL,)) if ALL in paths else frozenset(paths),
        widened=tuple(notes),
        translates=translates,
    )
