"""The state of an interpretation, and the few ways in which it changes.

The interpreter walks the composed page from its outermost template, blocks in place. Whatever is evaluated is noted
in the *sink* of the text that evaluates it: each block has one, the page outside of blocks has one, and so has each
statement at a template's top level, for what such a statement binds is needed by the blocks that look it up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from jinja2 import Environment, nodes

from ..._core.paths import ALL, overlap
from ..sources import Library, Parsed
from .facts import Binding, BlockRecord, Choice, Context, Run, Sink, Unit
from .frames import BlockText, Cell, Global, Macro, Module, Scope
from .values import BOTTOM, NO_PATHS, UNKNOWN, Value, alias, join, with_reads

__all__ = ["ABSENT", "Active", "Arguments", "Machine"]

ABSENT: Final = object()
"""Stands for what the environment does not have, among the things that were looked up in it."""
WORK: Final = 200_000
"""How many nodes an analysis visits before calls and includes are no longer followed, and count as everything."""


class Machine:
    """State and primitives of the interpretation of one page."""

    def __init__(self, env: Environment, library: Library, choices: tuple[int, ...] = ()) -> None:
        self.env = env
        self.library = library
        self.choices = choices
        self.offered: list[Choice] = []
        self.sink: Sink = Sink()
        self.pc: frozenset[str] = NO_PATHS
        self.unit: Unit | None = None
        self.open: list[BlockRecord] = []
        self.records: dict[str, BlockRecord] = {}
        self.barriers: list[str] = []
        self.modifiers: tuple[tuple[str, object], ...] = ()
        self.inline = 0
        self.captures = 0
        self.version: int = 0
        self.changes: int = 0
        self.placements = 0
        self.work: int = 0
        self.exhausted: str | None = None
        self.order = 0
        self.cells: dict[tuple[int, object], Cell] = {}
        self.activation: object = None
        self.changed_paths: dict[str, Cell] = {}
        self.resolved: dict[int, list[str]] = {}
        self.called: dict[int, set[Macro | None]] = {}
        self.lookups: dict[tuple[str, str], Any] = {}
        self.used: dict[str, Parsed] = {}
        self.active: list[Active] = []
        self.provisional: dict[tuple[object, ...], frozenset[str]] = {}
        self.remembered: dict[tuple[object, ...], tuple[Sink, Value]] = {}
        self.buffer: Value = UNKNOWN
        self.known_parent = False
        self.silent = False
        self.conditional = False
        self.page: Run
        self.leaving: list[set[str]] = []
        self.macros: dict[tuple[int, int, int], Macro] = {}
        self.modules: dict[str, Value] = {}
        self.including: list[tuple[str, Any]] = []
        self.shown_inline: list[tuple[str, int]] = []
        self.missing: set[str] = set()
        self.importing = 0
        self.escaped_by: frozenset[str] = frozenset()
        self.modified = 0
        self.modified_outside = 0
        self.leaked: str | None = None
        self.leaked_by: frozenset[str] = frozenset()
        self.parent: Parsed | None = None
        self.scope: Scope
        self.run: Run

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, paths: frozenset[str]) -> None:
        """Note that ``paths`` are read."""
        if paths:
            self.sink.reads |= paths
            if self.changed_paths:
                self._read_changed(paths)

    def _read_changed(self, paths: frozenset[str]) -> None:
        for path, cell in list(self.changed_paths.items()):
            if any(overlap(path, read) for read in paths):
                self.touch(cell)
                self.sink.reads |= cell.content().reads

    def read_everything(self, note: str) -> Value:
        """Note that anything may be read here, and why; return a value that may come from anything."""
        self.sink.reads.add(ALL)
        self.sink.notes[note] = None
        run: Run | None = self.run
        while run is not None:
            self.sink.needs.update(run.effective)
            run = run.around
        context: Context | None = self.scope.context
        while context is not None:
            for name, binding in context.handed.items():
                self.bind_open_blocks(context, name, binding)
            context = context.parent
        return Value(reads=frozenset((ALL,)))

    def consume(self, value: Value) -> None:
        """Note that ``value`` is used: shown, tested, iterated, compared."""
        self.read(value.aliases | value.reads if value.aliases else value.reads)
        if value.objects:
            self.read(self.paths_within(value))

    def paths_of(self, value: Value) -> frozenset[str]:
        """Return every path that ``value`` comes from, in its containers too."""
        paths = value.aliases | value.reads
        return paths | self.paths_within(value) if value.objects else paths

    def paths_within(self, value: Value) -> frozenset[str]:
        """Return the paths that the objects of ``value`` hold, noting that they are looked into."""
        paths: set[str] = set()
        seen: set[int] = set()
        todo = list(value.objects)
        while todo:
            found = todo.pop()
            if id(found) in seen:
                continue
            seen.add(id(found))
            if isinstance(found, Cell):
                self.touch(found)
                content = found.content()
                paths |= content.aliases | content.reads
                todo.extend(content.objects)
            elif isinstance(found, Module):
                paths |= found.reads
        return frozenset(paths)

    def see(self, value: Value) -> Value:
        """Note that ``value`` is evaluated here without being used yet."""
        for path in value.aliases:
            # to look up a name alone is not to look at its value
            if "." in path:
                self.sink.seen.add(path)
        return value

    def give_up(self, what: str, node: nodes.Node) -> Value | None:
        """Count work; once there has been too much of it, take what ``node`` calls to read everything.

        What is not followed may change what any block shows: then none counts as rendered alone.
        """
        self.work += 1
        if self.work < WORK:
            return None
        self.exhausted = f"the page is too much work to follow, from the {what} at {self.place(node)} on"
        return self.read_everything(self.exhausted)

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────

    def lookup(self, name: str) -> Value:
        """Return what ``name`` means here."""
        scope: Scope | None = self.scope
        result = BOTTOM
        while scope is not None:
            binding = scope.names.get(name)
            if binding is not None:
                if binding.definers:
                    self.sink.needs |= binding.definers
                result = join(result, binding.value)
                if binding.certain:
                    return result
            if scope.parent is None:
                return self.resolve(scope.context, name, result, scope.template if scope.root else None)
            scope = scope.parent
        return result

    def resolve(
        self, context: Context | None, name: str, result: Value = BOTTOM, template: Parsed | None = None
    ) -> Value:
        """Return what ``name`` means in ``context``, joined to ``result``.

        A template whose parent exports the name after it has run may have looked it up before: both meanings count.
        """
        while context is not None:
            binding = context.names.get(name)
            if binding is not None:
                self.sink.needs |= binding.definers
                result = join(result, binding.value)
                if binding.certain and not self._exported_later(context, name, template):
                    return result
            binding = context.handed.get(name)
            if binding is not None:
                self.sink.needs |= binding.definers
                self.bind_open_blocks(context, name, binding)
                result = join(result, binding.value)
                if binding.certain:
                    return result
            if context.unknown is not None:
                result = join(result, context.unknown)
            if context.parent is None:
                return join(result, self._outermost(context, name))
            context = context.parent
        return result

    def _exported_later(self, context: Context, name: str, template: Parsed | None) -> bool:
        owner = context.owners.get(name)
        if template is None or owner is None or owner is template or context is not self.run.context:
            return False
        levels = self.run.levels
        return template in levels and levels.index(owner) > levels.index(template)

    def _outermost(self, context: Context, name: str) -> Value:
        found = self.lookups.get(("globals", name), self)
        if found is self:
            found = self.lookups["globals", name] = self.env.globals.get(name, ABSENT)
        if found is ABSENT:
            return alias(name) if context.renders else Value()
        value = Value(objects=frozenset((Global(name, found),)))
        return value._replace(aliases=frozenset((name,))) if context.renders else value

    def bind_open_blocks(self, context: Context, name: str, binding: Binding) -> None:
        """Note that the blocks opened since ``name`` was handed in can't be rendered without it."""
        for record in self.open[context.depth :]:
            if record.bound is None:
                record.bound = f"it reads {name!r}, bound {binding.how}"

    def store(self, name: str, value: Value, how: str, lineno: int) -> None:
        """Bind ``name`` in the current scope, as a top-level statement exports it too."""
        scope = self.scope
        definers = frozenset((self.unit,)) if self.unit is not None else frozenset()
        binding = Binding(
            with_reads(value, self.pc) if self.pc else value, definers, True, f"{how} at {scope.template.name}:{lineno}"
        )
        scope.names[name] = binding
        if scope.root:
            scope.context.names[name] = binding
            scope.context.owners[name] = scope.template
            self.mark_effect()
        if scope.watched:
            self.version += 1

    def mark_effect(self) -> None:
        """Note that the current top-level statement leaves something behind."""
        if self.unit is not None:
            self.unit.mark_effective()

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────

    def cell(self, node: nodes.Node, *, stateful: bool = False) -> Cell:
        """Return the cell of what ``node`` makes."""
        key = (id(node), self.activation)
        found = self.cells.get(key)
        if found is None:
            found = self.cells[key] = Cell(stateful=stateful)
        return found

    def touch(self, cell: Cell) -> None:
        """Note that the content of ``cell`` is looked at."""
        if cell.writers:
            self.sink.needs |= cell.writers
        for writer, how in cell.blocks.items():
            if self.unit is not None:
                self.unit.tainted[writer] = how
            self._note_conflict(writer, how)

    def _note_conflict(self, writer: BlockRecord, how: str) -> None:
        for record in reversed(self.open):
            if writer.lies_in(record):
                return
            record.note_conflict(writer, how)

    def put(self, cell: Cell, key: object, value: Value, lineno: int, *, known: bool = True) -> None:
        """Add ``value`` to a cell, at ``key`` if that is known: what was there may be there still."""
        value = with_reads(value, self.pc) if self.pc else value
        before = cell.items.get(key, BOTTOM) if known else cell.rest
        after = join(before, value)
        if after != before:
            self.note_change()
            if known:
                cell.items[key] = after
            else:
                cell.rest = after
        self.change(cell, lineno)

    def change(self, cell: Cell, lineno: int) -> None:
        """Note that the text at hand changes ``cell``."""
        if self.open:
            record = self.open[-1]
            if record not in cell.blocks:
                cell.blocks[record] = f"at {self.scope.template.name}:{lineno}"
                self.note_change()
        unit = self.unit
        while unit is not None:
            if unit not in cell.writers:
                cell.writers.add(unit)
                self.note_change()
            unit.mark_effective()
            unit = unit.run.includer

    def note_change(self) -> None:
        """Note that a container changed: what is remembered of calls may not hold any more."""
        self.version += 1
        self.changes += 1

    def change_path(self, paths: Iterable[str], value: Value, lineno: int) -> None:
        """Note that the template changes an object of the context itself."""
        for path in paths:
            cell = self.changed_paths.get(path)
            if cell is None:
                cell = self.changed_paths[path] = Cell()
            self.put(cell, None, Value(reads=self.paths_of(value)), lineno, known=False)

    # ── pieces of text ───────────────────────────────────────────────────────────────────────────────────────────

    def place(self, node: nodes.Node) -> str:
        """Return template and line of ``node``."""
        return f"{self.scope.template.name}:{node.lineno}"

    # The rest of the interpreter, by module: expressions, calls, statements.

    def evaluate(self, node: nodes.Node) -> Value:
        """Return the value of an expression."""
        raise NotImplementedError

    def execute(self, body: Iterable[nodes.Node]) -> None:
        """Interpret statements."""
        raise NotImplementedError

    def bind(self, target: nodes.Node, value: Value, how: str) -> None:
        """Bind an assignment's target."""
        raise NotImplementedError

    def call(self, callee: Value, arguments: Arguments, node: nodes.Node, *, direct: bool = False) -> Value:
        """Call a value."""
        raise NotImplementedError

    def show_block(self, text: BlockText) -> None:
        """Interpret a block's body in place."""
        raise NotImplementedError

    def loop_body(self, node: nodes.For, scope: Scope, item: Value, reads: frozenset[str]) -> None:
        """Interpret a loop's body for ``item``."""
        raise NotImplementedError


class Active(NamedTuple):
    """A call under way: what is called, and what tells it from other calls of it."""

    node: nodes.Node
    key: tuple[object, ...]
    arguments: Arguments | None = None


class Arguments:
    """The arguments of a call, evaluated."""

    __slots__ = ("caller", "named", "positional", "spread")

    def __init__(
        self,
        positional: list[Value],
        named: dict[str, Value],
        spread: Value | None = None,
        caller: Macro | None = None,
    ) -> None:
        self.positional: list[Value] = positional
        self.named: dict[str, Value] = named
        self.spread: Value | None = spread
        self.caller: Macro | None = caller

    def values(self) -> list[Value]:
        """Return all of them, in order."""
        values = [*self.positional, *self.named.values()]
        if self.spread is not None:
            values.append(self.spread)
        if self.caller is not None:
            values.append(Value(objects=frozenset((self.caller,))))
        return values

    def key(self) -> tuple[object, ...]:
        """Return what tells these arguments from others."""
        return (tuple(self.positional), tuple(self.named.items()), self.spread, self.caller)
