"""Composed pages, each interpreted once while its sources stay the same.

A page is composed of its template, the template's parents, and what they include. Where an ``extends`` chooses
between several parents, each combination is a variant of the page and is interpreted on its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

from jinja2 import Environment

from .._core.paths import ALL
from .analysis.findings import AnalysedBlock, ParentChoice, TemplateRun, required_statements
from .analysis.frames import Macro
from .analysis.interpreter import Interpreter
from .analysis.interpreter_state import ABSENT
from .declared_parents import DeclaredParents, parents_of
from .environment_cache import PerEnvironment
from .reads import BlockReads, PageReads
from .sources import ParsedTemplate, TemplateLibrary, is_current, library_of

__all__ = ["ComposedPage", "PageVariant", "analyse", "compose", "is_page_current"]

MAX_VARIANTS = 16
"""A page with more combinations of parents than this counts as reading everything."""


@dataclass(frozen=True, slots=True)
class PageVariant:
    """A page as interpreted with one combination of parents.

    Args:
        choices: What is taken at each of ``parent_choices``: an option, or the name of a parent that a render chose.
        run: The page's run.
        blocks: The blocks that the page shows.
        unplaced: The blocks that the templates define and the page does not show.
        resolved_names: The templates that each include, import and ``extends`` may take, by the id of its node.
        called_macros: The macros that each call may call, by the id of its node.
        parent_choices: Every ``extends`` that chooses between parents, in order.
    """

    choices: tuple[int | str, ...]
    run: TemplateRun
    blocks: Mapping[str, AnalysedBlock]
    unplaced: Mapping[str, AnalysedBlock]
    resolved_names: Mapping[int, list[str]]
    called_macros: Mapping[int, Set[Macro | None]]
    parent_choices: tuple[ParentChoice, ...]

    def options_taken(self) -> dict[int, int | str]:
        """Return what each ``extends`` of the page's own templates takes, by the id of its node."""
        return {
            id(choice.node): taken
            for choice, taken in zip(self.parent_choices, self.choices, strict=True)
            if choice.run is self.run
        }


@dataclass(frozen=True, slots=True)
class ComposedPage:
    """Everything known about a page.

    Args:
        reads: The result of :func:`analyse`.
        variants: The page with each combination of parents.
        used: The templates that it consists of or imports.
        missing: The names of templates that do not exist.
        lookups: The globals, filters and tests that were looked up in the environment.
        parents: What is declared of parents.
    """

    reads: PageReads
    variants: tuple[PageVariant, ...]
    used: tuple[ParsedTemplate, ...]
    missing: frozenset[str]
    lookups: Mapping[tuple[str, str], object]
    parents: DeclaredParents


def analyse(env: Environment, template_name: str, source: str | None = None) -> PageReads:
    """Find which context paths each block of a page reads.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text. Defaults to the loader's.

    Returns:
        The page's blocks. No read is missing from a block's paths. Where a read cannot be determined, the path ends at
        the nearest known prefix, or is :data:`~..paths.ALL`.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
    """
    return compose(env, template_name, source).reads


_pages: PerEnvironment[dict[tuple[str, tuple[int | str, ...]], ComposedPage]] = PerEnvironment("pages", lambda _: {})
_lock = threading.RLock()


def compose(
    env: Environment, template_name: str, source: str | None = None, *, taken: tuple[int | str, ...] = ()
) -> ComposedPage:
    """Return what is known about a page. The result is cached until a template of the page changes.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text. Defaults to the loader's.
        taken: What a render has chosen at the first of the page's :attr:`~PageVariant.parent_choices`.
    """
    library = library_of(env)
    if source is not None:
        return _compose(env, library, library.parse(template_name, source), taken)
    with _lock:
        pages = _pages.of(env)
        page = pages.get((template_name, taken))
        if page is None or not is_page_current(env, page):
            page = _compose(env, library, library.template(template_name), taken)
            pages[template_name, taken] = page
        return page


def is_page_current(env: Environment, page: ComposedPage) -> bool:
    """Return whether no template of the page, and nothing that it looked up in the environment, has changed."""
    if page.parents is not parents_of(env):
        return False
    for parsed in page.used:
        if not is_current(env, parsed) and library_of(env).template(parsed.name).source != parsed.source:
            return False
    if page.missing and env.auto_reload and any(map(library_of(env).exists, page.missing)):
        return False
    return all(getattr(env, kind).get(name, ABSENT) is found for (kind, name), found in page.lookups.items())


