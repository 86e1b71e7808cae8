"""Versions of what an interpretation changes, so that results that depend on an earlier version are not used again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

__all__ = ["Versioned", "next_number"]

_numbers: Final[Iterator[int]] = itertools.count(1)


def next_number() -> int:
    """Return a number that is higher than all before it."""
    return next(_numbers)


class Versioned:
    """Something that the interpretation of a template makes and later changes.

    Attributes:
        born: A number that is higher than those of everything made before it.
        version: How many times it has changed.
    """

    __slots__ = ("born", "version")

    def __init__(self) -> None:
        self.born: int = next_number()
        self.version: int = 0
