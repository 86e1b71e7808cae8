"""Changes that are made while a page is updated, such as a dependency that records when a user was last seen.

If such a change were delivered to the page, each update would cause the next one, forever. So it carries a mark of the
page, and viewers of the page do not receive it. Two pages may still cause updates of each other: an update that only
such changes have caused emits nothing.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import sys
from pathlib import Path

from .._core.emit_filters import UPDATE_MARK, caused_by_update
from .._core.events import ChangeEvent

__all__ = ["ChangesOfUpdate", "mark_of"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_PACKAGE = str(Path(__file__).parents[1])
_reported: set[str] = set()  # places in the application's source, so they are few


@functools.lru_cache(maxsize=1024)
def mark_of(page: str) -> str:
    """Return the origin of changes that are made while a page is updated."""
    return UPDATE_MARK + hashlib.sha256(page.encode()).hexdigest()[:16]


class ChangesOfUpdate:
    """Filters what is emitted while a page is updated.

    Args:
        page: The key of the page.
    """

    def __init__(self, page: str) -> None:
        self._page = page

    def __call__(self, event: ChangeEvent) -> ChangeEvent | None:
        """Return the event with the mark of the page. ``None`` if only such changes have caused the update."""
        self._report(event)
        return (
            None
            if caused_by_update.get()
            else ChangeEvent(event.scope, event.changed_paths, mark_of(self._page), event.audience)
        )

    def _report(self, event: ChangeEvent) -> None:
        place = _place()
        if place not in _reported:
            _reported.add(place)
            logger.warning(
                "%s emits %s of scope %r during an update of the page %s, whose viewers do not receive it, because "
                "that would update the page again, forever: make this change only if not is_update(request)",
                place,
                ", ".join(sorted(event.changed_paths)),
                event.scope,
                self._page,
            )


def _place() -> str:
    """Return the file and line of the application that emits."""
    frame = sys._getframe(1)  # noqa: SLF001 - as warnings and logging do
    while frame.f_back is not None and _is_library(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_library(filename: str) -> bool:
    return filename.startswith(_PACKAGE) or "sqlalchemy" in filename
