"""Statements that lead to other templates: includes, imports and parents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from jinja2 import nodes

from ..._core.errors import TemplateLoadError
from ..._core.paths import ALL
from ..sources import ParsedTemplate
from .block_statements import BlockStatements
from .findings import Binding, ContextLayer, ParentChoice, TemplateRun
from .frames import BlockBody, Frame, ImportedModule, SelfReference
from .template_names import containers_in, matching_names, names_in, pattern_of
from .values import NO_PATHS, UNKNOWN, Value, join, join_all, sealed, with_reads

__all__ = ["TemplateStatements"]

EXACT_INCLUDES: Final = 2
"""When a template includes itself more deeply than this, the paths of the names passed in no longer extend."""
MAX_INCLUDES: Final = 10
"""A template that includes itself more deeply than this counts as reading everything."""


class TemplateStatements(BlockStatements):
    """Follows includes, imports and parents."""

    def load(self, name: str) -> ParsedTemplate | None:
        """Return a template that the page uses, or None if it does not exist."""
        try:
            parsed = self.library.template(name)
        except TemplateLoadError as error:
            if error.line is None:
                self.missing_templates.add(name)
                return None
            raise
        self.used_templates[name] = parsed
        return parsed

    def run_template(self, run: TemplateRun, parsed: ParsedTemplate) -> None:
        """Interpret a template and its parents from their top level."""
        self.run = run
        run.enter(parsed)
        while True:
            self.frame = Frame(parsed, run.context, root=True)
            self.frame.names["self"] = Binding(Value(objects=frozenset((SelfReference(run, run.context),))))
            self.known_parent = self.silent = self.conditional = False
            self.next_parent = None
            self.execute(parsed.tree.body)
            if self.next_parent is None:
                break
            parsed = self.next_parent
        if run.open_ended is not None:
            self._place_anywhere(run, run.open_ended)

    def place_rest(self, run: TemplateRun) -> None:
        """Interpret the blocks that ``run`` defines and the page does not show."""
        self.frame = Frame(run.levels[-1], run.context)
        self._place_unplaced(run)

    def _place_unplaced(self, run: TemplateRun) -> None:
        """Interpret the blocks of ``run`` that have no place yet, those that contain others first."""
        nested = {
            inner.name
            for definitions in run.blocks.values()
            for block in definitions[0][1].body
            for inner in (block, *block.find_all(nodes.Block))
            if isinstance(inner, nodes.Block)
        }
        outer, self.unplaced = self.unplaced, True
        for name in sorted(run.blocks, key=lambda name: name in nested):
            if name not in self.blocks:
                self.place_block(BlockBody(name, run, run.context))
        self.unplaced = outer

    def _place_anywhere(self, run: TemplateRun, why: str) -> None:
        """Interpret the blocks of a template with an unknown parent, which may show them anywhere or not at all."""
        barriers = self.barriers
        self.barriers = barriers if run.followed else [*barriers, why]
        self.silent = self.known_parent = False
        self.read_everything(why)
        try:
            self._place_unplaced(run)
            for block in self.blocks.values():
                if block.run is run:
                    block.read_set.reads.add(ALL)
                    block.read_set.notes[why] = None
        finally:
            self.barriers = barriers

    # ── the names of templates ───────────────────────────────────────────────────────────────────────────────────

    def _names_of(self, node: nodes.Node, value: Value) -> tuple[list[str], bool] | None:
        """Return the names of the templates that ``value`` may choose, or None if they are unknown.

        The flag is true if the first of the templates that exists is the chosen one.
        """
        found = names_in(value)
        if found is None:
            return None
        names, in_order = found
        joined = [self.env.join_path(name, self.frame.template.name) for name in names]
        known = self.resolved_names.setdefault(id(node), [])
        known.extend(name for name in joined if name not in known)
        return joined, in_order

    def _candidates(
        self, node: nodes.Include | nodes.Import | nodes.FromImport, value: Value, what: str
    ) -> list[ParsedTemplate] | None:
        """Return the templates that may be chosen, or None if they are unknown."""
        found = self._names_of(node, value)
        if found is None:
            computed = self._computed_templates(node)
            if computed is not None:
                return computed
            if node.with_context:
                self._follow_nothing(
                    node, f"the {what} at {self.location(node)} uses a template known only at run time"
                )
            return None
        names, in_order = found
        templates = [parsed for name in names if (parsed := self.load(name)) is not None]
        return templates[:1] if in_order else templates

    def _computed_templates(self, node: nodes.Include | nodes.Import | nodes.FromImport) -> list[ParsedTemplate] | None:
        """Return the templates of the loader that a computed name may be, or None if these are unknown or too many.

        Another file may be added later, which may look up whatever the page binds.
        """
        pattern = pattern_of(node.template, self._text_of)
        if pattern is None or id(node) in self.active_computed:
            return None
        names = self.computed_names.get(pattern)
        if names is None:
            names = self.computed_names[pattern] = matching_names(self.env, pattern)
        try:
            found = [parsed for name in names if (parsed := self.load(name)) is not None]
        except (TemplateLoadError, UnicodeError):
            return None  # not all of these files are templates
        self.need_all_statements()
        return found or None

    def _text_of(self, node: nodes.Expr) -> str | None:
        """Return the text that an expression is, if it can only be one."""
        constants = self.evaluate(node).constants or ()
        texts = [each for each in constants if isinstance(each, str)]
        return texts[0] if len(texts) == len(constants) == 1 else None

    def _follow_nothing(self, node: nodes.Node, why: str) -> None:
        """Record that an unknown template may read everything, and change whatever it can look up."""
        everything = self.read_everything(why)
        bindings = list(self.handed_names().values())
        context: ContextLayer | None = self.frame.context
        while context is not None:
            bindings += [*context.names.values(), *context.handed.values()]
            context = context.parent
        for container in containers_in(binding.value for binding in bindings):
            self.put(container, None, everything, node.lineno, known=False)

    # ── includes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Include(self, node: nodes.Include) -> None:
        name = self.use(node.template)
        with self.decided_by(self.paths_of(name)):
            found = self._candidates(node, name, "include") or ()
            self.active_computed.append(id(node))
            for parsed in found:
                self._include(node, parsed)
            self.active_computed.pop()

    def _include(self, node: nodes.Include, parsed: ParsedTemplate) -> None:
        if self.give_up("include", node) is not None:
            return
        if node.with_context:
            handed = self.handed_names()
            signature = self._signature(parsed, handed)
            if signature is None:
                return
            context = ContextLayer(self.frame.context, handed=handed, depth=len(self.open_blocks))
        else:
            signature = (parsed.name, None)
            if signature in self.active_includes:
                return
            context = ContextLayer(renders=False)
        self.active_includes.append(signature)
        try:
            self._run_included(node, parsed, context)
        finally:
            self.active_includes.pop()

    def _signature(self, parsed: ParsedTemplate, handed: dict[str, Binding]) -> tuple[str, Any] | None:
        """Return what identifies this include of a template, or None if an equal one is in progress.

        From a certain depth on, the paths of the names passed in no longer extend.
        """
        around = [known for name, known in self.active_includes if name == parsed.name and known is not None]
        if len(around) >= MAX_INCLUDES:
            self.read_everything(f"the template {parsed.name!r} includes itself too deeply to follow")
            return None
        if len(around) >= EXACT_INCLUDES:
            for name, binding in handed.items():
                value = sealed(binding.value)
                if name in around[-1]:
                    value = join(value, sealed(around[-1][name]))
                handed[name] = binding._replace(value=value)
        values = {name: binding.value for name, binding in handed.items()}
        return None if values in around else (parsed.name, values)

    def _run_included(self, node: nodes.Include, parsed: ParsedTemplate, context: ContextLayer) -> None:
        run = TemplateRun(context, self.run, bare=not node.with_context)
        run.includer = self.statement
        outer = self.eval_options, self.escape_paths
        self.eval_options, self.escape_paths = (), NO_PATHS
        try:
            self._in_other_template(lambda: self.run_template(run, parsed))
        finally:
            self.eval_options, self.escape_paths = outer

    def _in_other_template(self, interpret: Callable[[], None]) -> None:
        outer = self.frame, self.run, self.known_parent, self.silent, self.conditional, self.next_parent
        try:
            interpret()
        finally:
            self.frame, self.run, self.known_parent, self.silent, self.conditional, self.next_parent = outer

    # ── parents ──────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Extends(self, node: nodes.Extends) -> None:
        if self.next_parent is not None or self.known_parent:
            return
        value = self.use(node.template)
        found = self._names_of(node, value)
        if found is None and self.run is self.page_run:
            self._extend_known_at_render(node, self.paths_of(value))
            return
        names, _ = found or ([], False)
        parents = [self.load(name) for name in names]
        known: list[ParsedTemplate | None] = [parent for parent in parents if parent is not None]
        if not known or any(parent in self.run.levels for parent in known):
            self._extend_unknown(node, names)
            return
        self._extend(node, self._choose(node, [*known, None] if self.conditional else known, self.paths_of(value)))

    def _extend(self, node: nodes.Extends, parent: ParsedTemplate | None) -> None:
        if parent is None:
            return
        self.run.extends.append(node)
        self.run.enter(parent)
        self.next_parent = parent
        self.silent = True
        self.known_parent = not self.conditional

    def _extend_known_at_render(self, node: nodes.Extends, paths: frozenset[str]) -> None:
        """Follow the parent that a render has chosen. Without one, everything may be read."""
        position = len(self.parent_choices)
        taken = self.choices[position] if position < len(self.choices) else None
        options = (None,) if self.conditional else ()
        deciding_paths = self.deciding_paths | paths
        self.parent_choices.append(ParentChoice(node, self.statement, self.run, options, deciding_paths, unknown=True))
        if isinstance(taken, int):
            return
        if taken is None:
            self._extend_unknown(node, [])
            self.run.followed = True
            return
        parent = self.load(taken)
        if parent is None or parent in self.run.levels:
            self._extend_unknown(node, [taken])
            return
        self._extend(node, parent)

    def _extend_unknown(self, node: nodes.Extends, names: list[str]) -> None:
        if not names:
            why = "is known only when the page is rendered"
        elif names[0] in self.missing_templates:
            why = f"does not exist: there is no template {names[0]!r}"
        else:
            why = f"is the template itself, or one that extends it: {names[0]!r}"
        self.run.open_ended = f"the parent of {self.frame.template.name!r} {why} (extends at {self.location(node)})"
        if not self.conditional:
            self.silent = self.known_parent = True

    def _choose(
        self, node: nodes.Extends, options: list[ParsedTemplate | None], paths: frozenset[str]
    ) -> ParsedTemplate | None:
        """Return the option that this interpretation takes, and record the choice and the paths that decide it."""
        if len(options) == 1:
            return options[0]
        position = len(self.parent_choices)
        self.parent_choices.append(
            ParentChoice(node, self.statement, self.run, tuple(options), self.deciding_paths | paths)
        )
        taken = self.choices[position] if position < len(self.choices) else 0
        return options[taken] if isinstance(taken, int) else options[0]

    # ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Import(self, node: nodes.Import) -> None:
        self.store(node.target, self._imported_module(node), "by an import", node.lineno)

    def visit_FromImport(self, node: nodes.FromImport) -> None:
        module = self._imported_module(node)
        for each in node.names:
            name, target = each if isinstance(each, tuple) else (each, each)
            self.store(target, self.attribute(module, name), "by an import", node.lineno)

    def _imported_module(self, node: nodes.Import | nodes.FromImport) -> Value:
        name = self.use(node.template)
        paths = self.paths_of(name)
        templates = self._candidates(node, name, "import")
        if templates is None:
            return Value(reads=frozenset((ALL,)) if node.with_context else paths)
        with self.decided_by(paths):
            modules = join_all(self._module(node, parsed) for parsed in templates)
        # what is taken from the module depends on which one it is
        return with_reads(modules if templates else UNKNOWN, paths)

    def _module(self, node: nodes.Import | nodes.FromImport, parsed: ParsedTemplate) -> Value:
        if not node.with_context:
            key = (parsed.name, None)
            known = self.modules.get(parsed.name)
            if known is None and key not in self.active_includes:
                outer, self.deciding_paths = self.deciding_paths, NO_PATHS
                known = self.modules[parsed.name] = self._run_module(key, parsed, ContextLayer(renders=False))
                self.deciding_paths = outer
            return known if known is not None else UNKNOWN
        handed = self.handed_names()
        signature = self._signature(parsed, handed)
        if signature is None:
            return UNKNOWN
        context = ContextLayer(self.frame.context.snapshot(), handed=handed, depth=len(self.open_blocks))
        return self._run_module(signature, parsed, context)

    def _run_module(self, signature: tuple[str, Any], parsed: ParsedTemplate, context: ContextLayer) -> Value:
        """Interpret an imported template. Jinja produces its text on import and shows it where the module is shown."""
        run = TemplateRun(context, self.run)
        run.imported = True
        self.active_includes.append(signature)
        self.inline_depth += 1
        self.import_depth += 1
        try:
            read_set = self.capture(lambda: self._in_other_template(lambda: self.run_template(run, parsed)))
        finally:
            self.import_depth -= 1
            self.inline_depth -= 1
            self.active_includes.pop()
        self.read_set.add(read_set)
        return Value(objects=frozenset((ImportedModule(context, frozenset(read_set.reads)),)))
