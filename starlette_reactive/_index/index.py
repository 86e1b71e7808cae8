"""DependencyIndex: from changed paths to the blocks that show them.

Registration collects facts; the first question after it freezes them into tables, which any thread may then read.
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable, Mapping, Set
from typing import TypedDict

from jinja2 import Environment

from .._core.blocks import BlockRef, Placement
from .._core.errors import BlockNotFoundError, BlockRenderError
from .._core.paths import freeze_paths, overlap, validate_path
from .._templates import BlockReads, PageReads, analyse, elements
from .._templates.environments import Templates, environment_of
from .element_blocks import around_uses, own_elements, swapped_blocks, warn_of_left_out
from .tables import Derivations, Entry, Key, Tables

__all__ = ["AffectedBlock", "DependencyIndex", "Explanation"]


class AffectedBlock(TypedDict):
    """A block in an :class:`Explanation`: its template, its name, and the id of the element it goes to."""

    template: str
    block: str
    target: str


class Explanation(TypedDict):
    """What a change causes, step by step; see :meth:`DependencyIndex.explain_affected`."""

    original_paths: frozenset[str]
    expanded_paths: frozenset[str]
    derived_paths: frozenset[str]
    affected_blocks: list[AffectedBlock]


class DependencyIndex:
    """Knows which blocks show which paths. Build it once at start-up, then read it from any thread.

    Args:
        env: The Jinja environment (or Starlette's ``Jinja2Templates``) of blocks that are registered by hand; blocks
            registered from a template bring their own.
    """

    def __init__(self, env: Templates | None = None) -> None:
        self._env = None if env is None else environment_of(env)
        self._environments: dict[str, Environment] = {}
        self._pages: dict[str, PageReads] = {}
        self._entries: dict[Key, Entry] = {}
        self._excluded: set[Key] = set()
        self._derivations = Derivations()
        self._lock = threading.Lock()
        self._frozen: Tables | None = None

    # Registration

    def register_template(
        self,
        env: Templates,
        template_name: str,
        *,
        block_names: Iterable[str] | None = None,
        dom_id_map: Mapping[str, str] | None = None,
    ) -> int:
        """Register a template's blocks with the paths that its syntax tree says they read.

        Args:
            env: The environment, or Starlette's ``Jinja2Templates``.
            template_name: The page's template, as the loader knows it.
            block_names: The blocks to register; ``None``: all that can be rendered alone. What the others read then
                counts for the nearest block around them.
            dom_id_map: The ids of the blocks' elements, by block name, where they differ from the block's name.

        Returns:
            How many blocks the call registered.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``block_names`` or ``dom_id_map`` is not a block of the template.
            BlockRenderError: A block in ``block_names`` cannot be rendered alone.
        """
        page = self._page(env, template_name)
        ids = dict(dom_id_map or {})
        names = list(page.blocks) if block_names is None else _names(block_names, "block_names")
        for name in (*names, *ids):
            _reads(page, name)
        if block_names is not None:
            for name in names:
                _require_alone(page, page.blocks[name])
        chosen = [name for name in names if page.blocks[name].alone is None]
        for name in chosen:
            self._add(BlockRef(template_name, name, dom_id=ids.get(name)), Placement.INSIDE, analysed=True)
        return len(chosen)

    def register_from_sse_swaps(
        self, env: Templates, template_name: str, source: str | None = None, *, exclude_blocks: Iterable[str] = ()
    ) -> int:
        """Register the blocks inside or around the elements that carry ``sse-swap``, with their ids and event names.

        A block that stands inside its element, and a block that has the element as its root, are both found, wherever
        in the page's inheritance they are. An element that shows no block, or one that cannot be rendered alone, is
        left out with a warning that names its place; one that holds more than its block is registered with a warning.

        Args:
            env: The environment, or Starlette's ``Jinja2Templates``.
            template_name: The page's template, as the loader knows it.
            source: The template's text, where it is not to be read from the loader.
            exclude_blocks: Blocks to leave alone, such as an editor that the browser manages. What only they read
                does not count for the blocks around them either.

        Returns:
            How many blocks the call registered.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
        """
        page = self._page(env, template_name, source)
        excluded = self._exclude(page, exclude_blocks)
        registered = list(swapped_blocks(page, elements(environment_of(env), template_name, source), excluded))
        for ref, placement in registered:
            self._add(ref, placement, analysed=True)
        return len({ref.block_name for ref, _ in registered})

    def register_elements(
        self,
        env: Templates,
        template_name: str,
        *,
        exclude_blocks: Iterable[str] = (),
        unless_read: Set[str] = frozenset(),
    ) -> int:
        """Register the blocks that have an element of their own with an ``id``.

        That is the element which holds the block and nothing else but white space, or the single element which is the
        root of the block. A block without one, or one that cannot be rendered alone, counts for the nearest registered
        block around it.

        Args:
            env: The environment, or Starlette's ``Jinja2Templates``.
            template_name: The page's template, as the loader knows it.
            exclude_blocks: Blocks to leave alone, as for :meth:`register_from_sse_swaps`.
            unless_read: Names; blocks that hold a use of one of them are left out, with a warning if they show
                something that no registered block shows.

        Returns:
            How many blocks the call registered.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
        """
        page = self._page(env, template_name)
        environment = environment_of(env)
        excluded, around = self._exclude(page, exclude_blocks), around_uses(page, unless_read)
        found = list(own_elements(page, elements(environment, template_name), excluded))
        registered = [(ref, placement) for ref, placement in found if ref.block_name not in around]
        for ref, placement in registered:
            self._add(ref, placement, analysed=True)
        left_out = {ref.block_name for ref, _ in found} & around
        warn_of_left_out(page, left_out, {ref.block_name for ref, _ in registered} | excluded, environment.globals)
        return len(registered)

    def register(self, path: str, block_ref: BlockRef) -> None:
        """Register by hand that a block shows a path.

        Args:
            path: A dotted path, or ``"*"`` for every path.
            block_ref: The block.

        Raises:
            TypeError: ``block_ref`` is not a :class:`BlockRef`, or ``path`` is not a string.
            ValueError: The path is empty or malformed.
            TemplateLoadError: The template is not one that the environment given to the index can load.
            BlockNotFoundError: The template has no such block.
        """
        validate_path(path)
        if not isinstance(block_ref, BlockRef):
            raise TypeError(f"block_ref is a BlockRef, not {type(block_ref).__name__}: {block_ref!r}")
        if self._env is not None and block_ref.template_name not in self._pages:
            self._page(self._env, block_ref.template_name)
        if block_ref.template_name in self._pages:
            _reads(self._pages[block_ref.template_name], block_ref.block_name)
        entry = self._add(block_ref, Placement.INSIDE, analysed=False)
        with self._lock:
            entry.by_hand.add(path)
            self._frozen = None

    def derive(self, path: str, *, from_paths: Iterable[str]) -> None:
        """Declare that a path's value is computed from others, and so changes with them.

        Derivations add up, are followed over several steps, and may be circular.

        Args:
            path: The computed path.
            from_paths: What it is computed from.

        Raises:
            TypeError: ``from_paths`` is a bare string.
            ValueError: A path is empty or malformed.
        """
        validate_path(path)
        sources = freeze_paths(from_paths, what="from_paths")
        with self._lock:
            self._derivations.add(path, sources)

    def _page(self, env: Templates, template_name: str, source: str | None = None) -> PageReads:
        environment = environment_of(env)
        page = analyse(environment, template_name, source)
        self._environments[template_name] = environment
        self._pages[template_name] = page
        return page

    def _exclude(self, page: PageReads, exclude_blocks: Iterable[str]) -> frozenset[str]:
        names = frozenset(_names(exclude_blocks, "exclude_blocks"))
        for name in names:
            _reads(page, name)
        with self._lock:
            self._excluded.update((page.template_name, name) for name in names)
            self._frozen = None
        return names

    def _add(self, ref: BlockRef, placement: Placement, *, analysed: bool) -> Entry:
        with self._lock:
            entry = self._entries.setdefault((ref.template_name, ref.block_name), Entry())
            known = {(each.target_id, each.event_name) for each in entry.placements}
            if (ref.target_id, ref.event_name) not in known:
                entry.placements[ref] = placement
            entry.analysed = entry.analysed or analysed
            self._frozen = None
            return entry

    # Questions

    @property
    def derivations(self) -> dict[str, frozenset[str]]:
        """The declared derivations: each computed path with what it is computed from."""
        return {path: frozenset(sources) for path, sources in self._derivations.sources.items()}

    def affected_blocks(self, changed_paths: Iterable[str]) -> list[BlockRef]:
        """Return the blocks to render after a change.

        Args:
            changed_paths: The paths that changed; those derived from them are added.

        Returns:
            The blocks in template order, without those that stand inside another one of the list.

        Raises:
            TypeError: ``changed_paths`` is a bare string.
        """
        return self._tables().affected(_paths(changed_paths))

    def touched_blocks(self, changed_paths: Iterable[str]) -> list[BlockRef]:
        """Return the blocks whose HTML a change may alter: those that show it, and those around them."""
        tables = self._tables()
        return tables.refs(tables.with_those_around(tables.matching(tables.expand(_paths(changed_paths)))))

    def blocks_inside(self, block_ref: BlockRef) -> list[BlockRef]:
        """Return the registered blocks that stand inside a registered block."""
        tables = self._tables()
        return tables.refs(tables.inside[tables.number[block_ref.template_name, block_ref.block_name]])

    def outermost(self, blocks: Iterable[BlockRef]) -> list[BlockRef]:
        """Return registered blocks in template order, without those that stand inside another one of them."""
        tables = self._tables()
        chosen = set(blocks)
        numbers = tables.outermost({tables.number[ref.template_name, ref.block_name] for ref in chosen})
        return [ref for ref in tables.refs(numbers) if ref in chosen]

    def expand(self, changed_paths: Iterable[str]) -> frozenset[str]:
        """Return the paths together with all that are derived from them."""
        return self._tables().expand(_paths(changed_paths))

    def explain_affected(self, changed_paths: Iterable[str]) -> Explanation:
        """Return what :meth:`affected_blocks` does, step by step."""
        original = frozenset(_paths(changed_paths))
        expanded = self.expand(original)
        return {
            "original_paths": original,
            "expanded_paths": expanded,
            "derived_paths": expanded - original,
            "affected_blocks": [
                {"template": ref.template_name, "block": ref.block_name, "target": ref.target_id}
                for ref in self.affected_blocks(original)
            ],
        }

    def block_dependencies(self, template_name: str, block_name: str) -> frozenset[str]:
        """Return every path that can cause a block to be rendered again.

        These are the block's own paths and, where those are derived, what they are derived from.

        Raises:
            BlockNotFoundError: No such block is registered.
        """
        tables = self._tables()
        try:
            own = tables.own[tables.number[template_name, block_name]]
        except KeyError:
            raise self._not_registered(template_name, block_name) from None
        found = set(own)
        unseen = list(own)
        while unseen:
            path = unseen.pop()
            for derived, sources in self._derivations.sources.items():
                if overlap(derived, path):
                    unseen.extend(sources - found)
                    found |= sources
        return frozenset(found)

    def blocks(self) -> list[BlockRef]:
        """Return every registered block, in template order."""
        tables = self._tables()
        return tables.refs(tables.all)

    def placement(self, block_ref: BlockRef) -> Placement:
        """Return how a registered block and its element lie in each other."""
        return self._entries[block_ref.template_name, block_ref.block_name].placements[block_ref]

    def place(self, block_ref: BlockRef) -> tuple[str, int, tuple[str, ...]]:
        """Return the template and line in which a registered block stands, and why what it reads is not known."""
        reads = self._pages[block_ref.template_name].blocks[block_ref.block_name]
        return reads.template, reads.line, reads.widened

    def sibling(self) -> DependencyIndex:
        """Return an empty index that shares this one's derivations, those to come included."""
        index = DependencyIndex()
        index._env = self._env
        index._derivations = self._derivations
        return index

    def only(self, template_name: str) -> DependencyIndex:
        """Return an index of what is registered of one template, with the same derivations."""
        index = self.sibling()
        with self._lock:
            for name, value in (
                ("_environments", dict(self._environments)),
                ("_pages", dict(self._pages)),
                ("_entries", {key: entry for key, entry in self._entries.items() if key[0] == template_name}),
                ("_excluded", set(self._excluded)),
            ):
                setattr(index, name, value)
        return index

    def environment(self, template_name: str) -> Environment | None:
        """Return the environment that a registered template was read from, or the index's own."""
        return self._environments.get(template_name, self._env)

    def _not_registered(self, template_name: str, block_name: str) -> BlockNotFoundError:
        known = [f"{template}:{block}" for template, block in self._entries]
        wanted = f"{template_name}:{block_name}"
        return BlockNotFoundError(
            f"the block {wanted} is not registered in the index{_did_you_mean(wanted, known)}",
            template=template_name,
            block=block_name,
        )

    def _tables(self) -> Tables:
        tables = self._frozen
        if tables is None or tables.version != self._derivations.version:
            with self._lock:
                tables = self._frozen = Tables(self._entries, self._pages, self._excluded, self._derivations)
        return tables


def _reads(page: PageReads, block_name: str) -> BlockReads:
    try:
        return page.blocks[block_name]
    except KeyError:
        known = ", ".join(page.blocks) or "none"
        raise BlockNotFoundError(
            f"the template {page.template_name!r} has no block {block_name!r}"
            f"{_did_you_mean(block_name, page.blocks)}; its blocks are: {known}",
            template=page.template_name,
            block=block_name,
        ) from None


def _require_alone(page: PageReads, reads: BlockReads) -> None:
    if reads.alone is not None:
        around = f"register the block {reads.parent!r} around it" if reads.parent else "put a block around it"
        raise BlockRenderError(
            f"the block {reads.name!r} of {page.template_name!r} cannot be rendered alone: {reads.alone}; {around}",
            template=reads.template,
            block=reads.name,
            line=reads.line,
        )


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _names(names: Iterable[str], what: str) -> list[str]:
    if isinstance(names, str):
        raise TypeError(f"{what} is a bare string: write {{{names!r}}}, a set of names")
    return list(dict.fromkeys(names))


def _paths(changed_paths: Iterable[str]) -> frozenset[str]:
    if isinstance(changed_paths, frozenset):
        return changed_paths
    if isinstance(changed_paths, str | bytes):
        raise TypeError(f"changed_paths is a bare string: write {{{changed_paths!r}}}, a set of paths")
    return frozenset(changed_paths)
