"""The names of templates that a value may be, or that a computed text may match."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    DictLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    nodes,
)

from .frames import Container
from .values import BOTTOM, Value

__all__ = ["NamePattern", "containers_in", "matching_names", "names_in", "pattern_of"]

MAX_NAMES: Final = 50
"""A computed name that more templates match than this counts as unknown."""


class NamePattern(NamedTuple):
    """What a computed name of a template begins and ends with."""

    prefix: str
    suffix: str


def pattern_of(node: nodes.Expr, text_of: Callable[[nodes.Expr], str | None]) -> NamePattern | None:
    """Return what the text of a concatenation begins and ends with, or None if its beginning is unknown.

    Args:
        node: The expression.
        text_of: Returns the text that a part is, or None if it is unknown.
    """
    texts = [text_of(part) for part in _parts(node)]
    prefix = _known_start(texts)
    return NamePattern(prefix, _known_start(texts, step=-1)) if prefix else None


def _parts(node: nodes.Expr) -> list[nodes.Expr]:
    if isinstance(node, nodes.Add):
        return [*_parts(node.left), *_parts(node.right)]
    return [part for each in node.nodes for part in _parts(each)] if isinstance(node, nodes.Concat) else [node]


def _known_start(texts: list[str | None], step: int = 1) -> str:
    known: list[str] = []
    for text in texts[::step]:
        if text is None:
            break
        known.append(text)
    return "".join(known[::step])


def matching_names(env: Environment, pattern: NamePattern) -> tuple[str, ...]:
    """Return the templates that a name with the pattern may load. Empty if they are unknown or too many.

    Loaders of files ignore empty segments and ``.`` in a name, and some file systems ignore case.
    """
    if type(env).join_path is not Environment.join_path or not _lists_all(env.loader):
        return ()
    folder, _, start = pattern.prefix.casefold().rpartition("/")
    segments = [each for each in folder.split("/") if each not in ("", ".")]
    prefix = "/".join([*segments, start.removeprefix(".") and start])
    suffix = pattern.suffix.casefold().rpartition("/")[2]
    suffix = suffix.removeprefix(".") and suffix
    names = env.list_templates()
    found = [name for name in names if name.casefold().startswith(prefix) and name.casefold().endswith(suffix)]
    return tuple(found) if len(found) <= MAX_NAMES else ()


def _lists_all(loader: BaseLoader | None) -> bool:
    """Return whether a loader lists all templates that it has. Loaders that an application writes may not."""
    get_source = type(loader).get_source if loader is not None else None
    match loader:
        case ChoiceLoader() if get_source is ChoiceLoader.get_source:
            return all(map(_lists_all, loader.loaders))
        case PrefixLoader() if get_source is PrefixLoader.get_source:
            return all(map(_lists_all, loader.mapping.values()))
        case FileSystemLoader() if get_source is FileSystemLoader.get_source:
            return loader.followlinks or not any(map(_has_linked_folder, loader.searchpath))
    return get_source in (DictLoader.get_source, PackageLoader.get_source)


def _has_linked_folder(path: str) -> bool:
    return any(Path(root, each).is_symlink() for root, folders, _ in os.walk(path) for each in folders)


def containers_in(values: Iterable[Value]) -> list[Container]:
    """Return the containers in ``values``, and those within them."""
    found: list[Container] = []
    pending = [each for value in values for each in value.objects]
    while pending:
        each = pending.pop()
        if isinstance(each, Container) and each not in found:
            found.append(each)
            pending.extend(each.content().objects)
    return found


def names_in(value: Value) -> tuple[list[str], bool] | None:
    """Return the template names that ``value`` may be, and whether it is a list of which the first counts.

    Return None if some are unknown.
    """
    if value.constants is None:
        return None
    containers = [found for found in value.objects if isinstance(found, Container)]
    if len(containers) != len(value.objects) or any(container.rest is not BOTTOM for container in containers):
        return None
    names = sorted(each for each in value.constants or () if isinstance(each, str))
    in_order = len(containers) == 1 and not names
    for container in containers:
        for item in container.items.values():
            if not item.constants:
                return None
            in_order = in_order and len(item.constants) == 1
            names.extend(sorted(str(each) for each in item.constants))
    return names, in_order
