"""Abstract values.

A value consists of the context paths that it may *be* (``aliases``; an attribute of the value extends the path), the
paths from which it was computed (``reads``), the template objects that it may be (a macro, an imported module, a
container made in the template …), and the constants that it may be, if they are known. Values are immutable.
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
    "is_object",
    "is_plain",
    "join",
    "join_all",
    "sealed",
    "with_reads",
]

NO_PATHS: Final[frozenset[str]] = frozenset()
NO_OBJECTS: Final[frozenset[object]] = frozenset()
MAX_CONSTANTS: Final = 12
"""A value with more possible constants than this counts as unknown."""
MAX_SEGMENTS: Final = 12
"""The maximum length of a path. A longer path is cut to its prefix of this length."""


class Value(NamedTuple):
    """An abstract value.

    ``constants`` is None if they are unknown, and empty for a value that never exists or is one of its ``objects``.
    """

    aliases: frozenset[str] = NO_PATHS
    reads: frozenset[str] = NO_PATHS
    objects: frozenset[object] = NO_OBJECTS
    constants: frozenset[Hashable] | None = None


UNKNOWN: Final = Value()
BOTTOM: Final = Value(constants=frozenset())


def alias(path: str) -> Value:
    """Return the value at ``path`` of the context."""
    return Value(frozenset((path,)))


def constant(value: object) -> Value:
    """Return the value of a literal."""
    if isinstance(value, str | int | None):
        return Value(constants=frozenset((value,)))
    return UNKNOWN


def join(one: Value, other: Value) -> Value:
    """Return a value that may be either of two."""
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
    """Return a value that may be any of ``values``, or :data:`BOTTOM` if there are none."""
    result = BOTTOM
    for value in values:
        result = join(result, value)
    return result


def with_reads(value: Value, reads: frozenset[str]) -> Value:
    """Return ``value`` with ``reads`` added to its own."""
    return value._replace(reads=value.reads | reads) if reads - value.reads else value


def sealed(value: Value) -> Value:
    """Return ``value`` without aliases: attributes of it no longer extend its paths."""
    if not value.aliases and not value.constants:
        return value
    return Value(NO_PATHS, value.aliases | value.reads, value.objects)


def is_object(value: Value) -> bool:
    """Return whether a value is nothing but one of its objects."""
    return value.constants is not None and not value.constants and not value.aliases


def is_plain(key: object) -> bool:
    """Return whether a constant key can be a segment of a path."""
    if isinstance(key, str):
        return bool(key) and "." not in key and "*" not in key and " " not in key and key.isprintable()
    return isinstance(key, int) and not isinstance(key, bool) and key >= 0


def extend(value: Value, key: object) -> Value:
    """Return the attribute or item ``key`` of a value from the context."""
    if not value.aliases:
        return value if value.constants is None and not value.objects else Value(reads=value.reads)
    if not is_plain(key):
        return Value(reads=value.aliases | value.reads)
    extended: set[str] = set()
    cut: set[str] = set()
    for path in value.aliases:
        if path.count(".") + 1 < MAX_SEGMENTS:
            extended.add(f"{path}.{key}")
        else:
            cut.add(path)
    return Value(frozenset(extended), value.reads | cut)
