"""What the live script does in a page: which streams it opens, and how it applies their updates.

The rules follow ``static/live.js``, and tests compare them with the script in Chromium. They cover what updates do to a
document that nothing else changes: no other script, nobody who types, no request of the page itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from justhtml import Element, Node

from ._dom import (
    attribute,
    detach,
    elements,
    index_in_parent,
    insert_children,
    parse_inside,
    parse_template,
)
from ._swaps import replace_children

__all__ = ["ID_EVENT", "Update", "apply_update", "is_sink", "loads_live_script", "parse_update", "stream_url"]

ID_EVENT = "reactive-id"
"""The event that gives the live script nothing but an id."""

_TAG_SOURCE = re.compile(r"(^|/)live-[0-9a-f]+\.js(\?|$)")
_HOLD = "data-live-hold"
_WAITING = "data-live-waiting"


@dataclass(frozen=True)
class Update:
    """An update of one element.

    Args:
        id: The element's id.
        swap: ``inner``, ``outer`` or ``append``.
        html: The HTML.
    """

    id: str
    swap: str
    html: str


def loads_live_script(document: Node) -> bool:
    """Return whether a page has the tag that ``live_scripts()`` writes."""
    sources = [attribute(each, "src") or "" for each in elements(document) if each.name == "script"]
    return any(_TAG_SOURCE.search(source) for source in sources)


def is_sink(element: Element) -> bool:
    """Return whether the live script connects an element."""
    return attribute(element, "reactive-sink") is not None


def stream_url(address: str, resume: str) -> str:
    """Return the URL that the script requests for a stream.

    Args:
        address: The address that the sink has.
        resume: The id of the last event. Empty if there was none.
    """
    return f"{address}&script=1" + (f"&resume={quote(resume, safe='')}" if resume else "")


def parse_update(data: str) -> Update:
    """Return the update that the data of an unnamed event describes.

    Raises:
        ValueError: The first line is not a JSON object with an id and a swap.
    """
    head, _, content = data.partition("\n")
    try:
        header = json.loads(head)
        return Update(header["id"], header["swap"], content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the live script cannot read the update {head!r}: {error!r}") from error


def apply_update(document: Node, update: Update) -> None:
    """Apply an update to the document. One of an element that is not there does nothing."""
    element = next((each for each in elements(document) if each.attrs.get("id") == update.id), None)
    if element is None or (update.swap != "append" and _is_preserved(element)):
        return
    if update.swap == "append":
        insert_children(element, len(element.children), parse_inside(element, update.html).children or ())
    elif update.swap == "inner":
        content = parse_inside(element, update.html)
        _keep_held(element, content)
        replace_children(element, content)
    elif isinstance(element.parent, Element):
        _replace(element, element.parent, update)


def _replace(element: Element, parent: Element, update: Update) -> None:
    content = parse_inside(parent, update.html)
    roots = [each for each in elements(content) if each.attrs.get("id") == update.id]
    roots += [each for each in content.children or () if isinstance(each, Element)]
    root = roots[0] if roots else _placeholder(update.id)
    _keep_held(element, root)
    insert_children(parent, index_in_parent(element), [root])
    detach(element)


def _placeholder(element_id: str) -> Element:
    """Return the placeholder of a block that renders nothing, so that it finds its place again."""
    (template,) = elements(parse_template("<template></template>"))
    template.attrs["id"] = element_id
    return template


def _keep_held(current: Node, content: Node) -> None:
    """Move held and preserved elements from the document to the places where new content has them."""
    places = dict(_by_key(_held(content)))
    for key, element in _by_key(_held(current)):
        place = places.get(key)
        if place is None or place.parent is None:
            continue
        element.attrs.pop(_WAITING, None)
        if _HOLD in element.attrs and _facts(element) != _facts(place):
            element.attrs[_WAITING] = ""
        insert_children(place.parent, index_in_parent(place), [element])
        detach(place)


def _held(root: Node) -> Iterator[Element]:
    """Yield the outermost elements that are held or preserved."""
    for child in root.children or ():
        if isinstance(child, Element):
            if _HOLD in child.attrs or _is_preserved(child):
                yield child
            else:
                yield from _held(child)


def _is_preserved(element: Element) -> bool:
    return attribute(element, "hx-preserve") is not None


def _by_key(found: Iterable[Element]) -> list[tuple[object, Element]]:
    """Return elements with what they are recognized by: their id, or their number among those of their kind."""
    counts: Counter[str] = Counter()
    keyed = list[tuple[object, Element]]()
    for each in found:
        counts[each.name] += 1
        keyed.append((each.attrs.get("id") or (each.name, counts[each.name]), each))
    return keyed


def _facts(node: Any) -> object:
    if not isinstance(node, Element):
        return (node.name, getattr(node, "data", None))
    content = getattr(node, "template_content", None) or node
    return (node.name, {**node.attrs}, [_facts(each) for each in content.children or ()])
