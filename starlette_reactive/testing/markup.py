"""What a page's markup says of its streams: where they are, and which version of htmx connects them."""

from __future__ import annotations

import json

from . import htmx2
from .dom import Document, Element, attribute, elements

__all__ = ["address_of", "headers_in", "identifier_of", "version_of", "why_none"]


def address_of(element: Element, version: int | None) -> str | None:
    """Return where an element connects to when the page loads; ``None``: it does not."""
    if version == 2:
        return attribute(element, "sse-connect") if htmx2.has_extension(element, "sse") else None
    trigger = attribute(element, "hx-trigger") or "load"
    on_load = any(part.split()[:1] == ["load"] for part in trigger.split(","))
    return attribute(element, "hx-sse:connect", "sse-connect") if on_load else None


def version_of(document: Document) -> int:
    """Return which htmx a page loads: by its scripts' names, else by its attributes."""
    names = [(attribute(each, "src") or "").lower() for each in elements(document) if each.name == "script"]
    if any("hx-sse" in name or _names_version(name, 4) for name in names):
        return 4
    if any("sse" in name or _names_version(name, 2) for name in names):
        return 2
    connecting = [set(each.attrs) for each in elements(document)]
    new = any({"hx-sse:connect", "data-hx-sse:connect"} & each for each in connecting)
    old = any({"sse-connect", "data-sse-connect"} & each for each in connecting)
    return 4 if new and not old else 2


def _names_version(source: str, version: int) -> bool:
    _, found, rest = source.partition("htmx")
    rest = rest.removeprefix(".org").lstrip("-@/v")
    return bool(found) and rest.startswith(f"{version}.")


def why_none(document: Document) -> str:
    """Return why a page connects to no stream."""
    if any(attribute(each, "sse-connect") for each in elements(document)):
        return 'it has sse-connect, but no hx-ext="sse" on that element or above it'
    return "it has no element with sse-connect or hx-sse:connect; is {{ live() }} called in its template?"


def headers_in(value: str | None) -> dict[str, str]:
    """Return the headers that a value of ``hx-headers`` adds."""
    if not value:
        return {}
    try:
        found = json.loads(value)
    except ValueError:  # an expression of a script, or htmx 4's own notation
        return {}
    return {str(name): str(each) for name, each in found.items()} if isinstance(found, dict) else {}


def identifier_of(element: Element) -> str:
    """Return how htmx 4 names an element in a header."""
    return f"{element.name}#{element.attrs['id']}" if element.attrs.get("id") else element.name
