"""Which blocks of a page are keyed lists, and marks between their rows.

A block is a keyed list if it has one loop whose rounds each show one element with an ``id`` that varies. For such a
block, a copy of its template is compiled in which a mark precedes each row and follows the last one. The marks are in
the block's output, in text between elements, and are taken out before anything else sees them.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, nodes

from .composed_page import ComposedPage, compose
from .elements.loops import LoopBody
from .elements.page import loop_bodies
from .elements.tokenizer import TemplatePlace
from .environment_cache import PerEnvironment
from .regions import regions_of
from .sources import ParsedTemplate

__all__ = ["MARK", "BlockRows", "marked_tree", "rows_of", "rows_of_page"]

MARK: Final = f"\N{NULL}{secrets.token_hex(16)}\N{NULL}"
"""What precedes each row and follows the last one. It is a secret, so no value contains it."""
_TRANSPARENT: Final = (nodes.If, nodes.With, nodes.Scope, nodes.ScopedEvalContextModifier)
"""The statements whose output is that of the statements in them."""


@dataclass(frozen=True, slots=True)
class BlockRows:
    """A block with a loop: whether it is a keyed list.

    Args:
        loop: The place of the loop.
        has_ids: Whether rows have ids that vary.
        fault: Why it is not. Empty if it is.
        fix: What would make it one.
        number: The number of its loop among the loops that the block itself shows.
    """

    loop: TemplatePlace
    has_ids: bool
    fault: str = ""
    fix: str = ""
    number: int = 0


def rows_of_page(env: Environment, template_name: str) -> Mapping[str, BlockRows]:
    """Return the blocks of a page with a loop that shows elements, by name.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
    """
    return rows_of(env, compose(env, template_name, regions=regions_of(env, template_name)))


_rows: PerEnvironment[dict[str, tuple[ComposedPage, Mapping[str, BlockRows]]]] = PerEnvironment("rows", lambda _: {})


def rows_of(env: Environment, page: ComposedPage) -> Mapping[str, BlockRows]:
    """Return the blocks of a composed page with a loop that shows elements, by name."""
    known = _rows.of(env)
    found = known.get(page.reads.template_name)
    if found is None or found[0] is not page:
        found = known[page.reads.template_name] = page, _find_rows(page)
    return found[1]


def _find_rows(page: ComposedPage) -> dict[str, BlockRows]:
    shown: dict[str, list[LoopBody]] = {}
    for body in loop_bodies(page):
        if body.block is not None and body.roots:
            shown.setdefault(body.block, []).append(body)
    return {name: _rows_of_block(page, name, bodies) for name, bodies in shown.items()}


def _rows_of_block(page: ComposedPage, name: str, bodies: Sequence[LoopBody]) -> BlockRows:
    definitions = {
        id(found.definition): found for each in page.variants if (found := each.blocks.get(name)) is not None
    }
    outer = [body for body in bodies if body.depth == min(each.depth for each in bodies)]
    place = outer[0].place
    has_ids = any(body.has_ids for body in outer)
    if len(definitions) != 1:
        return BlockRows(
            place, has_ids, "its text depends on the parent that values choose", "write the loop in one block"
        )
    (block,) = definitions.values()
    own = [id(loop) for loop in _loops_in(block.definition.body)]
    if not all(id(body.node) in own for body in outer):
        reason = f"its loop is not in the block itself, but in {place}"
        return BlockRows(place, has_ids, reason, f"write the loop into the block {name!r}")
    if len({id(body.node) for body in outer}) > 1:
        return BlockRows(place, has_ids, "it has several loops", "put each loop into an element and a block of its own")
    fault = next((fault for body in outer if (fault := body.fault()) is not None), None)
    return BlockRows(place, has_ids, *(fault or ("", "")), own.index(id(outer[0].node)))


def _loops_in(body: list[nodes.Node]) -> Iterator[nodes.For]:
    """Yield the loops whose output is a part of the output of statements, as it is."""
    return (loop for loop, _ in _loops_with_bodies(body))


def _loops_with_bodies(body: list[nodes.Node]) -> Iterator[tuple[nodes.For, list[nodes.Node]]]:
    """Yield these loops, each with the statements among which it is."""
    for node in body:
        if isinstance(node, nodes.For):
            yield node, body
        elif isinstance(node, _TRANSPARENT):
            for each in _bodies(node):
                yield from _loops_with_bodies(each)


def _bodies(node: nodes.Node) -> Iterator[list[nodes.Node]]:
    yield node.body  # type: ignore[attr-defined]
    if isinstance(node, nodes.If):
        for each in node.elif_:
            yield from _bodies(each)
        yield node.else_


def marked_tree(parsed: ParsedTemplate, block_name: str, number: int) -> nodes.Template:
    """Return a copy of a template's syntax tree with marks in a loop of a block.

    Args:
        parsed: The template.
        block_name: The block.
        number: The number of the loop, as in :class:`BlockRows`.
    """
    environment = parsed.tree.environment
    tree = copy.deepcopy(parsed.tree, {id(environment): environment})
    block = next(each for each in tree.find_all(nodes.Block) if each.name == block_name)
    loop, around = list(_loops_with_bodies(block.body))[number]
    loop.body.insert(0, _mark(loop))
    around.insert(next(at for at, node in enumerate(around) if node is loop) + 1, _mark(loop))
    return tree


def _mark(loop: nodes.For) -> nodes.Output:
    output = nodes.Output([nodes.TemplateData(MARK, lineno=loop.lineno)], lineno=loop.lineno)
    if loop.environment is not None:
        output.set_environment(loop.environment)
    return output
