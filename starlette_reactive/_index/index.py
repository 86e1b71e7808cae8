"""DependencyIndex: from changed paths to the blocks that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TypedDict

from .._core.blocks import BlockRef
from .._core.paths import freeze_paths, validate_path
from .._templates import elements
from .._templates.environments import Templates, environment_of
from .element_blocks import swapped_blocks, warn_of_left_out
from .live_elements import find_live_elements
from .registry import Registry, reads_of, require_alone

__all__ = [
    "AffectedBlock",
    "DependencyIndex",
    "Explanation",
    "index_of_template",
    "register_elements",
    "registry_of",
    "sibling_of",
]


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
    """Maps changed paths to the blocks that show them. Build it once at start-up, then query it from any thread.

    Args:
        env: The Jinja environment (or Starlette's ``Jinja2Templates``) of blocks that are registered by hand. Blocks
            registered from a template bring their own.
    """

    def __init__(self, env: Templates | None = None) -> None:
        self._registry = Registry(None if env is None else environment_of(env))

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
            block_names: The blocks to register. Defaults to all that can be rendered alone. What the others read then
                counts for the nearest block around them.
            dom_id_map: The ids of the blocks' elements, by block name, where they differ from the block's name.

        Returns:
            How many blocks the call registered.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``block_names`` or ``dom_id_map`` is not a block of the template.
            BlockRenderError: A block in ``block_names`` cannot be rendered alone.
        """
        page = self._registry.load_page(env, template_name)
        ids = dict(dom_id_map or {})
        names = list(page.blocks) if block_names is None else _names(block_names, "block_names")
        for name in (*names, *ids):
            reads_of(page, name)
        if block_names is not None:
            for name in names:
                require_alone(page, page.blocks[name])
        chosen = [name for name in names if page.blocks[name].alone is None]
        for name in chosen:
            self._registry.add(BlockRef(template_name, name, dom_id=ids.get(name)))
        return len(chosen)

    def register_from_sse_swaps(
        self, env: Templates, template_name: str, source: str | None = None, *, exclude_blocks: Iterable[str] = ()
    ) -> int:
        """Register the blocks inside or around the elements that carry ``sse-swap``, with their ids and event names.

        Both a block inside its element and a block whose root is the element are found, in every template that the page
        is composed of. An element that shows no block, or one that cannot be rendered alone, is skipped with a warning
        that names its location. An element that holds more than its block is registered with a warning.

        Args:
            env: The environment, or Starlette's ``Jinja2Templates``.
            template_name: The page's template, as the loader knows it.
            source: The template's text. Defaults to what the loader returns.
            exclude_blocks: Blocks to leave out, such as an editor that the browser manages. What only they read
                does not count for the blocks around them either.

        Returns:
            How many blocks the call registered.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
        """
        page = self._registry.load_page(env, template_name, source)
        excluded = self._registry.exclude(page, _names(exclude_blocks, "exclude_blocks"))
        registered = list(swapped_blocks(page, elements(environment_of(env), template_name, source), excluded))
        for ref, placement in registered:
            self._registry.add(ref, placement)
        return len({ref.block_name for ref, _ in registered})

    def register(self, path: str, block_ref: BlockRef) -> None:
        """Register by hand that a block shows a path.

        Args:
            path: A dotted path, or ``"*"`` for every path.
            block_ref: The block.

        Raises:
            TypeError: ``block_ref`` is not a :class:`BlockRef`, or ``path`` is not a string.
            ValueError: The path is empty or malformed.
            TemplateLoadError: The environment of the index cannot load the template.
            BlockNotFoundError: The template has no such block.
        """
        validate_path(path)
        if not isinstance(block_ref, BlockRef):
            raise TypeError(f"block_ref must be a BlockRef, not {type(block_ref).__name__}: {block_ref!r}")
        page = self._registry.page(block_ref.template_name)
        if page is not None:
            reads_of(page, block_ref.block_name)
        self._registry.add_path(path, block_ref)

    def derive(self, path: str, *, from_paths: Iterable[str]) -> None:
        """Declare that the value of a path is computed from others, and so changes with them.

        Derivations are additive and transitive, and may be circular.

        Args:
            path: The computed path.
            from_paths: The paths that it is computed from.

        Raises:
            TypeError: ``from_paths`` is a bare string.
            ValueError: A path is empty or malformed.
        """
        validate_path(path)
        self._registry.derive(path, freeze_paths(from_paths, what="from_paths"))

    # Queries

    @property
    def derivations(self) -> dict[str, frozenset[str]]:
        """The declared derivations: each computed path with the paths that it is computed from."""
        return {path: frozenset(sources) for path, sources in self._registry.derivations.sources.items()}

    def affected_blocks(self, changed_paths: Iterable[str]) -> list[BlockRef]:
        """Return the blocks to render after a change.

        Args:
            changed_paths: The paths that changed. Paths derived from them are added.

        Returns:
            The blocks in template order, without those nested in another one of the list.

        Raises:
            TypeError: ``changed_paths`` is a bare string.
        """
        return self._registry.tables().affected(_paths(changed_paths))

    def explain_affected(self, changed_paths: Iterable[str]) -> Explanation:
        """Return what :meth:`affected_blocks` does, step by step."""
        original = frozenset(_paths(changed_paths))
        expanded = self._registry.expand(original)
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
        """Return every path that can cause a block to render again.

        These are the block's own paths and, where those are derived, the paths they are derived from.

        Raises:
            BlockNotFoundError: No such block is registered.
        """
        return self._registry.dependencies(template_name, block_name)

    def blocks(self) -> list[BlockRef]:
        """Return every registered block, in template order."""
        return self._registry.blocks()


def registry_of(index: DependencyIndex) -> Registry:
    """Return the facts behind an index."""
    return index._registry  # noqa: SLF001 - the door for the inner rooms


def _index_of(registry: Registry) -> DependencyIndex:
    index = DependencyIndex()
    index._registry = registry  # noqa: SLF001 - as above
    return index


def sibling_of(index: DependencyIndex) -> DependencyIndex:
    """Return an empty index that shares the derivations of another one, including those declared later."""
    registry = registry_of(index)
    return _index_of(Registry(registry.env, registry.derivations))


def index_of_template(index: DependencyIndex, template_name: str) -> DependencyIndex:
    """Return an index of what is registered for one template, with the same derivations."""
    return _index_of(registry_of(index).only(template_name))


def register_elements(
    index: DependencyIndex,
    env: Templates,
    template_name: str,
    *,
    exclude_blocks: Iterable[str] = (),
    unless_read: Set[str] = frozenset(),
    viewer_names: Set[str] = frozenset(),
) -> int:
    """Register the blocks of a page that have an element of their own with an ``id``.

    That is the element that holds the block and nothing else but white space, or the single element that is the root
    of the block. A block without one, or one that cannot be rendered alone, counts for the nearest registered block
    around it. If there is none, the nearest element around it that can be updated is registered as a block.

    Args:
        index: The index.
        env: The environment, or Starlette's ``Jinja2Templates``.
        template_name: The page's template, as the loader knows it.
        exclude_blocks: Blocks to leave out, as for :meth:`DependencyIndex.register_from_sse_swaps`.
        unless_read: Names. Blocks that contain a use of one of them are left out, with a warning if they show
            something that no registered block shows.
        viewer_names: Names. An element that contains a use of one of them is not registered as a block.

    Returns:
        How many blocks the call registered.

    Raises:
        TemplateLoadError: The template does not exist or does not parse.
        BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
    """
    registry, environment = registry_of(index), environment_of(env)
    excluded = frozenset(_names(exclude_blocks, "exclude_blocks"))
    found = find_live_elements(
        environment, template_name, excluded=excluded, sinks=unless_read, viewer_names=viewer_names
    )
    page = registry.load_page(env, template_name, regions=found.regions)
    registry.exclude(page, excluded)
    registry.not_live[template_name] = found.not_live
    for each in found.blocks:
        registry.add(each.ref, each.placement)
    live = {each.ref.block_name for each in found.blocks}
    warn_of_left_out(page, found.left_out, live | excluded, environment.globals)
    return len(live)


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
