"""Records what is read, and which containers are changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from jinja2 import nodes

from ..._core.paths import ALL, overlap
from .findings import AnalysedBlock, Binding, ContextLayer, ReadSet, TemplateRun
from .frames import Container, ImportedModule
from .interpreter_state import NEVER, InterpreterState
from .values import BOTTOM, Value, join, with_reads
from .versions import Versioned

__all__ = ["Tracking"]

T = TypeVar("T")
MAX_WORK: Final = 200_000
"""After this many visited nodes, calls and includes count as reading everything and are no longer followed."""


class Tracking(InterpreterState):
    """Records reads in the current read set, and changes in containers."""

    # ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, paths: frozenset[str]) -> None:
        """Record that ``paths`` are read."""
        if paths:
            self.read_set.reads |= paths
            if self.changed_paths:
                self._read_changed(paths)

    def _read_changed(self, paths: frozenset[str]) -> None:
        for path, container in list(self.changed_paths.items()):
            if any(overlap(path, read) for read in paths):
                self.touch(container)
                self.read_set.reads |= container.content().reads

    def read_everything(self, note: str) -> Value:
        """Record that anything may be read here, with the reason. Return a value that may come from anything."""
        self.read_set.reads.add(ALL)
        self.read_set.notes[note] = None
        self.need_all_statements()
        context: ContextLayer | None = self.frame.context
        while context is not None:
            for name, binding in context.handed.items():
                self.bind_open_blocks(context, name, binding)
            context = context.parent
        return Value(reads=frozenset((ALL,)))

    def need_all_statements(self) -> None:
        """Record that whatever the templates have bound so far may be looked up here."""
        run: TemplateRun | None = self.run
        while run is not None:
            self.read_set.needs.update(run.effective)
            run = run.around

    def generic_visit(self, node: nodes.Node, *_args: Any, **_kwargs: Any) -> Value:
        """Widen to everything for a node that no visitor handles."""
        return self.read_everything(f"the {type(node).__name__} at {self.location(node)} is not supported")

    def consume(self, value: Value) -> None:
        """Record that ``value`` is used: shown, tested, iterated or compared."""
        self.read(value.aliases | value.reads if value.aliases else value.reads)
        if value.objects:
            self.read(self.paths_within(value))

    def use(self, node: nodes.Node) -> Value:
        """Evaluate ``node``, and record that its value is used."""
        value = self.evaluate(node)
        self.consume(value)
        return value

    def from_context(self, value: Value) -> Value:
        """Return a value of the context, with the names of templates that it is declared to be."""
        if self.parents and value.aliases and value.aliases <= self.parents.keys():
            names = frozenset[str]().union(*(self.parents[path] for path in value.aliases))
            return value._replace(constants=names)
        return value

    def see(self, value: Value) -> Value:
        """Record that ``value`` is evaluated here but not used yet."""
        for path in value.aliases:
            # looking up a name alone does not read its value
            if "." in path:
                self.read_set.seen.add(path)
        return value

    def paths_of(self, value: Value) -> frozenset[str]:
        """Return every path that ``value`` or its contents come from."""
        paths = value.aliases | value.reads
        return paths | self.paths_within(value) if value.objects else paths

    def paths_within(self, value: Value) -> frozenset[str]:
        """Return the paths that the objects of ``value`` hold. Record that the objects are read."""
        paths: set[str] = set()
        seen: set[int] = set()
        pending = list(value.objects)
        while pending:
            found = pending.pop()
            if id(found) in seen:
                continue
            seen.add(id(found))
            if isinstance(found, Container):
                self.touch(found)
                if found.used_up is not None:
                    self.put(found, None, BOTTOM, f"by using up the iterator of {found.used_up}", known=False)
                content = found.content()
                paths |= content.aliases | content.reads
                pending.extend(content.objects)
            elif isinstance(found, ImportedModule):
                paths |= found.reads
        return frozenset(paths)

    def bind_open_blocks(self, context: ContextLayer, name: str, binding: Binding) -> None:
        """Record that the blocks opened since ``name`` was passed in cannot be rendered without it."""
        for block in self.open_blocks[context.depth :]:
            if block.bound is None:
                block.bound = f"it reads {name!r}, bound {binding.how}"

    @contextmanager
    def decided_by(self, paths: frozenset[str]) -> Iterator[None]:
        """Record that ``paths`` decide whether what runs meanwhile runs at all."""
        outer = self.deciding_paths
        self.deciding_paths = outer | paths
        try:
            yield
        finally:
            self.deciding_paths = outer

    def capture(self, interpret: Callable[[], None]) -> ReadSet:
        """Return what ``interpret`` reads, in a read set of its own."""
        outer, self.read_set = self.read_set, ReadSet()
        self.capture_depth += 1
        try:
            interpret()
            return self.read_set
        finally:
            self.capture_depth -= 1
            self.read_set = outer

    def give_up(self, what: str, node: nodes.Node) -> Value | None:
        """Count work. After too much of it, widen to everything instead of following ``node``.

        What is not followed may change what any block shows, so no block of the page is rendered alone then.
        """
        self.work += 1
        if self.work < MAX_WORK:
            return None
        self.exhausted = f"the page is too complex to follow, from the {what} at {self.location(node)} on"
        return self.read_everything(self.exhausted)

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────

    def container(self, node: nodes.Node, *, stateful: bool = False) -> Container:
        """Return the container that ``node`` makes. Each block that runs the node has one of its own."""
        key = self.container_key(node)
        found = self.containers.get(key)
        if found is None:
            found = self.containers[key] = Container(stateful=stateful, depth=len(self.open_blocks))
        found.depth = min(found.depth, len(self.open_blocks))
        return found

    def container_key(self, node: nodes.Node, kind: str = "") -> tuple[object, ...]:
        """Return what distinguishes the container that ``node`` makes here from those that it makes elsewhere."""
        return (id(node), kind, self.active_key, self.open_blocks[-1] if self.open_blocks else None, self.statement)

    def fill(self, container: Container, key: Any, value: Value, *, known: bool = True) -> None:
        """Put an item into a container that is being made and that nothing else can hold yet."""
        self.see(value)
        if known:
            before = container.items.get(key, BOTTOM)
            after = container.items[key] = join(before, value)
        else:
            before = container.rest
            after = container.rest = join(before, value)
        if after != before and before is not BOTTOM:
            self.count_change(container)

    def put(self, container: Container, key: object, value: Value, how: int | str, *, known: bool = True) -> None:
        """Add a value to a container, at ``key`` if that is known. An earlier value may remain.

        Args:
            container: The container.
            key: The key.
            value: The value.
            how: The line of the change, or what the block does to change it, for messages.
            known: Whether the key is known.
        """
        value = with_reads(value, self.deciding_change(container))
        before = container.items.get(key, BOTTOM) if known else container.rest
        after = join(before, value)
        if after != before:
            self.count_change(container)
            if known:
                container.items[key] = after
            else:
                container.rest = after
        self.change(container, how if isinstance(how, str) else f"at {self.frame.template.name}:{how}")

    def deciding_change(self, container: Container) -> frozenset[str]:
        """Return the paths that decide whether a change of ``container`` happens here."""
        return self.deciding_paths.union(*self.deciding_outside[container.depth :])

    def change(self, container: Container, how: str) -> None:
        """Record that the current text changes a container."""
        container.changed = True
        # a call that changes it is not remembered, also where nothing new is known of it
        self.oldest_change = min(self.oldest_change, container.born)
        if self.open_blocks:
            block = self.open_blocks[-1]
            if block not in container.blocks:
                container.blocks[block] = how
                self.count_change(container)
        statement = self.statement
        while statement is not None:
            if statement not in container.writers:
                # each time a template is included, its statements are new ones, of the same nodes
                known = any(each.node is statement.node for each in container.writers)
                container.writers.add(statement)
                self.bump(container) if known else self.count_change(container)
            statement.mark_effective()
            statement = statement.run.includer

    def change_path(self, paths: Iterable[str], value: Value, lineno: int) -> None:
        """Record that the template changes an object of the context itself."""
        for path in paths:
            container = self.changed_paths.get(path)
            if container is None:
                container = self.changed_paths[path] = Container()
                self.count_change(self.shared)
            self.put(container, None, Value(reads=self.paths_of(value)), lineno, known=False)

    def touch(self, container: Container) -> None:
        """Record that the content of a container is read."""
        self.observe(container)
        if container.writers:
            self.read_set.needs |= container.writers
        for writer, where in container.blocks.items():
            self.read_set.origins.add(id(writer.definition))
            if self.statement is not None:
                self.statement.changed_by[writer] = where
            self._add_conflict(writer, where)

    def _add_conflict(self, writer: AnalysedBlock, where: str) -> None:
        for block in self.open_blocks:
            if not writer.is_within(block):
                block.add_conflict(writer, where)

    # ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def observe(self, found: Versioned) -> None:
        """Record that the result of the call in progress depends on ``found`` as it is now."""
        self.observed.setdefault(found, found.version)

    def bump(self, found: Versioned) -> None:
        """Record that ``found`` changes, so that results that depend on it are not used again."""
        found.version += 1
        self.oldest_change = min(self.oldest_change, found.born)

    def count_change(self, found: Versioned) -> None:
        """Record that ``found`` changes in a way that bodies in progress may have missed."""
        self.bump(found)
        self.changes += 1
        self.oldest_counted = min(self.oldest_counted, found.born)

    def with_oldest_count(self, interpret: Callable[[], T]) -> tuple[T, float]:
        """Return the result of ``interpret``, and the number of the oldest object of which it counts a change."""
        outer, self.oldest_counted = self.oldest_counted, NEVER
        try:
            return interpret(), self.oldest_counted
        finally:
            self.oldest_counted = min(outer, self.oldest_counted)
