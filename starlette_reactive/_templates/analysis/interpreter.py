"""From one template to another: includes, imports and parents. With these, the interpreter is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from jinja2 import nodes

from ..._core.errors import TemplateLoadError
from ..._core.paths import ALL
from ..sources import Parsed
from .block_positions import Placement
from .facts import Binding, Choice, Context, Run
from .frames import BlockText, Cell, Module, Scope, SelfReference
from .values import BOTTOM, UNKNOWN, Value, join, join_all, sealed

__all__ = ["Interpreter"]

INCLUDES: Final = 10
"""How deep a template's includes of itself are followed."""


class Interpreter(Placement):
    """The whole interpreter."""

    conditional: bool
    escaped_by: frozenset[str]
    known_parent: bool
    modifiers: tuple[tuple[str, object], ...]
    run: Run
    scope: Scope
    silent: bool

    def names_of(self, node: nodes.Node, expression: nodes.Expr) -> tuple[list[str], bool] | None:
        """Return the names of the templates that ``expression`` may choose, and whether the first that exists is it.

        None: they are not known.
        """
        value = self.use(expression)
        found = _template_names(value)
        if found is None:
            return None
        names, in_order = found
        joined = [self.env.join_path(name, self.scope.template.name) for name in names]
        known = self.resolved.setdefault(id(node), [])
        known.extend(name for name in joined if name not in known)
        return joined, in_order

    def load(self, name: str) -> Parsed | None:
        """Return a template that the page uses; None: there is none of that name."""
        try:
            parsed = self.library.template(name)
        except TemplateLoadError as error:
            if error.line is None:
                self.missing.add(name)
                return None
            raise
        self.used[name] = parsed
        return parsed

    def _include(self, node: nodes.Include) -> None:
        for parsed in self._candidates(node, node.template, "include") or ():
            self._include_one(node, parsed)

    def _candidates(
        self, node: nodes.Include | nodes.Import | nodes.FromImport, expression: nodes.Expr, what: str
    ) -> list[Parsed] | None:
        """Return the templates that may be meant; None: any, which is noted if they see the context."""
        found = self.names_of(node, expression)
        if found is None:
            if node.with_context:
                self.read_everything(f"the {what} at {self.place(node)} takes a template known only when it runs")
            return None
        names, in_order = found
        templates = [parsed for name in names if (parsed := self.load(name)) is not None]
        return templates[:1] if in_order else templates

    def _include_one(self, node: nodes.Include, parsed: Parsed) -> None:
        if self.give_up("include", node) is not None:
            return
        if node.with_context:
            handed = self.handed()
            signature = self._signature(parsed, handed)
            if signature is None:
                return
            context = Context(self.scope.context, handed=handed, depth=len(self.open))
        else:
            signature = (parsed.name, None)
            if signature in self.including:
                return
            context = Context(renders=False)
        self.including.append(signature)
        try:
            self._run_included(node, parsed, context)
        finally:
            self.including.pop()

    def _signature(self, parsed: Parsed, handed: dict[str, Binding]) -> tuple[str, Any] | None:
        """Return what tells this include of a template from those under way; None: it adds nothing to them.

        From the second include of a template within itself on, the paths of what it is handed are no longer extended.
        """
        around = [known for name, known in self.including if name == parsed.name and known is not None]
        if len(around) >= INCLUDES:
            self.read_everything(f"the template {parsed.name!r} includes itself too deep to follow")
            return None
        if len(around) >= 2:
            for name, binding in handed.items():
                value = sealed(binding.value)
                if name in around[-1]:
                    value = join(value, sealed(around[-1][name]))
                handed[name] = binding._replace(value=value)
        values = {name: binding.value for name, binding in handed.items()}
        return None if values in around else (parsed.name, values)

    def _run_included(self, node: nodes.Include, parsed: Parsed, context: Context) -> None:
        run = Run(context, self.run, bare=not node.with_context)
        run.includer = self.unit
        outer, (self.modifiers, self.escaped_by) = (self.modifiers, self.escaped_by), ((), frozenset())
        try:
            self._elsewhere(lambda: self.run_template(run, parsed))
        finally:
            self.modifiers, self.escaped_by = outer

    def _elsewhere(self, run: Callable[[], None]) -> None:
        """Interpret text of another template."""
        outer = self.scope, self.run, self.known_parent, self.silent, self.conditional, self.parent
        try:
            run()
        finally:
            self.scope, self.run, self.known_parent, self.silent, self.conditional, self.parent = outer

    def run_template(self, run: Run, parsed: Parsed) -> None:
        """Interpret a template and its parents from their top level."""
        self.run = run
        run.enter(parsed)
        while True:
            self.scope = Scope(parsed, run.context, root=True)
            self.scope.names["self"] = Binding(Value(objects=frozenset((SelfReference(run, run.context),))))
            self.known_parent = self.silent = self.conditional = False
            self.parent = None
            self.execute(parsed.tree.body)
            if self.parent is None:
                break
            parsed = self.parent
        if run.open_ended is not None:
            self._place_anywhere(run, run.open_ended)

    def place_rest(self, run: Run) -> None:
        """Interpret the blocks that ``run`` defines and the page does not show."""
        self.scope = Scope(run.levels[-1], run.context)
        for name in list(run.blocks):
            if name not in self.records:
                self.place_block(BlockText(name, run, run.context, 0, super_call=False))

    def _place_anywhere(self, run: Run, why: str) -> None:
        """Interpret the blocks of a template whose parent is not known: it may show them anywhere, or not at all."""
        self.barriers.append(why)
        self.silent = self.known_parent = False
        self.read_everything(why)
        try:
            for name in list(run.blocks):
                if name in self.records:
                    continue
                self.place_block(BlockText(name, run, run.context, 0, super_call=False))
            for record in self.records.values():
                if record.run is run:
                    record.sink.reads.add(ALL)
                    record.sink.notes[why] = None
        finally:
            self.barriers.pop()

    def _extends(self, node: nodes.Extends) -> None:
        if self.parent is not None or self.known_parent:
            return
        found = self.names_of(node, node.template)
        names, _ = found or ([], False)
        parents = [self.load(name) for name in names]
        known: list[Parsed | None] = [parent for parent in parents if parent is not None]
        if not known or any(parent in self.run.levels for parent in known):
            self._unknown_parent(node, names)
            return
        chosen = self._choose(node, [*known, None] if self.conditional else known)
        if chosen is None:
            return
        self.run.enter(chosen)
        self.parent = chosen
        self.silent = True
        self.known_parent = not self.conditional

    def _unknown_parent(self, node: nodes.Extends, names: list[str]) -> None:
        place = self.place(node)
        if not names:
            why = "is known only when the page is rendered"
        elif names[0] in self.missing:
            why = f"does not exist: there is no template {names[0]!r}"
        else:
            why = f"is the template itself, or one that extends it: {names[0]!r}"
        self.run.open_ended = f"the parent of {self.scope.template.name!r} {why} (extends at {place})"
        if not self.conditional:
            self.silent = self.known_parent = True

    def _choose(self, node: nodes.Extends, options: list[Parsed | None]) -> Parsed | None:
        """Return the option that this interpretation takes, and note how many there are."""
        if len(options) == 1:
            return options[0]
        position = len(self.offered)
        self.offered.append(Choice(node, self.unit, self.run, tuple(options)))
        return options[self.choices[position] if position < len(self.choices) else 0]

    def _import(self, node: nodes.Import) -> None:
        self.store(node.target, self._imported_module(node), "by an import", node.lineno)

    def _from_import(self, node: nodes.FromImport) -> None:
        module = self._imported_module(node)
        for each in node.names:
            name, target = each if isinstance(each, tuple) else (each, each)
            self.store(target, self.attribute(module, name), "by an import", node.lineno)

    def _imported_module(self, node: nodes.Import | nodes.FromImport) -> Value:
        templates = self._candidates(node, node.template, "import")
        if templates is None:
            return Value(reads=frozenset((ALL,))) if node.with_context else UNKNOWN
        return join_all(self._module(node, parsed) for parsed in templates) if templates else UNKNOWN

    def _module(self, node: nodes.Import | nodes.FromImport, parsed: Parsed) -> Value:
        if not node.with_context:
            key = (parsed.name, None)
            known = self.modules.get(parsed.name)
            if known is None and key not in self.including:
                known = self.modules[parsed.name] = self._run_module(key, parsed, Context(renders=False))
            return known if known is not None else UNKNOWN
        handed = self.handed()
        signature = self._signature(parsed, handed)
        if signature is None:
            return UNKNOWN
        context = Context(self.scope.context.snapshot(), handed=handed, depth=len(self.open))
        return self._run_module(signature, parsed, context)

    def _run_module(self, signature: tuple[str, Any], parsed: Parsed, context: Context) -> Value:
        """Interpret an imported template; its text is made at once, and shown where the module is."""
        run = Run(context, self.run)
        self.including.append(signature)
        self.inline += 1
        self.importing += 1
        try:
            sink = self.capture(lambda: self._elsewhere(lambda: self.run_template(run, parsed)))
        finally:
            self.importing -= 1
            self.inline -= 1
            self.including.pop()
        self.sink.take(sink)
        return Value(objects=frozenset((Module(context, frozenset(sink.reads)),)))

    STATEMENTS: ClassVar[dict[type[nodes.Node], Callable[[Any, Any], None]]] = {
        **Placement.STATEMENTS,
        nodes.Include: _include,
        nodes.Extends: _extends,
        nodes.Import: _import,
        nodes.FromImport: _from_import,
    }


def _template_names(value: Value) -> tuple[list[str], bool] | None:
    """Return the template names that ``value`` may be, and whether it is a list of which the first counts.

    None: not all are known.
    """
    if value.aliases or (value.constants is None and not value.objects):
        return None
    cells = [found for found in value.objects if isinstance(found, Cell)]
    if len(cells) != len(value.objects) or any(cell.rest is not BOTTOM for cell in cells):
        return None
    names = sorted(each for each in value.constants or () if isinstance(each, str))
    in_order = len(cells) == 1 and not names
    for cell in cells:
        for item in cell.items.values():
            if not item.constants:
                return None
            in_order = in_order and len(item.constants) == 1
            names.extend(sorted(str(each) for each in item.constants))
    return names, in_order
