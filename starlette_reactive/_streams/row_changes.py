"""What differs between two renders of a block that is a list of rows."""

from __future__ import annotations

import functools
import logging

from .._core.blocks import Patch
from .._core.rows import DuplicateIdError, KeyedText, RowChange, changed_rows

__all__ = ["change_of"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")


def change_of(before: Patch, after: Patch) -> RowChange | None:
    """Return which rows of a block differ. ``None`` if it has to be sent whole.

    Logs a warning, once for each block, if two rows have the same id.
    """
    if not isinstance(before.html, KeyedText) or not isinstance(after.html, KeyedText):
        return None
    if before.placement is not after.placement:
        return None
    try:
        return changed_rows(before.html, after.html)
    except DuplicateIdError as duplicate:
        _warn(*after.ref.key, str(duplicate))
        return None


@functools.lru_cache(maxsize=1024)
def _warn(template: str, block: str, dom_id: str) -> None:
    logger.warning(
        "the block %r of %r is sent whole, because two of its rows have the id %r: give each row an id of its own",
        block,
        template,
        dom_id,
    )
