"""Compares a page before and after the change of one value with what the analysis says about the change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from starlette_reactive._templates import PageReads

from .recording import MARK

__all__ = ["Shown", "covered", "missed_changes", "page_tree"]


@dataclass(slots=True)
class Shown:
    """A block as a page shows it, or the whole page. The page has no name.

    Attributes:
        own: The text, in which the names of the nested blocks stand for them.
        nested: The blocks directly within it.
    """

    name: str
    own: str = ""
    nested: list[Shown] = field(default_factory=list)

    def walk(self, around: tuple[str, ...] = ()) -> Iterator[tuple[Shown, tuple[str, ...]]]:
        """Yield it and all blocks within it, in document order, each with the names of the blocks around it."""
        yield self, around
        for each in self.nested:
            yield from each.walk((*around, self.name))


def page_tree(text: str) -> Shown | None:
    """Return the blocks of a marked page, or None if a filter has changed the marks."""
    if "x02" in text.lower():
        return None
    stack, end = [Shown("")], 0
    for mark in MARK.finditer(text):
        stack[-1].own += text[end : mark.start()]
        end = mark.end()
        if mark[1] == "+":
            shown = Shown(mark[2])
            stack[-1].own += f"\x01{mark[2]}\x02"
            stack[-1].nested.append(shown)
            stack.append(shown)
        elif stack.pop().name != mark[2] or not stack:
            return None
    stack[-1].own += text[end:]
    return stack[0] if len(stack) == 1 else None


def covered(path: str, paths: frozenset[str]) -> bool:
    """Return whether a change of ``path`` itself affects a block that reads ``paths``."""
    return any(known in ("*", path) or path.startswith(f"{known}.") for known in paths)


def missed_changes(
    reads: PageReads, before: Shown, after: Shown, path: str, *, calls_blocks: bool = False
) -> Iterator[str]:
    """Yield what the analysis misses: the texts that a change of ``path`` changes, without being expected to.

    Args:
        reads: What the analysis says.
        before: The page before the change.
        after: The page after the change.
        path: The path of the value that changed.
        calls_blocks: Whether a template calls ``self.name()``, whose text belongs to the block that calls it.
    """
    yield from _uncovered(reads, before, after, path, calls_blocks=calls_blocks)
    alone = {name for name, block in reads.blocks.items() if block.alone is None}
    affected = {name for name, block in reads.blocks.items() if covered(path, block.paths)}
    updated = {reads.nearest(name, alone) for name in affected}
    yield from (
        f"{name} is stale after a change of {path}, which updates {sorted(map(str, updated))}"
        for name in _stale(before, after, updated, alone, live=False)
    )


def _uncovered(reads: PageReads, before: Shown, after: Shown, path: str, *, calls_blocks: bool) -> Iterator[str]:
    """Compare the text of each block that both pages show equally often."""
    old, new = _by_name(before), _by_name(after)
    for name in old.keys() & new.keys():
        if (name and name not in reads.blocks) or len(old[name]) != len(new[name]):
            continue
        paths = reads.blocks[name].paths if name else reads.outside
        for (shown, around), (other, _) in zip(old[name], new[name], strict=True):
            callers = [reads.blocks[each].paths for each in around if each in reads.blocks] if calls_blocks else []
            if shown.own != other.own and not covered(path, paths.union(*callers)):
                yield f"{name or 'outside'} changes with {path}, not in {sorted(paths)}"


def _by_name(page: Shown) -> dict[str, list[tuple[Shown, tuple[str, ...]]]]:
    found: dict[str, list[tuple[Shown, tuple[str, ...]]]] = {}
    for shown, around in page.walk():
        found.setdefault(shown.name, []).append((shown, around))
    return found


def _stale(before: Shown, after: Shown, updated: set[str | None], alone: set[str], *, live: bool) -> Iterator[str]:
    """Yield the blocks whose text is stale if the blocks in ``updated`` are replaced in the page.

    A block that cannot be rendered alone, and is in no block that can, is not expected to be updated.
    """
    if before.name in updated:
        return
    live = live or before.name in alone
    if before.own != after.own and live:
        yield before.name
        return
    remaining = list(after.nested)
    for each in before.nested:
        same = next((other for other in remaining if other.name == each.name), None)
        if same is not None:
            remaining.remove(same)
            yield from _stale(each, same, updated, alone, live=live)
