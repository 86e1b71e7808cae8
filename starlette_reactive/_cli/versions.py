"""The installed packages that live pages rest on, and whether they are new enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

__all__ = ["InstalledPackage", "installed_packages"]

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?\s*(?P<bounds>[^;]*)")


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package, its version, and the oldest version that is supported. An empty version has no lower bound."""

    name: str
    version: str
    oldest: str

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than supported."""
        return bool(self.oldest) and _numbers(self.version) < _numbers(self.oldest)


def installed_packages() -> Iterator[InstalledPackage]:
    """Yield the installed packages that starlette-reactive requires, also for its extras, by name."""
    found: dict[str, str] = {}
    for requirement in requires("starlette-reactive") or ():
        match = _REQUIREMENT.match(requirement)
        bound = re.search(r">=\s*([\w.]+)", match["bounds"]) if match is not None else None
        if match is not None:
            found.setdefault(match["name"].lower(), bound[1] if bound is not None else "")
    for name in sorted(found.keys() - {"starlette-reactive"}):
        try:
            yield InstalledPackage(name, version(name), found[name])
        except PackageNotFoundError:
            continue


def _numbers(text: str) -> tuple[int, ...]:
    """Return the release number of a version, without zeros at its end."""
    release = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in release[0].split(".")] if release is not None else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
