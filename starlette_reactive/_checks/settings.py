"""Settings of a check: levels of categories and options, from ``[tool.starlette-reactive]`` in ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._core.errors import ReactiveError
from .._core.suggestions import did_you_mean
from .htmx_setup import parse_version
from .issues import CATEGORIES, Severity

__all__ = ["Settings", "find_settings", "read_settings"]

_LEVELS: Mapping[str, Severity | None] = {**{each.value: each for each in Severity}, "off": None}


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a check.

    Args:
        levels: The levels of categories that differ from the default. ``None`` turns a category off.
        htmx: The htmx version of pages whose script tag does not name one.
    """

    levels: Mapping[str, Severity | None] = field(default_factory=dict)
    htmx: tuple[int, ...] = ()


def find_settings(folder: Path) -> Settings:
    """Return the settings in the nearest ``pyproject.toml`` at or above a folder, or the defaults without one.

    Raises:
        ReactiveError: The file cannot be read, or a setting is unknown.
    """
    for each in (folder, *folder.parents):
        path = each / "pyproject.toml"
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ReactiveError(f"{path} cannot be read: {error}") from error
            return read_settings(table.get("tool", {}).get("starlette-reactive", {}), str(path))
    return Settings()


def read_settings(table: Mapping[str, Any], source: str = "[tool.starlette-reactive]") -> Settings:
    """Return the settings in a table: a level for each category, and ``htmx`` for a version.

    Raises:
        ReactiveError: A name or a value is unknown.
    """
    levels: dict[str, Severity | None] = {}
    version: tuple[int, ...] = ()
    for name, value in table.items():
        if name == "htmx":
            version = _version(value, source)
        elif name not in CATEGORIES:
            raise ReactiveError(f"{source}: there is no category {name!r}{did_you_mean(name, CATEGORIES)}")
        elif not isinstance(value, str) or value not in _LEVELS:
            raise ReactiveError(f"{source}: {name} is {value!r}: write one of {', '.join(map(repr, _LEVELS))}")
        else:
            levels[name] = _LEVELS[value]
    return Settings(levels, version)


def _version(value: object, source: str) -> tuple[int, ...]:
    try:
        return parse_version(str(value))
    except ValueError:
        raise ReactiveError(f'{source}: htmx is {value!r}: write a version such as "2.0.11"') from None
