"""Text that may call itself: macros and recursive loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jinja2 import nodes

from ..._core.paths import ALL
from .findings import ReadSet
from .interpreter_state import NEVER, ActiveCall, CallResult
from .tracking import Tracking
from .values import Value
from .versions import next_number

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
            self.assumed_calls.add(active.key)
            self.repeated_calls.add(active.key)
            known_so_far = self.provisional_reads.setdefault(active.key, ReadSet())
            self.read_set.add(known_so_far)
            return Value(reads=frozenset(known_so_far.reads))
        block = self.open_blocks[-1] if self.open_blocks else None
        key = (active.content or active.key, block, self.statement, self.inline_depth)
        known = self.remembered_calls.get(key)
        if known is None or not self._holds(known):
            known = self._call_anew(active, interpret, key)
        self.assumed_calls |= known.assumed_calls
        for found, version in known.observed.items():
            self.observed.setdefault(found, version)
        self.read_set.add(known.read_set)
        return Value(reads=known.reads)

    def _call_anew(self, active: ActiveCall, interpret: Callable[[], None], key: tuple[object, ...]) -> CallResult:
        begin, placements = next_number(), self.placements
        outer = self.assumed_calls, self.observed, self.oldest_change
        self.assumed_calls, self.observed, self.oldest_change = set(), {self.shared: self.shared.version}, NEVER
        try:
            read_set = self._settle(active, interpret)
            observed = {found: version for found, version in self.observed.items() if found.born < begin}
            result = CallResult(read_set, frozenset(read_set.reads), self.assumed_calls, self.growth, observed)
            # a call that changes something else is interpreted again
            if self.oldest_change > begin and placements == self.placements:
                self.remembered_calls[key] = result
        finally:
            self.assumed_calls, self.observed = outer[:2]
            self.oldest_change = min(outer[2], self.oldest_change)
        return result

    def _holds(self, known: CallResult) -> bool:
        """Return whether a result is still right: nothing has changed or grown that it depends on."""
        if known.assumed_calls and known.growth != self.growth:
            return False
        return all(found.version == version for found, version in known.observed.items())

    def _settle(self, active: ActiveCall, interpret: Callable[[], None]) -> ReadSet:
        """Interpret a body until the reads of its recursive calls no longer grow."""
        outer, self.active_key = self.active_key, active.place
        self.active_calls.append(active)
        self.active_keys.add(active.key)
        try:
            for _ in range(MAX_ROUNDS):
                changes = self.changes
                read_set = self.capture(interpret)
                if active.key not in self.assumed_calls:
                    return read_set
                self.assumed_calls.discard(active.key)
                # the next call with this key begins with what this one knows
                if not self.provisional_reads[active.key].grow(read_set) and changes == self.changes:
                    return read_set
                self.growth += 1
            read_set.reads.add(ALL)
            read_set.notes["a body that calls itself takes too many rounds to follow"] = None
            return read_set
        finally:
            self.active_key = outer
            self.active_calls.pop()
            self.active_keys.discard(active.key)
