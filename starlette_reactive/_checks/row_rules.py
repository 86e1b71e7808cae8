"""The rule for live lists: a block whose rows have ids, and cannot be updated one by one, is sent whole at each change.

Rows without ids are common in short lists, so this is not reported. ``explain`` shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .issues import Issue, Severity
from .live_blocks import LiveBlock
from .page_tree import PageTree

__all__ = ["check_rows"]


def check_rows(tree: PageTree, blocks: Sequence[LiveBlock]) -> Iterator[Issue]:
    """Check that live lists whose rows have ids are keyed.

    Args:
        tree: The page.
        blocks: Its live blocks.
    """
    for block in blocks:
        rows = tree.rows.get(block.reads.name)
        if (
            rows is None
            or not rows.fault
            or not rows.has_ids
            or block.reads.alone is not None
            or not block.can_be_sent(tree)
        ):
            continue
        yield Issue(
            Severity.INFO,
            "unkeyed_rows",
            *rows.loop,
            f"the block {block.reads.name!r} is sent whole when one row of its list changes, because {rows.fault}",
            rows.fix,
        )
