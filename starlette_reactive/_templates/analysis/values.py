"""Abstract values.

A value is known by the context paths that it may *be* (``aliases``: taking an attribute of it extends the path), the
paths that went into computing it (``reads``), the template objects it may be (a macro, a module, a container made in
the template …), and, if they are known, the constants it may be. Values are immutable.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

__all__ = [
    "BOTTOM",
    "NO_PATHS",
    "UNKNOWN",
    "Value",
    "alias",
    "constant",
    "extend",
    "is_plain",
    "join",
    "join_all",
    "sealed",
    "with_reads",
]

NO_PATHS: Final[frozenset[str]] = frozenset()
NO_OBJECTS: Final[frozenset[object]] = frozenset()
MAX_CONSTANTS: Final = 12
"""How many constants a value is followed through before it counts as unknown."""
MAX_SEGMENTS: Final = 12
"""How deep a path is followed; below, its nearest prefix stands for it."""


class Value(NamedTuple):
    """An abstract value. ``constants`` is None if they are not known, and empty for a value that never comes to be."""

    aliases: frozenset[str] = NO_PATHS
    reads: frozenset[str] = NO_PATHS
    objects: frozenset[object] = NO_OBJECTS
    constants: frozenset[Hashable] | None = None


UNKNOWN: Final = Value()
BOTTOM: Final = Value(constants=frozenset())


def alias(path: str) -> Value:
    """Return the value that stands at ``path`` of the context."""
    return Value(frozenset((path,)))


def constant(value: object) -> Value:
    """Return a constant of the template's text."""
    if isinstance(value, str | int | None):
        return Value(constants=frozenset((value,)))
    return UNKNOWN


def join(one: Value, other: Value) -> Value:
    """Return the value that is one or the other."""
    if one is other or other is BOTTOM:
        return one
    if one is BOTTOM:
        return other
    constants = None
    if one.constants is not None and other.constants is not None:
        constants = one.constants | other.constants
        if len(constants) > MAX_CONSTANTS:
            constants = None
    return Value(one.aliases | other.aliases, one.reads | other.reads, one.objects | other.objects, constants)


def join_all(values: Iterable[Value]) -> Value:
    """Return the value that is any of ``values``; :data:`BOTTOM` if there are none."""
    result = BOTTOM
    for value in values:
        result = join(result, value)
    return result


def with_reads(value: Value, reads: frozenset[str]) -> Value:
    """Return ``value`` as computed with ``reads`` besides its own."""
    return value._replace(reads=value.reads | reads) if reads - value.reads else value


def sealed(value: Value) -> Value:
    """Return ``value`` with its paths as they are: what lies below them is not told apart any more."""
    if not value.aliases and value.constants is None:
        return value
    return Value(NO_PATHS, value.aliases | value.reads, value.objects)


def is_plain(key: object) -> bool:
    """Tell whether a constant key can be a path's segment."""
    if isinstance(key, str):
        return bool(key) and "." not in key and "*" not in key and " " not in key and key.isprintable()
    return isinstance(key, int) and not isinstance(key, bool) and key >= 0


def extend(value: Value, key: object) -> Value:
    """Return what stands at ``key`` of a value that comes from the context, as an attribute or an item."""
    if not value.aliases:
        return value if value.constants is None and not value.objects else Value(reads=value.reads)
    if not is_plain(key):
        return Value(reads=value.aliases | value.reads)
    kept: set[str] = set()
    ended: set[str] = set()
    for path in value.aliases:
        if path.count(".") + 1 < MAX_SEGMENTS:
            kept.add(f"{path}.{key}")
        else:
            ended.add(path)
    return Value(frozenset(kept), value.reads | ended)
