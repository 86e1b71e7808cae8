"""Which viewers see the same: the keys of viewers, and which blocks viewers with an equal key share."""

from __future__ import annotations

import inspect
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from starlette.requests import Request

from .._core.blocks import BlockRef
from .._core.callables import function_of, name_of
from .._index.personal import personal_blocks
from .._index.registry import Registry

__all__ = ["CHECKED_EVERY", "SIMPLE_KEYS", "Key", "KeyOf", "Partition", "Share", "as_key"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

KeyOf = Callable[[Request], Any]
"""A function or coroutine function of a viewer's request that returns its key, or ``None`` if it may see nothing."""

SIMPLE_KEYS = frozenset({str, int, bool, UUID})
"""Types whose values are equal keys if they are equal and of the same type."""
CHECKED_EVERY = 10.0
"""Seconds between two calls for one viewer, if the function is a coroutine function."""
_MOVED_COUNT = 10_000  # of pages that have been sent blocks of another key, and whose ids may be lost
_TOLD_BY_TEXT: tuple[type[Any], ...] = (
    bool,
    int,
    float,
    str,
    bytes,
    UUID,
    Decimal,
    datetime,
    date,
    NoneType,
)  # subclasses before their bases
_DEBUG_AUDIT, _AUDIT = 1.0, 0.01


@dataclass(frozen=True, slots=True)
class Key:
    """A viewer's key.

    Args:
        value: What the application returned.
        strict: What is compared: ``1``, ``1.0`` and ``True`` are different keys.
    """

    value: Hashable
    strict: Hashable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.strict == other.strict

    def __hash__(self) -> int:
        return hash(self.strict)

    @property
    def text(self) -> str:
        """The key as text, for messages."""
        return _text(self.value)

    @property
    def stable(self) -> str | None:
        """Text that equal keys have in every process, and no other key. ``None`` if there is no such text."""
        try:
            return _stable(self.value)
        except LookupError:
            return None


def as_key(value: object, what: str) -> Key | None:
    """Return a viewer's key, or ``None`` if there is none.

    Args:
        value: What the application returned.
        what: What returned it, for errors.

    Raises:
        TypeError: It is not hashable, or only equal to itself.
    """
    if value is None:
        return None
    try:
        hash(value)
    except TypeError as error:
        raise TypeError(f"{what} returned {type(value).__name__}, which is not hashable: return a tuple") from error
    strict = _strict(value, what)
    return Key(value, strict)


def _strict(value: object, what: str) -> Hashable:
    if isinstance(value, tuple):
        return (type(value), *(_strict(each, what) for each in value))
    if isinstance(value, frozenset):
        return frozenset(_strict(each, what) for each in value)
    by_identity = type(value).__eq__ is object.__eq__ and not isinstance(value, Enum | type) and value is not None
    if by_identity or value != value:
        raise TypeError(
            f"{what} returned {value!r}, which is equal to nothing but itself, so no two viewers would share: return "
            "a value such as an id, or a tuple of values"
        )
    return type(value), value


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    return f"{type(value).__qualname__} {value!r}"


def _stable(value: object) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, tuple):
        return f"{kind}({', '.join(map(_stable, value))})"
    if isinstance(value, frozenset):
        return f"{kind}{{{', '.join(sorted(map(_stable, value)))}}}"
    if isinstance(value, Enum):
        return f"{kind}.{value._name_} {value._value_!r}"
    if isinstance(value, type):
        return f"{kind} {value.__module__}.{value.__qualname__}"
    if is_dataclass(value):
        return f"{kind}({', '.join(_stable(getattr(value, each.name)) for each in fields(value) if each.compare)})"
    # not the value's own text, which a class may define so that unequal values have the same
    base: Any = next((each for each in _TOLD_BY_TEXT if isinstance(value, each)), None)
    if base is None:
        raise LookupError(kind)
    text: str = base.__repr__(value)
    return f"{kind} {text}"


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Which live blocks of a page are shared, and which are personal.

    Args:
        shared: The shared ones.
        personal: The personal ones. ``None`` if there are none.
        nested: The shared blocks that are nested in each personal block, as far as there are any.
    """

    shared: Registry
    personal: Registry | None
    nested: Mapping[BlockRef, tuple[BlockRef, ...]]


class Share:
    """What a page's viewers share, and with which others.

    Args:
        key_of: Returns a viewer's key.
        page: The key of the page, for errors.
        registry: The page's live blocks.
        viewer_names: The context variables that belong to one viewer.
        recheck: Seconds between two calls for one viewer. ``None`` means 0 for a plain function.
        audit: The part of the updates that is audited. ``None`` means one in a hundred, or all in debug mode.
        debug: Whether the application is in debug mode.

    Raises:
        TypeError: ``key_of`` cannot be called.
        ValueError: ``recheck`` is negative, or ``audit`` is not between 0 and 1.
    """

    def __init__(
        self,
        key_of: KeyOf,
        page: str,
        registry: Registry,
        viewer_names: frozenset[str],
        *,
        recheck: float | None,
        audit: float | None,
        debug: bool,
    ) -> None:
        if not callable(key_of):
            raise TypeError(f"share is a function of the request that returns a key, not {type(key_of).__name__}")
        if recheck is not None and recheck < 0:
            raise ValueError(f"recheck is {recheck}: write how many seconds a key stays valid, or 0")
        if audit is not None and not 0 <= audit <= 1:
            raise ValueError(f"share_audit is {audit}: write a part of the updates, from 0 to 1")
        function = function_of(key_of)
        is_coroutine = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - the kind matters, not whether it is callable
        )
        self.key_of: KeyOf = key_of
        """The application's function. What it returns may have to be awaited."""
        self._what = f"share= of the page {page} ({name_of(key_of)})"
        self._registry = registry
        self._viewer_names = viewer_names
        self.differing: frozenset[BlockRef] = frozenset()
        """Shared blocks that were different for two viewers, and those around them. They are personal."""
        self._partition: Partition | None = None
        self._moved: OrderedDict[str, None] = OrderedDict()
        self.recheck: float = (CHECKED_EVERY if is_coroutine else 0.0) if recheck is None else recheck
        self.audit: float = (_DEBUG_AUDIT if debug else _AUDIT) if audit is None else audit

    def as_key(self, value: object) -> Key | None:
        """Return the key that the application's function has returned; see :func:`as_key`."""
        return as_key(value, self._what)

    async def key(self, request: Request) -> Key | None:
        """Return the key of a request's viewer. ``None`` if it may see nothing.

        Raises:
            TypeError: What the application returned cannot be a key.
        """
        value = self.key_of(request)
        return self.as_key(await value if inspect.isawaitable(value) else value)

    def partition(self) -> Partition:
        """Return which blocks are shared, and which are personal."""
        if self._partition is None:
            reasons = personal_blocks(self._registry, self._viewer_names)
            self._partition = _partition(self._registry, {*reasons, *self.differing})
        return self._partition

    def note_moved(self, mark: str) -> None:
        """Record that a page has been sent blocks of another key than it was rendered with.

        Args:
            mark: The mark of its own requests.
        """
        self._moved[mark] = None
        self._moved.move_to_end(mark)
        if len(self._moved) > _MOVED_COUNT:
            self._moved.popitem(last=False)

    def has_moved(self, mark: str) -> bool:
        """Return whether a page has been sent blocks of another key, as far as this process remembers."""
        return mark in self._moved

    def note_different(self, blocks: Iterable[BlockRef]) -> None:
        """Make shared blocks personal, and those around them, because they differed between two viewers."""
        for ref in blocks:
            around = {each for each in self._registry.blocks() if ref in self._registry.blocks_inside(each)}
            self.differing |= {ref, *around}
        self._partition = None


def _partition(registry: Registry, personal: set[BlockRef]) -> Partition:
    blocks = registry.blocks()
    shared_keys = {ref.key for ref in blocks if ref not in personal}
    personal_keys = {ref.key for ref in blocks} - shared_keys
    if not personal_keys:
        return Partition(registry, None, {})
    nested = {
        ref: inside
        for ref in blocks
        if ref.key in personal_keys
        and (inside := tuple(each for each in registry.blocks_inside(ref) if each.key in shared_keys))
    }
    return Partition(registry.part(shared_keys), registry.part(personal_keys), nested)
