"""Emits to a scope that no page has, but whose name is close to that of a page's scope. Debug mode logs them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from .._core.events import RESERVED, ChangeEvent
from .._core.facts import COMMITS

__all__ = ["NearMisses"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_FIELD = re.compile(r"\{[^}]*\}")
_VALUE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", re.IGNORECASE)
_CLOSE = 0.8
_MOST_SHAPES = 1000


class NearMisses:
    """Logs each kind of near miss once. An observer of the bus.

    Args:
        formats: The scopes of the pages and streams, with parameters in braces.
    """

    def __init__(self, formats: Iterable[str]) -> None:
        self._formats = {each: re.compile(".+".join(map(re.escape, _FIELD.split(each)))) for each in formats}
        self._seen: set[str] = set()

    def __call__(self, event: ChangeEvent) -> None:
        """Look at an event."""
        scope = event.scope
        shape = _VALUE.sub("{}", scope)
        if shape in self._seen or len(self._seen) > _MOST_SHAPES or _is_of_the_package(scope):
            return
        self._seen.add(shape)
        if any(pattern.fullmatch(scope) for pattern in self._formats.values()):
            return
        ratios = {each: SequenceMatcher(None, shape, _FIELD.sub("{}", each)).ratio() for each in self._formats}
        closest = max(ratios, key=lambda each: ratios[each], default=None)
        if closest is not None and ratios[closest] >= _CLOSE:
            logger.warning(
                "an event is emitted to the scope %r, which no page has. There is a page with the scope %r: write the "
                "same name in both places",
                scope,
                closest,
            )


def _is_of_the_package(scope: str) -> bool:
    return scope.startswith((RESERVED, f"{COMMITS}:")) or scope == COMMITS
