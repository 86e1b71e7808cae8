"""The parents that an application declares for names that only a render shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from jinja2 import Environment

from .environment_cache import PerEnvironment

__all__ = ["DeclaredParents", "declare_parents", "parents_of"]

DeclaredParents = Mapping[str, frozenset[str]]
"""The templates that each path of the context may name."""
NO_PARENTS: Final[DeclaredParents] = MappingProxyType({})


class _Declared:
    def __init__(self) -> None:
        self.parents: DeclaredParents = NO_PARENTS


_declared: PerEnvironment[_Declared] = PerEnvironment("parents", lambda _: _Declared())


def declare_parents(env: Environment, parents: Mapping[str, Iterable[str]]) -> None:
    """Declare which templates a value of the context may name.

    Without it, a page with ``{% extends layout %}`` has the parent that each render chooses, and its blocks count as
    reading everything. With ``declare_parents(env, {"layout": ["base.html", "part.html"]})``, the page is analysed with
    each of these parents. A render with another parent raises :exc:`BlockRenderError`. What is declared also counts
    where an ``include`` or an ``import`` uses the value.

    Args:
        env: The environment that renders the pages.
        parents: The names of the templates, by the path of the value, such as ``"layout"`` or ``"config.LAYOUT"``.
            They add to what is declared already; for the same path they replace it.

    Raises:
        TypeError: The names are a single string.
        ValueError: There are no names for a path.
    """
    found = {path: _names(path, names) for path, names in parents.items()}
    declared = _declared.of(env)
    declared.parents = MappingProxyType({**declared.parents, **found})


def parents_of(env: Environment) -> DeclaredParents:
    """Return what is declared for the environment. The object is another one after each declaration."""
    return _declared.of(env).parents


def _names(path: str, names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"the parents of {path!r} are one string: write [{names!r}]")
    found = frozenset(names)
    if not found:
        raise ValueError(f"there are no parents for {path!r}: name the templates that it may be")
    return found
