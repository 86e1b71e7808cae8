"""Text that may call itself: macros and recursive loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jinja2 import nodes

from ..._core.paths import ALL
from .findings import ReadSet
from .interpreter_state import ActiveCall, CallResult
from .tracking import Tracking
from .values import NO_PATHS, Value

__all__ = ["MAX_DEPTH", "Recursion"]

MAX_DEPTH: Final = 12
"""A macro or loop that calls itself more deeply than this counts as reading everything."""
MAX_ROUNDS: Final = 5
"""A recursive body that does not settle in this many rounds counts as reading everything."""


class Recursion(Tracking):
    """Interprets recursive text to a fixed point, and remembers the results of calls."""

    def call_depth(self, node: nodes.Node) -> int:
        """Return how many calls of ``node`` are in progress."""
        return sum(1 for active in self.active_calls if active.node is node)

    def call_text(self, active: ActiveCall, interpret: Callable[[], None]) -> Value:
        """Interpret text that may call itself. Return a value for the text that it produces."""
        if active.key in self.active_keys:
            reads = self.assumptions[active.key] = self.provisional_reads.setdefault(active.key, NO_PATHS)
            return Value(reads=reads)
        block = self.open_blocks[-1] if self.open_blocks else None
        key = (active.content or active.key, self.version, block, self.statement, self.inline_depth)
        known = self.remembered_calls.get(key)
        if known is None or not self._holds(known):
            known = self._call_anew(active, interpret, key)
        self.assumptions.update(known.assumptions)
        self.read_set.add(known.read_set)
        return Value(reads=known.reads)

    def _call_anew(self, active: ActiveCall, interpret: Callable[[], None], key: tuple[object, ...]) -> CallResult:
        version, placements, effects = self.version, self.placements, self.effects
        outer, self.assumptions = self.assumptions, {}
        try:
            read_set = self._settle(active, interpret)
            deciding_paths = None if effects == self.effects else self.deciding_paths
            result = CallResult(read_set, frozenset(read_set.reads), self.assumptions, deciding_paths)
        finally:
            self.assumptions = outer
        if version == self.version and placements == self.placements:
            self.remembered_calls[key] = result
        return result

    def _holds(self, known: CallResult) -> bool:
        """Return whether a result is still right.

        The calls that it makes assumptions about are in progress and known to read the same. If the call changes
        something, nothing else decides whether it does.
        """
        if known.deciding_paths is not None and not self.deciding_paths <= known.deciding_paths:
            return False
        return all(
            key in self.active_keys and self.provisional_reads[key] == reads for key, reads in known.assumptions.items()
        )

    def _settle(self, active: ActiveCall, interpret: Callable[[], None]) -> ReadSet:
        """Interpret a body until the reads of its recursive calls no longer grow."""
        outer, self.active_key = self.active_key, active.place
        self.active_calls.append(active)
        self.active_keys.add(active.key)
        try:
            for _ in range(MAX_ROUNDS):
                changes = self.changes
                read_set = self.capture(interpret)
                assumed = self.assumptions.pop(active.key, None)
                if assumed is None or (assumed >= read_set.reads and changes == self.changes):
                    return read_set
                # the next call with this key begins with what this one knows
                self.provisional_reads[active.key] = assumed | read_set.reads
            read_set.reads.add(ALL)
            read_set.notes["a body that calls itself takes too many rounds to follow"] = None
            return read_set
        finally:
            self.active_key = outer
            self.active_calls.pop()
            self.active_keys.discard(active.key)