def _compose(
    env: Environment, library: TemplateLibrary, parsed: ParsedTemplate, taken: tuple[int | str, ...]
) -> ComposedPage:
    pending, declared = [taken], parents_of(env)
    interpreters: list[Interpreter] = []
    variants: list[PageVariant] = []
    while pending and len(variants) < MAX_VARIANTS:
        choices = pending.pop(0)
        interpreter = Interpreter(env, library, declared, choices=choices)
        interpreters.append(interpreter)
        variant = _variant(interpreter, interpreter.interpret(parsed))
        variants.append(variant)
        for position in range(len(choices), len(variant.parent_choices)):
            before = variant.choices[:position]
            pending.extend((*before, other) for other in range(1, len(variant.parent_choices[position].options)))
    reads = _page_reads(parsed.name, interpreters, variants, complete=not pending)
    used = {each.name: each for interpreter in interpreters for each in interpreter.used_templates.values()}
    missing = frozenset(name for interpreter in interpreters for name in interpreter.missing_templates)
    lookups = {key: found for interpreter in interpreters for key, found in interpreter.environment_lookups.items()}
    return ComposedPage(reads, tuple(variants), tuple(used.values()), missing, lookups, declared)


def _variant(interpreter: Interpreter, placed: frozenset[str]) -> PageVariant:
    _add_barriers(interpreter)
    choices = interpreter.choices
    return PageVariant(
        tuple(choices[at] if at < len(choices) else 0 for at in range(len(interpreter.parent_choices))),
        interpreter.page_run,
        {name: block for name, block in interpreter.blocks.items() if name in placed},
        {name: block for name, block in interpreter.blocks.items() if name not in placed},
        interpreter.resolved_names,
        interpreter.called_macros,
        tuple(interpreter.parent_choices),
    )


def _add_barriers(interpreter: Interpreter) -> None:
    """Record which blocks cannot be rendered alone for reasons that only the whole page shows."""
    blocks = interpreter.blocks.values()
    for block in blocks:
        for statement in required_statements(block.read_set.needs):
            for writer, where in statement.changed_by.items():
                if not writer.is_within(block):
                    block.add_conflict(writer, where)
        if not interpreter.repeated_calls.isdisjoint(block.calls):
            block.barrier = block.barrier or "a macro that calls itself shows it, so the page shows it more than once"
        block.barrier = block.barrier or interpreter.exhausted
    for choice in interpreter.parent_choices:
        if choice.run is interpreter.page_run:
            continue
        # a block of an included template that chooses its own parent by a value
        for block in blocks:
            if block.run is choice.run and block.barrier is None:
                location = f"{choice.run.levels[0].name}:{choice.node.lineno}"
                block.barrier = f"the parent of its template depends on values (extends at {location})"


def _page_reads(
    name: str, interpreters: list[Interpreter], variants: list[PageVariant], *, complete: bool
) -> PageReads:
    outside = frozenset().union(*(interpreter.read_set.paths() for interpreter in interpreters))
    blocks = _joined([variant.blocks for variant in variants], complete=complete)
    unplaced = _joined([variant.unplaced for variant in variants], complete=complete)
    for block in blocks:
        unplaced.pop(block, None)
    templates = frozenset(name for interpreter in interpreters for name in interpreter.used_templates)
    return PageReads(name, MappingProxyType(blocks), outside, MappingProxyType(unplaced), templates)


def _joined(variants: list[Mapping[str, AnalysedBlock]], *, complete: bool) -> dict[str, BlockReads]:
    by_name: dict[str, list[AnalysedBlock]] = {}
    for variant in variants:
        for name, block in variant.items():
            by_name.setdefault(name, []).append(block)
    return {name: _block_reads(found, complete=complete) for name, found in by_name.items()}


def _block_reads(blocks: list[AnalysedBlock], *, complete: bool) -> BlockReads:
    """Return what a block reads, from its findings in each variant of the page."""
    first = blocks[0]
    paths = frozenset().union(*(block.read_set.paths() for block in blocks))
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
        first.parent.name if first.parent is not None else None,
        alone,
        tuple(notes),
        any(block.read_set.translates for block in blocks),
    )
