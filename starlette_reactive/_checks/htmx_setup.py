"""The version and configuration of the htmx that a page loads."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._clients.htmx import VENDORED
from .._templates import DYNAMIC, Element

__all__ = ["HtmxSetup", "detect_htmx", "parse_version"]

_NAMED = re.compile(
    r"htmx(?:\.org)?(?:\.min|\.esm|\.cjs|\.amd)*(?:[-@/_]|\.js\?v=|\.js\?)v?(\d+(?:\.\d+){0,2})", re.IGNORECASE
)
_BEFORE = re.compile(r"(?:^|[-@/_])v?(\d+\.\d+\.\d+)(?:/dist)?/htmx(?:\.min|\.esm)*\.js", re.IGNORECASE)
_SCRIPT = re.compile(r"\bhtmx(?:\.org)?\b", re.IGNORECASE)
_EXTENSION = re.compile(r"htmx-ext|/ext/|hx-sse|idiomorph", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HtmxSetup:
    """The htmx of a page.

    Args:
        major: 2 or 4: the version whose rules apply.
        version: The version, as far as it is known. Empty if it is guessed from the markup.
        config: The content of the ``htmx-config`` meta tag.
        script: The element that loads it, if one was found.
    """

    major: int
    version: tuple[int, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    script: Element | None = None


def parse_version(text: str) -> tuple[int, ...]:
    """Return a version as numbers.

    Raises:
        ValueError: The text is not a version.
    """
    return tuple(int(part) for part in text.strip().split("."))


def detect_htmx(
    elements: Iterable[Element], sources: Mapping[str, str], option: tuple[int, ...], loaded: object = None
) -> HtmxSetup:
    """Detect the htmx that a page loads.

    Args:
        elements: The page's elements.
        sources: The source text of its templates, where a script's URL may be part of an expression.
        option: The version to assume if the page does not name one. Empty to guess from the markup.
        loaded: The version that the page loads from the package, as ``live_scripts(htmx=…)`` has it.
    """
    found = list(elements)
    config = next((_config(each) for each in found if _is_config(each)), {})
    script, version = _script(found, sources)
    if isinstance(loaded, int) and loaded in VENDORED:
        script, version = None, parse_version(VENDORED[loaded])
    version = version or option
    if version:
        return HtmxSetup(4 if version[0] >= 4 else 2, version, config, script)
    return HtmxSetup(_guess(found), (), config, script)


def _is_config(element: Element) -> bool:
    return element.tag == "meta" and element.attributes.get("name") == "htmx-config"


def _config(element: Element) -> dict[str, Any]:
    content = html.unescape(element.attributes.get("content") or "")
    try:
        parsed = json.loads(content)
    except ValueError:
        # htmx 4 also accepts a looser notation
        pairs = re.findall(r"([\w.]+)[\"']?\s*:\s*[\"']?([^,\s\"'}]+)", content)
        return {name: {"true": True, "false": False}.get(value, value) for name, value in pairs}
    return parsed if isinstance(parsed, dict) else {}


def _script(elements: list[Element], sources: Mapping[str, str]) -> tuple[Element | None, tuple[int, ...]]:
    first: Element | None = None
    for element in elements:
        if element.tag != "script" or "src" not in element.attributes:
            continue
        address = element.attributes["src"] or ""
        if DYNAMIC in address:
            address = _tag_text(element, sources)
        if not _SCRIPT.search(address):
            continue
        if _EXTENSION.search(address):
            continue
        match = _NAMED.search(address) or _BEFORE.search(address)
        if match is not None:
            return element, parse_version(match[1])
        first = first or element
    return first, ()


def _tag_text(element: Element, sources: Mapping[str, str]) -> str:
    lines = sources.get(element.template, "").splitlines()[element.line - 1 :]
    return "\n".join(lines).partition("</script")[0]


def _guess(elements: list[Element]) -> int:
    """Guess from what only one of the versions knows: an extension's script, or markup."""
    scripts = [each.attributes.get("src") or "" for each in elements if each.tag == "script"]
    if any(re.search(r"hx-sse(\.min)?\.js", script) for script in scripts):
        return 4
    if any(re.search(r"htmx-ext-sse|/sse(\.min)?\.js", script) for script in scripts):
        return 2
    names = {name.removeprefix("data-") for element in elements for name in element.attributes}
    if names & {"sse-connect", "sse-swap", "hx-disinherit", "hx-ext"}:
        return 2
    return 4 if any(name.startswith("hx-sse:") or name.endswith(":inherited") for name in names) else 2
