"""What was registered in an index. Registration collects facts; the first query afterwards freezes them into tables."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Mapping, Set

from jinja2 import Environment

from .._core.blocks import BlockRef, Placement
from .._core.errors import BlockNotFoundError, BlockRenderError
from .._core.paths import overlap
from .._core.suggestions import did_you_mean
from .._templates import BlockReads, PageReads, Region, add_regions, analyse
from .._templates.environments import Templates, environment_of
from .live_elements import NotLive
from .tables import BlockKey, BlockTables, Derivations, Registration, RenderPlan

__all__ = ["Registry", "reads_of", "require_alone"]


class Registry:
    """The facts behind one index. Thread-safe.

    Args:
        env: The environment of blocks that are registered by hand.
        derivations: Derivations shared with other indexes.
    """

    def __init__(self, env: Environment | None = None, derivations: Derivations | None = None) -> None:
        self.env = env
        self.derivations: Derivations = Derivations() if derivations is None else derivations
        self._environments: dict[str, Environment] = {}
        self._pages: dict[str, PageReads] = {}
        self._regions: dict[str, frozenset[Region]] = {}
        self.not_live: dict[str, Mapping[str, NotLive]] = {}
        self._registrations: dict[BlockKey, Registration] = {}
        self._excluded: set[BlockKey] = set()
        self._lock = threading.Lock()
        self._frozen: BlockTables | None = None

    def load_page(
        self, env: Templates, template_name: str, source: str | None = None, *, regions: Set[Region] = frozenset()
    ) -> PageReads:
        """Analyse a page and keep what it reads. Elements that count as blocks are kept, too.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
        """
        environment = environment_of(env)
        known = self._regions.get(template_name, frozenset()) | regions
        if known:
            self._regions[template_name] = known
            add_regions(environment, template_name, known)
        page = analyse(environment, template_name, source, regions=known)
        self._environments[template_name] = environment
        self._pages[template_name] = page
        return page

    def page(self, template_name: str) -> PageReads | None:
        """Return what a template reads, analysed on first use; ``None`` without an environment to load it from."""
        if template_name not in self._pages and self.env is not None:
            self.load_page(self.env, template_name)
        return self._pages.get(template_name)

    def exclude(self, page: PageReads, names: Iterable[str]) -> frozenset[str]:
        """Exclude blocks of a page: what only they read does not count for the blocks around them.

        Raises:
            BlockNotFoundError: A name is not a block of the page.
        """
        excluded = frozenset(names)
        for name in excluded:
            reads_of(page, name)
        with self._lock:
            self._excluded.update((page.template_name, name) for name in excluded)
            self._frozen = None
        return excluded

    def excluded(self, template_name: str) -> frozenset[str]:
        """Return the names of the excluded blocks of a page."""
        return frozenset(name for template, name in self._excluded if template == template_name)

    def add(self, ref: BlockRef, placement: Placement = Placement.INSIDE) -> None:
        """Register a block with the paths that the analysis found."""
        with self._lock:
            self._registration(ref, placement).analysed = True

    def add_path(self, path: str, ref: BlockRef) -> None:
        """Register by hand that a block shows a path."""
        with self._lock:
            self._registration(ref, Placement.INSIDE).by_hand.add(path)

    def _registration(self, ref: BlockRef, placement: Placement) -> Registration:
        registration = self._registrations.setdefault(ref.key, Registration())
        known = {(each.target_id, each.event_name) for each in registration.placements}
        if (ref.target_id, ref.event_name) not in known:
            registration.placements[ref] = placement
        self._frozen = None
        return registration

    def derive(self, path: str, sources: frozenset[str]) -> None:
        """Declare that a path is computed from others."""
        with self._lock:
            self.derivations.add(path, sources)

    def only(self, template_name: str) -> Registry:
        """Return what is registered for one template, with the same derivations."""
        return self._restricted({key for key in self._registrations if key[0] == template_name}, set(self._excluded))

    def part(self, keys: Container[BlockKey]) -> Registry:
        """Return some of the registered blocks, with the same derivations. What the others read does not count."""
        wanted = {key for key in self._registrations if key in keys}
        return self._restricted(wanted, self._excluded | (self._registrations.keys() - wanted))

    def _restricted(self, keys: Set[BlockKey], excluded: set[BlockKey]) -> Registry:
        other = Registry(self.env, self.derivations)
        with self._lock:
            other._environments = dict(self._environments)
            other._pages = dict(self._pages)
            other._registrations = {key: each for key, each in self._registrations.items() if key in keys}
        other._excluded = excluded
        return other

    def tables(self) -> BlockTables:
        """Return the facts, frozen for queries."""
        tables = self._frozen
        if tables is None or tables.version != self.derivations.version:
            with self._lock:
                tables = self._frozen = BlockTables(self._registrations, self._pages, self._excluded, self.derivations)
        return tables

    def plan(self, changed: frozenset[str], shown: frozenset[str] | None = None) -> RenderPlan:
        """Return what a change means for the blocks; see :meth:`BlockTables.plan`."""
        return self.tables().plan(changed, shown)

    def environment(self, template_name: str) -> Environment | None:
        """Return the environment that a registered template was read from, or the index's own."""
        return self._environments.get(template_name, self.env)

    def reads(self, ref: BlockRef) -> BlockReads:
        """Return what a registered block reads, and where it is."""
        return self._pages[ref.template_name].blocks[ref.block_name]

    def affected(self, paths: frozenset[str]) -> list[BlockRef]:
        """Return the blocks to render after a change; see :meth:`DependencyIndex.affected_blocks`."""
        return self.tables().affected(paths)

    def expand(self, paths: frozenset[str]) -> frozenset[str]:
        """Return paths with all that are derived from them."""
        return self.tables().expand(paths)

    def blocks(self) -> list[BlockRef]:
        """Return every registered block, in template order."""
        return self.tables().refs()

    def blocks_inside(self, ref: BlockRef) -> tuple[BlockRef, ...]:
        """Return the registered blocks nested in a registered block."""
        return self.tables().blocks_inside(ref.key)

    def targets(self, key: BlockKey) -> list[str]:
        """Return the ids of the elements that show a block. Empty if it is not registered."""
        registration = self._registrations.get(key)
        return [] if registration is None else [ref.target_id for ref in registration.placements]

    def dependencies(self, template_name: str, block_name: str) -> frozenset[str]:
        """Return every path that can cause a block to render again; see :meth:`DependencyIndex.block_dependencies`.

        Raises:
            BlockNotFoundError: No such block is registered.
        """
        try:
            own = self.tables().own_paths((template_name, block_name))
        except KeyError:
            raise self._not_registered(template_name, block_name) from None
        found = set(own)
        unseen = list(own)
        while unseen:
            path = unseen.pop()
            for derived, sources in self.derivations.sources.items():
                if overlap(derived, path):
                    unseen.extend(sources - found)
                    found |= sources
        return frozenset(found)

    def _not_registered(self, template_name: str, block_name: str) -> BlockNotFoundError:
        """Return the error for a block that is not registered."""
        wanted = f"{template_name}:{block_name}"
        known = [f"{template}:{block}" for template, block in self._registrations]
        return BlockNotFoundError(
            f"the block {wanted} is not registered in the index{did_you_mean(wanted, known)}",
            template=template_name,
            block=block_name,
        )


def reads_of(page: PageReads, block_name: str) -> BlockReads:
    """Return what a block of a page reads.

    Raises:
        BlockNotFoundError: The page has no such block.
    """
    try:
        return page.blocks[block_name]
    except KeyError:
        known = ", ".join(page.blocks) or "none"
        raise BlockNotFoundError(
            f"the template {page.template_name!r} has no block {block_name!r}"
            f"{did_you_mean(block_name, page.blocks)}; its blocks are: {known}",
            template=page.template_name,
            block=block_name,
        ) from None


def require_alone(page: PageReads, reads: BlockReads) -> None:
    """Check that a block can be rendered alone.

    Raises:
        BlockRenderError: It cannot.
    """
    if reads.alone is not None:
        around = f"register the block {reads.parent!r} around it" if reads.parent else "put a block around it"
        raise BlockRenderError(
            f"the block {reads.name!r} of {page.template_name!r} cannot be rendered alone: {reads.alone}; {around}",
            template=reads.template,
            block=reads.name,
            line=reads.line,
        )
