"""Dotted paths into a template's context, such as ``doc.author.name``.

A path stands for a value and everything below it. Two paths *overlap* when they are equal or one is an
ancestor of the other: a change of ``doc`` may alter a block that reads ``doc.author``, and a change of
``doc.author`` may alter a block that reads ``doc``. The path :data:`ALL` overlaps with every path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["ALL", "ancestors", "freeze_paths", "overlap", "validate_path"]

ALL: Final = "*"
"""The path that stands for every path."""


def validate_path(path: str) -> str:
    """Return ``path`` if it is well-formed.

    Args:
        path: :data:`ALL`, or segments joined by dots. A segment is one or more characters other than white space,
            control characters and ``*``.

    Raises:
        TypeError: ``path`` is not a string.
        ValueError: ``path`` is empty or malformed.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path is a string such as 'doc.title', not {type(path).__name__}: {path!r}")
    if path.isidentifier() or path == ALL:
        return path
    if not path:
        raise ValueError("a path is empty: write the name of a context variable, such as 'tasks', or '*' for all")
    if " " in path or not path.isprintable():  # no other white space is printable
        raise ValueError(f"the path {path!r} has white space or control characters: write it as 'doc.title'")
    for segment in path.split("."):
        if not segment:
            raise ValueError(f"the path {path!r} has an empty segment: write names joined by single dots")
        if ALL in segment:
            raise ValueError(
                f"the path {path!r} has a '*' in it: a path already covers everything below it, so write the "
                "part before the '*', or '*' alone for every path"
            )
    return path


def freeze_paths(paths: Iterable[str], *, what: str = "changed_paths") -> frozenset[str]:
    """Return ``paths`` as a non-empty frozenset of well-formed paths.

    Args:
        paths: Any iterable of paths. A bare string is refused, because it would be read letter by letter.
        what: The name of the argument, for the error message.

    Raises:
        TypeError: ``paths`` is a bare string or not iterable, or a path is not a string.
        ValueError: ``paths`` is empty, or a path is malformed.
    """
    if isinstance(paths, str | bytes):
        raise TypeError(f"{what} is a bare string: write {{{paths!r}}}, a set of paths, not {paths!r}")
    try:
        frozen = frozenset(map(validate_path, iter(paths)))
    except TypeError:
        if isinstance(paths, Iterable):
            raise
        raise TypeError(f"{what} is a set of paths, not {type(paths).__name__}") from None
    if not frozen:
        raise ValueError(f"{what} is empty: name at least one path, or '*' for all")
    return frozen


def ancestors(path: str) -> Iterator[str]:
    """Yield the paths above ``path``, nearest first: ``a.b.c`` gives ``a.b``, then ``a``."""
    end = path.rfind(".")
    while end != -1:
        yield path[:end]
        end = path.rfind(".", 0, end)


def overlap(one: str, other: str) -> bool:
    """Return whether a change of one path may alter what reads the other."""
    if one == other or ALL in (one, other):
        return True
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")
