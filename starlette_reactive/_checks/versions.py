"""The installed packages that live pages rest on, and whether they are new enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from .issues import Issue, Severity

__all__ = ["InstalledPackage", "check_versions", "installed_packages"]

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?\s*(?P<bounds>[^;]*)(?P<marker>.*)")
_BELOW_PAGES = frozenset({"fastapi", "sqlalchemy"})
"""Optional packages that live pages use if they are installed."""


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package.

    Args:
        name: Its name.
        version: The installed version.
        oldest: The oldest version that is supported. Empty if there is no lower bound.
        carries_pages: Whether live pages use it, and not only a tool.
    """

    name: str
    version: str
    oldest: str
    carries_pages: bool = True

    @property
    def is_too_old(self) -> bool:
        """Whether it is older than supported."""
        return bool(self.oldest) and _numbers(self.version) < _numbers(self.oldest)


def installed_packages() -> Iterator[InstalledPackage]:
    """Yield the installed packages that starlette-reactive requires, also for its extras, by name."""
    found: dict[str, tuple[str, bool]] = {}
    for requirement in requires("starlette-reactive") or ():
        match = _REQUIREMENT.match(requirement)
        if match is not None:
            name, bound = match["name"].lower(), re.search(r">=\s*([\w.]+)", match["bounds"])
            carries_pages = name in _BELOW_PAGES or "extra" not in match["marker"]
            found.setdefault(name, (bound[1] if bound is not None else "", carries_pages))
    for name in sorted(found.keys() - {"starlette-reactive"}):
        try:
            yield InstalledPackage(name, version(name), *found[name])
        except PackageNotFoundError:
            continue


def check_versions() -> Iterator[Issue]:
    """Check that the packages below live pages are new enough."""
    for package in installed_packages():
        if package.is_too_old and package.carries_pages:
            message = f"{package.name} {package.version} is installed, and live pages need {package.oldest} or later"
            fix = f"upgrade it: pip install '{package.name}>={package.oldest}'"
            yield Issue(Severity.ERROR, "package_version", None, None, message, fix)


def _numbers(text: str) -> tuple[int, ...]:
    """Return the release number of a version, without zeros at its end."""
    release = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in release[0].split(".")] if release is not None else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
