"""The streams in a page's markup, and the version of htmx that connects them."""

from __future__ import annotations

import json

from . import _htmx2
from ._dom import Document, Element, attribute, elements
from ._live_script import is_sink

__all__ = ["explain_no_stream", "htmx_version", "parse_hx_headers", "source_header", "stream_address"]


def stream_address(element: Element, version: int | None, *, live_script: bool) -> str | None:
    """Return the address that an element connects to when the page loads, or ``None`` if it does not connect."""
    if live_script and is_sink(element):
        return attribute(element, "reactive-url", "sse-connect")
    if version is None:
        return None
    if version == 2:
        return attribute(element, "sse-connect") if _htmx2.has_extension(element, "sse") else None
    trigger = attribute(element, "hx-trigger") or "load"
    on_load = any(part.split()[:1] == ["load"] for part in trigger.split(","))
    return attribute(element, "hx-sse:connect", "sse-connect") if on_load else None


def htmx_version(document: Document, *, live_script: bool) -> int | None:
    """Return the version of htmx that a page loads, from the names of its scripts or else from its attributes.

    ``None`` if nothing but the live script needs to connect an element.
    """
    names = [(attribute(each, "src") or "").lower() for each in elements(document) if each.name == "script"]
    if any("hx-sse" in name or _script_has_version(name, 4) for name in names):
        return 4
    if any("sse" in name or _script_has_version(name, 2) for name in names):
        return 2
    connecting = [set(each.attrs) for each in elements(document) if not (live_script and is_sink(each))]
    new = any({"hx-sse:connect", "data-hx-sse:connect"} & each for each in connecting)
    old = any({"sse-connect", "data-sse-connect"} & each for each in connecting)
    if live_script and not new and not old:
        return None
    return 4 if new and not old else 2


def _script_has_version(source: str, version: int) -> bool:
    _, found, rest = source.partition("htmx")
    rest = rest.removeprefix(".org").lstrip("-@/v")
    return bool(found) and rest.startswith(f"{version}.")


def explain_no_stream(document: Document) -> str:
    """Return the reason why a page connects to no stream."""
    if any(attribute(each, "sse-connect") for each in elements(document)):
        return 'it has sse-connect, but no hx-ext="sse" on that element or an ancestor'
    return "it has no element with sse-connect or hx-sse:connect; is {{ live() }} called in its template?"


def parse_hx_headers(value: str | None) -> dict[str, str]:
    """Return the headers in a value of ``hx-headers``."""
    if not value:
        return {}
    try:
        found = json.loads(value)
    except ValueError:  # a JavaScript expression, or the notation of htmx 4
        return {}
    return {str(name): str(each) for name, each in found.items()} if isinstance(found, dict) else {}


def source_header(element: Element) -> str:
    """Return the ``HX-Source`` header that htmx 4 sends for an element."""
    return f"{element.name}#{element.attrs['id']}" if element.attrs.get("id") else element.name
