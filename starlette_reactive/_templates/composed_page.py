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

from .analysis.findings import AnalysedBlock, ParentChoice, TemplateRun, required_statements
from .analysis.frames import Macro
from .analysis.interpreter import Interpreter
from .analysis.interpreter_state import ABSENT
from .analysis.template_names import NamePattern, matching_names
from .block_reads import join_blocks
from .declared_parents import DeclaredParents, parents_of
from .environment_cache import PerEnvironment
from .reads import PageReads
from .regions import Region, RegionLibrary
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
        computed_names: The templates of the loader that computed names may be.
    """

    reads: PageReads
    variants: tuple[PageVariant, ...]
    used: tuple[ParsedTemplate, ...]
    missing: frozenset[str]
    lookups: Mapping[tuple[str, str], object]
    parents: DeclaredParents
    computed_names: Mapping[NamePattern, tuple[str, ...]]


def analyse(
    env: Environment, template_name: str, source: str | None = None, *, regions: Set[Region] = frozenset()
) -> PageReads:
    """Find which context paths each block of a page reads.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text. Defaults to the loader's.
        regions: Elements that count as blocks.

    Returns:
        The page's blocks. No read is missing from a block's paths. Where a read cannot be determined, the path ends at
        the nearest known prefix, or is :data:`~..paths.ALL`.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
    """
    return compose(env, template_name, source, regions=regions).reads


_PageKey = tuple[str, frozenset[Region], tuple[int | str, ...]]
_pages: PerEnvironment[dict[_PageKey, ComposedPage]] = PerEnvironment("pages", lambda _: {})
_lock = threading.RLock()


def compose(
    env: Environment,
    template_name: str,
    source: str | None = None,
    *,
    regions: Set[Region] = frozenset(),
    taken: tuple[int | str, ...] = (),
) -> ComposedPage:
    """Return what is known about a page. The result is cached until a template of the page changes.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text. Defaults to the loader's.
        regions: Elements that count as blocks.
        taken: What a render has chosen at the first of the page's :attr:`~PageVariant.parent_choices`.
    """
    library = library_of(env)
    if source is not None:
        return _compose(env, library, library.parse(template_name, source), taken)
    with _lock:
        pages = _pages.of(env)
        key = (template_name, frozenset(regions), taken)
        page = pages.get(key)
        if page is None or not is_page_current(env, page) or not _is_list_current(env, page):
            if regions:
                library = RegionLibrary(env, library, regions)
            page = pages[key] = _compose(env, library, library.template(template_name), taken)
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


def _is_list_current(env: Environment, page: ComposedPage) -> bool:
    if not env.auto_reload:
        return True
    # where no templates were found, everything counts as read
    return all(not names or matching_names(env, each) == names for each, names in page.computed_names.items())


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
    computed = {each: names for interpreter in interpreters for each, names in interpreter.computed_names.items()}
    return ComposedPage(reads, tuple(variants), tuple(used.values()), missing, lookups, declared, computed)


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
    taken = [(variant.choices, variant.parent_choices) for variant in variants]
    placed = [(*each, variant.blocks) for each, variant in zip(taken, variants, strict=True)]
    other = [(*each, variant.unplaced) for each, variant in zip(taken, variants, strict=True)]
    blocks, unplaced = join_blocks(placed, complete=complete), join_blocks(other, complete=complete)
    for block in blocks:
        unplaced.pop(block, None)
    templates = frozenset(name for interpreter in interpreters for name in interpreter.used_templates)
    return PageReads(name, MappingProxyType(blocks), outside, MappingProxyType(unplaced), templates)
