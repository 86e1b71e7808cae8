"""Rules for deferred values: what a page shows before its stream brings them, and where they never come."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from .._templates import BlockReads
from .description import DeclaredPage
from .issues import Issue, Severity, block_issue
from .page_tree import PageTree

__all__ = ["check_deferred"]

_CATEGORY = "deferred_value"


def check_deferred(tree: PageTree, page: DeclaredPage) -> Iterator[Issue]:
    """Check what a page shows of its deferred values.

    Args:
        tree: The page.
        page: Its declaration.
    """
    live = {ref.block_name for ref in page.index.blocks()}
    for name in sorted(page.deferred):
        showing = [reads for reads in tree.reads.blocks.values() if _shows(reads.paths, name)]
        updated = [reads for reads in showing if not live.isdisjoint(tree.blocks_around(reads.name))]
        for reads in showing:
            if reads not in updated:
                what = f"the block {reads.name!r}, which is not live,"
                yield block_issue(Severity.WARNING, _CATEGORY, reads, *_never(what, name))
        if _shows(tree.reads.outside, name):
            yield Issue(Severity.WARNING, _CATEGORY, tree.name, None, *_never("the page outside its blocks", name))
        if updated and not _has_placeholder(tree.text, name):
            yield _no_placeholder_issue(updated[0], name)


def _shows(paths: Set[str], name: str) -> bool:
    return any(path.partition(".")[0] == name for path in paths)


def _has_placeholder(source: str, name: str) -> bool:
    value = rf"\b{re.escape(name)}\b[\w.]*"
    return re.search(rf"{value}\s+is\s+(not\s+)?deferred\b|{value}\s*\|\s*(default|d)\b", source) is not None


def _never(what: str, name: str) -> tuple[str, str]:
    message = f"{what} shows the deferred value {name!r}, which only updates of live blocks have, so it stays empty"
    return message, f"show {name!r} in live blocks only, or do not defer it"


def _no_placeholder_issue(reads: BlockReads, name: str) -> Issue:
    message = (
        f"the live block {reads.name!r} shows the deferred value {name!r} and has no placeholder for it, so it is "
        "rendered with an empty value until the stream brings the value"
    )
    fix = f"{{% if {name} is deferred %}}…{{% else %}}…{{% endif %}} in the block"
    return block_issue(Severity.WARNING, _CATEGORY, reads, message, fix)
