"""Loops, interpreted to a fixed point."""

from __future__ import annotations

from typing import Final

from jinja2 import nodes

from .expression_text import quote_expression
from .findings import Binding
from .frames import Frame, Loop
from .statements import Statements
from .values import NO_PATHS, Value, join, sealed
from .versions import next_number

__all__ = ["Loops"]

MAX_EXTENSIONS: Final = 2
"""When a loop extends what it iterates over more often than this, the paths of its items no longer extend."""
MAX_PASSES: Final = 4
"""A loop that still changes something after this many passes counts as reading everything."""


class Loops(Statements):
    """Executes loops."""

    def visit_For(self, node: nodes.For) -> None:
        value = self.use(node.iter)
        reads = self.paths_of(value)
        outer = self.deciding_paths
        self.deciding_paths = outer | reads
        self.barriers.append(f"inside the for loop over {quote_expression(node.iter)} at {self.location(node)}")
        try:
            tests = self._loop_over(value, node, reads)
            if value.objects:
                # a loop that is left early uses up only a part of an iterator
                self.consume(value)
            if node.else_:
                with self.decided_by(tests):
                    self.within(self.frame.inner(node.else_), node.else_)
        finally:
            self.barriers.pop()
            self.deciding_paths = outer

    def _loop_over(self, value: Value, node: nodes.For, reads: frozenset[str]) -> frozenset[str]:
        """Interpret a loop over ``value``, which the body may extend. Return the paths that the loop's test reads."""
        item = self.element(value)
        for _ in range(MAX_EXTENSIONS):
            tests = self.loop_body(node, self.frame, item, reads)
            extended = join(item, self.element(value))
            if extended == item:
                return tests
            item = extended
        return self.loop_body(node, self.frame, sealed(item), reads)

    def loop_body(self, node: nodes.For, frame: Frame, item: Value, reads: frozenset[str]) -> frozenset[str]:
        """Interpret the body of a loop with its target bound to ``item``, until another pass changes nothing.

        What a pass makes and then changes does not count: the next iteration makes another one.
        Return the paths that the loop's test reads.
        """
        outer, autoescape_depth = self.deciding_paths, self.autoescape_depth_outside
        self.loop_exits.append(set())
        self.autoescape_depth_outside = self.autoescape_depth
        try:
            for _ in range(MAX_PASSES):
                begin, exits = next_number(), len(self.loop_exits[-1])
                tests, oldest = self.with_oldest_count(lambda: self._iteration(node, frame, item, reads))
                if oldest > begin and exits == len(self.loop_exits[-1]):
                    return tests
                self.deciding_paths = outer | self.loop_exits[-1]
            self.read_everything(f"the loop at {self.location(node)} takes too many rounds to follow")
            return tests
        finally:
            self.deciding_paths = outer | self.loop_exits.pop()
            self.autoescape_depth_outside = autoescape_depth

    def _iteration(self, node: nodes.For, frame: Frame, item: Value, reads: frozenset[str]) -> frozenset[str]:
        inner, tests = frame.inner(node, node), NO_PATHS
        inner.closure = node.recursive
        outer, self.frame = self.frame, inner
        how = f"by the for loop over {quote_expression(node.iter)}"
        try:
            self.bind(node.target, item, how)
            if node.test is not None:
                tests = self.paths_of(self.use(node.test))
                self.deciding_paths = self.deciding_paths | tests
            loop = self._loop(inner, Loop(node, frame, self.run, item, reads))
            value = Value(reads=reads, objects=frozenset((loop,)))
            binding = Binding(value, frozenset(), True, f"{how} at {self.location(node)}")
            inner.names["loop"] = self.merged_binding(inner, "loop", binding)
            self.execute(node.body)
            return tests
        finally:
            self.frame = outer

    def _loop(self, inner: Frame, loop: Loop) -> Loop:
        """Return the loop of a frame. In a frame of several calls, one loop stands for all of them."""
        bound = inner.names.get("loop") if inner.merged is not None else None
        if bound is None:
            return loop
        found = next(each for each in bound.value.objects if isinstance(each, Loop))
        item, reads = join(found.item, loop.item), found.reads | loop.reads
        if (item, reads) != (found.item, found.reads):
            self.count_change(found)
            found.item, found.reads = item, reads
        return found

    def visit_Break(self, node: nodes.Break | nodes.Continue) -> None:
        """Record what decides whether the loop goes on: everything that it binds depends on that."""
        if self.loop_exits:
            self.loop_exits[-1] |= self.deciding_paths
        if self.autoescape_depth > self.autoescape_depth_outside:
            # Jinja does not restore the setting on this way out
            self.leaked_autoescape = (
                f"a loop is left inside the autoescape at {self.location(node)}, so its setting stays in force"
            )
            self.leaked_paths = self.leaked_paths | self.deciding_paths | self.escape_paths

    visit_Continue = visit_Break
