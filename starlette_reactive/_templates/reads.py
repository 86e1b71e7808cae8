"""From the syntax tree to the context paths that each block of a page reads.

A page is what its template, the template's parents and what they include come to; its blocks are found where the
composed page shows them. Each page is interpreted once (once per parent, where an ``extends`` chooses between
several), and the result is kept for as long as the sources of all templates that it read are the same.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterator, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType

from jinja2 import Environment

from .._core.paths import ALL
from .analysis.facts import BlockRecord, Choice, Context, Run
from .analysis.frames import Macro, Scope
from .analysis.interpreter import Interpreter
from .analysis.state import ABSENT
from .environment_cache import Kept
from .prologue import closure
from .sources import Library, Parsed, is_current, library_of

__all__ = ["BlockReads", "Page", "PageReads", "Variant", "analyse", "holds", "page_of"]

VARIANTS = 16
"""How many combinations of parents a page is interpreted with."""


@dataclass(frozen=True, slots=True)
class BlockReads:
    """What one block of a composed page reads.

    Args:
        name: The block's name.
        template: The template in which the body that counts stands: the outermost child's.
        line: The line of its ``{% block %}`` there.
        paths: The context paths that its text reads, outside of the blocks nested in it; :data:`~..paths.ALL` alone
            stands for everything.
        parent: The block directly around it in the composed page; None at the top level.
        alone: None: it can be rendered alone; else the reason why it can't.
        widened: Why it is taken to read everything, or shorter paths than its text names; empty: the paths are exact.
    """

    name: str
    template: str
    line: int
    paths: frozenset[str]
    parent: str | None
    alone: str | None
    widened: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageReads:
    """What a page reads, block by block.

    Args:
        template_name: The page's template.
        blocks: Its blocks in document order, each before those nested in it.
        outside: The paths that the page reads outside of all blocks.
        unplaced: Blocks that the templates define and the page does not show, such as those a child has on top of its
            parent's; they can be rendered alone all the same.
        templates: The names of all templates that the page is made of or imports.
    """

    template_name: str
    blocks: Mapping[str, BlockReads]
    outside: frozenset[str] = frozenset()
    unplaced: Mapping[str, BlockReads] = field(default_factory=dict)
    templates: frozenset[str] = frozenset()

    def enclosing(self, name: str) -> Iterator[str]:
        """Yield the names of the blocks around a block of ``blocks``, nearest first; none for an unknown name."""
        block = self.blocks.get(name)
        while block is not None and block.parent is not None:
            yield block.parent
            block = self.blocks[block.parent]

    def nearest(self, name: str, wanted: Container[str]) -> str | None:
        """Return the first of the block itself and the blocks around it that is in ``wanted``, or None."""
        return next((each for each in (name, *self.enclosing(name)) if each in wanted), None)


@dataclass(frozen=True, slots=True)
class Variant:
    """A page as interpreted with one choice of parents."""

    choices: tuple[int, ...]
    run: Run
    records: Mapping[str, BlockRecord]
    unplaced: Mapping[str, BlockRecord]
    resolved: Mapping[int, list[str]]
    called: Mapping[int, Set[Macro | None]]
    offered: tuple[Choice, ...]

    def made(self) -> dict[int, int]:
        """Return which option each ``extends`` of the page's own templates takes, by its node's id."""
        return {
            id(choice.node): taken
            for choice, taken in zip(self.offered, self.choices, strict=True)
            if choice.run is self.run
        }


@dataclass(frozen=True, slots=True)
class Page:
    """All that is known of a page; what :func:`analyse` returns is its ``reads``."""

    reads: PageReads
    variants: tuple[Variant, ...]
    used: tuple[Parsed, ...]
    missing: frozenset[str]
    lookups: Mapping[tuple[str, str], object]


def analyse(env: Environment, template_name: str, source: str | None = None) -> PageReads:
    """Find which context paths each block of a page reads.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text, if it is not what the loader has.

    Returns:
        The page's blocks. What a block reads is never missing from its paths; where a thing can't be known, the path
        ends at the nearest known prefix, or is :data:`~..paths.ALL`.

    Raises:
        TemplateLoadError: There is no such template, or one that the page is made of does not parse.
    """
    return page_of(env, template_name, source).reads


_pages: Kept[dict[str, Page]] = Kept("pages", lambda _: {})
_lock = threading.RLock()


def page_of(env: Environment, template_name: str, source: str | None = None) -> Page:
    """Return what is known of a page, as found before if no template that it read has changed."""
    library = library_of(env)
    if source is not None:
        return _interpret(env, library, library.parse(template_name, source))
    with _lock:
        pages = _pages.of(env)
        page = pages.get(template_name)
        if page is None or not holds(env, page):
            page = pages[template_name] = _interpret(env, library, library.template(template_name))
        return page


def holds(env: Environment, page: Page) -> bool:
    """Tell whether a page is still what :func:`page_of` would return: no template that it read has changed."""
    for parsed in page.used:
        if not is_current(env, parsed) and library_of(env).template(parsed.name).source != parsed.source:
            return False
    if page.missing and env.auto_reload and any(map(library_of(env).exists, page.missing)):
        return False
    return all(getattr(env, kind).get(name, ABSENT) is found for (kind, name), found in page.lookups.items())


def _interpret(env: Environment, library: Library, parsed: Parsed) -> Page:
    todo: list[tuple[int, ...]] = [()]
    machines: list[Interpreter] = []
    variants: list[Variant] = []
    while todo and len(variants) < VARIANTS:
        choices = todo.pop(0)
        machine, variant = _interpret_once(env, library, parsed, choices)
        machines.append(machine)
        variants.append(variant)
        for position in range(len(choices), len(machine.offered)):
            taken = variant.choices[:position]
            todo.extend((*taken, other) for other in range(1, len(machine.offered[position].options)))
    reads = _reads(parsed.name, machines, variants, complete=not todo)
    used = {each.name: each for machine in machines for each in machine.used.values()}
    missing = frozenset(name for machine in machines for name in machine.missing)
    lookups = {key: found for machine in machines for key, found in machine.lookups.items()}
    return Page(reads, tuple(variants), tuple(used.values()), missing, lookups)


def _interpret_once(
    env: Environment, library: Library, parsed: Parsed, choices: tuple[int, ...]
) -> tuple[Interpreter, Variant]:
    machine = Interpreter(env, library, choices)
    context = Context()
    run = machine.page = machine.run = Run(context)
    machine.scope = Scope(parsed, context, root=True)
    machine.used[parsed.name] = parsed
    machine.run_template(run, parsed)
    placed = dict(machine.records)
    machine.place_rest(run)
    _bar_what_is_not_followed(machine)
    unplaced = {name: record for name, record in machine.records.items() if name not in placed}
    taken = tuple(choices[at] if at < len(choices) else 0 for at in range(len(machine.offered)))
    return machine, Variant(taken, run, placed, unplaced, machine.resolved, machine.called, tuple(machine.offered))


def _bar_what_is_not_followed(machine: Interpreter) -> None:
    """Note which blocks are not rendered alone for reasons that only the whole page shows."""
    for record in machine.records.values():
        for unit in closure(record.sink.needs):
            for writer, how in unit.tainted.items():
                if not writer.lies_in(record):
                    record.note_conflict(writer, how)
    if machine.exhausted is not None:
        for record in machine.records.values():
            record.barrier = record.barrier or machine.exhausted
    for choice in machine.offered:
        if choice.run is machine.page:
            continue
        # a block of an included template that chooses its own parent by a value
        for record in machine.records.values():
            if record.run is choice.run and record.barrier is None:
                place = f"{choice.run.levels[0].name}:{choice.node.lineno}"
                record.barrier = f"the parent of its template depends on values (extends at {place})"


def _reads(name: str, machines: list[Interpreter], variants: list[Variant], *, complete: bool) -> PageReads:
    outside = frozenset().union(*(machine.sink.paths() for machine in machines))
    blocks = _joined([variant.records for variant in variants], complete=complete)
    unplaced = _joined([variant.unplaced for variant in variants], complete=complete)
    for block in blocks:
        unplaced.pop(block, None)
    templates = frozenset(name for machine in machines for name in machine.used)
    return PageReads(name, MappingProxyType(blocks), outside, MappingProxyType(unplaced), templates)


def _joined(variants: list[Mapping[str, BlockRecord]], *, complete: bool) -> dict[str, BlockReads]:
    records: dict[str, list[BlockRecord]] = {}
    for variant in variants:
        for name, record in variant.items():
            records.setdefault(name, []).append(record)
    return {name: _block_reads(found, complete=complete) for name, found in records.items()}


def _block_reads(records: list[BlockRecord], *, complete: bool) -> BlockReads:
    first = records[0]
    paths = frozenset().union(*(record.sink.paths() for record in records))
    notes = dict.fromkeys(note for record in records for note in record.sink.notes)
    alone = next((record.alone for record in records if record.alone is not None), None)
    if not complete:
        notes["the page has more combinations of parents than are followed"] = None
        alone = alone or "the page has more combinations of parents than are followed"
        paths = frozenset((ALL,))
    return BlockReads(
        first.name,
        first.template.name,
        first.definition.lineno,
        frozenset((ALL,)) if ALL in paths else paths,
        first.parent.name if first.parent is not None else None,
        alone,
        tuple(notes),
    )
