"""Tables for the command ``explain``: the blocks of a page, and the blocks that a change renders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from .._checks import DeclaredPage
from .._index.index import registry_of
from .._templates import BlockRows, PageReads, rows_of_page
from .discovery import DiscoveredApp

__all__ = ["Row", "affected_rows", "block_rows"]


class Row(NamedTuple):
    """A block: its template and name, its element, whether it is live and for which viewers, what it reads."""

    block: str
    element: str
    rendered: str
    reads: str


def affected_rows(found: DiscoveredApp, paths: Sequence[str]) -> tuple[list[Row], set[str]]:
    """Return the blocks that a change renders, and the paths that are derived from it."""
    pages = {id(page.index): (page, page.personal(names)) for page, names in found.pages}
    rows: dict[Row, None] = {}
    derived: set[str] = set()
    for index in found.indexes:
        explanation = index.explain_affected(paths)
        derived |= explanation["derived_paths"]
        page, personal = pages.get(id(index), (None, {}))
        reasons = {ref.key: reason for ref, reason in personal.items()}
        for block in explanation["affected_blocks"]:
            key = block["template"], block["block"]
            serves = "as share= of the stream says" if page is None else page.render_serves(key[1], reasons.get(key))
            reads = _listed(index.block_dependencies(*key))
            rows[Row(":".join(key), f"#{block['target']}", serves, reads)] = None
    return list(rows), derived


def block_rows(page: DeclaredPage, viewer_names: Set[str]) -> Iterator[Row]:
    """Yield all blocks of a page in document order, with the reason of each that is not live."""
    registry = registry_of(page.index)
    reads = registry.page(page.template_name)
    if reads is None:
        return
    elements = {ref.block_name: ref.target_id for ref in page.index.blocks()}
    personal = {ref.block_name: reason for ref, reason in page.personal(viewer_names).items()}
    reasons = {name: each.reason for name, each in registry.not_live.get(page.template_name, {}).items()}
    environment = registry.environment(page.template_name)
    rows = rows_of_page(environment, page.template_name) if environment is not None else {}
    reasons |= dict.fromkeys(registry.excluded(page.template_name), "is named in exclude_blocks=")
    for name, block in reads.blocks.items():
        if name in elements:
            state = f"live, {page.render_serves(name, personal.get(name))}"
            if name in reasons:
                state += f"; it {reasons[name]}"
            state += _by_rows(rows.get(name))
            paths = page.index.block_dependencies(page.template_name, name)
        else:
            state, paths = _why_not_live(reads, name, elements.keys(), reasons.get(name)), block.paths
        yield Row(f"{block.template}:{name}", f"#{elements[name]}" if name in elements else "", state, _listed(paths))


def _by_rows(rows: BlockRows | None) -> str:
    if rows is None:
        return ""
    return f"; sent whole, because {rows.fault}: {rows.fix}" if rows.fault else "; sent row by row"


def _why_not_live(reads: PageReads, name: str, live: Set[str], reason: str | None) -> str:
    if reason is not None:
        return f"not live: it {reason}"
    around = reads.nearest(name, live)
    if around is not None:
        return f"a part of the block {around!r}"
    return "not live: it shows no value that changes"


def _listed(paths: Set[str]) -> str:
    return ", ".join(sorted(paths))
