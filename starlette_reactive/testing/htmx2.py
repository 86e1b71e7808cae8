"""How htmx 2.0.11 with its SSE extension 2.2.4 swaps the data of an event."""

from __future__ import annotations

import re

from justhtml import DocumentFragment, Element, Node

from .dom import attribute, detach, elements, insert, inside_out, text_of
from .swaps import (
    Fragment,
    config_value,
    find_targets,
    is_blank,
    keep_preserved,
    place,
    read_fragment,
    replace_inside,
    set_title,
    templates_of,
)

__all__ = ["has_extension", "swap_event"]

_OPENING = re.compile(r"<hx-([a-z]+)((?:\s[^>]*)?)>", re.IGNORECASE)
_CLOSING = re.compile(r"</hx-[a-z]+>", re.IGNORECASE)


def has_extension(element: Element, name: str) -> bool:
    """Return whether an extension is on for an element."""
    for each in inside_out(element):
        names = [part.strip() for part in (attribute(each, "hx-ext") or "").split(",")]
        if f"ignore:{name}" in names:
            return False
        if name in names:
            return True
    return False


def swap_event(document: Node, element: Element, data: str) -> None:
    """Swap an event's data, as an element with ``sse-swap`` does."""
    spec = (_inherited(document, element, "hx-swap") or "").split()
    target = _target(document, element)
    if target is None:
        return
    style = spec[0] if spec else config_value(document, "defaultSwapStyle") or "innerHTML"
    if style == "textContent":
        replace_inside(target, _plain(data))
    else:
        _swap(document, element, target, style, _read(data), titled="ignoreTitle:true" not in spec)


def _plain(text: str) -> Node:
    return read_fragment(text.replace("&", "&amp;").replace("<", "&lt;")).content


def _read(data: str) -> Fragment:
    fragment = read_fragment(_CLOSING.sub("</template>", _OPENING.sub(r'<template hx type="\1"\2>', data)))
    for child in list(fragment.content.children or ()):
        if isinstance(child, Element) and child.name == "title":
            fragment.title = text_of(child)
            detach(child)
            break
    return fragment


def _swap(document: Node, context: Element, target: Element, style: str, fragment: Fragment, *, titled: bool) -> None:
    content = fragment.content
    _swap_out_of_band(document, content)
    for template in templates_of(content):
        if template.template_content is not None and _swap_out_of_band(document, template.template_content):
            detach(template)
    partials = _swap_partials(document, context, content)
    keep_preserved(document, content)
    if not (partials and is_blank(content)):
        _place(document, context, target, style, content)
    if titled and fragment.title:
        set_title(document, fragment.title)


def _place(document: Node, context: Element, target: Element, style: str, content: Node) -> None:
    if style == "none" or place(style, target, content):
        return
    if has_extension(context, "morph") and style.partition(":")[0] == "morph":
        place("innerHTML" if style == "morph:innerHTML" else "outerHTML", target, content)
    else:
        place(config_value(document, "defaultSwapStyle") or "innerHTML", target, content)


def _swap_out_of_band(document: Node, content: Node) -> bool:
    found = [each for each in elements(content) if attribute(each, "hx-swap-oob") is not None]
    for element in found:
        _swap_one_out_of_band(document, element)
    return bool(found)


def _swap_one_out_of_band(document: Node, element: Element) -> None:
    value = attribute(element, "hx-swap-oob") or ""
    style, colon, selector = value.partition(":")
    if value == "true":
        style = "outerHTML"
    for name in ("hx-swap-oob", "data-hx-swap-oob"):
        element.attrs.pop(name, None)
    root = element
    targets = find_targets(document, root, selector if colon else f'[id="{element.attrs.get("id")}"]')
    detach(element)
    for target in targets:
        clone = element.clone_node(deep=True)
        content: Node = clone
        if style == "outerHTML" or (style == "morph" and has_extension(target, "morph")):
            content = DocumentFragment()
            insert(content, 0, [clone])
        keep_preserved(document, content)
        _place(document, target, target, style, content)


def _swap_partials(document: Node, context: Element, content: Node) -> bool:
    templates = [each for each in templates_of(content) if "hx" in each.attrs]
    for template in templates:
        selector = attribute(template, "hx-target") or (
            f'[id="{template.attrs["id"]}"]' if template.attrs.get("id") else None
        )
        if template.attrs.get("type") == "partial" and selector and template.template_content is not None:
            spec = (attribute(template, "hx-swap") or config_value(document, "defaultSwapStyle") or "innerHTML").split()
            for target in find_targets(document, context, selector):
                part = Fragment(template.template_content.clone_node(deep=True))
                _swap(document, target, target, spec[0], part, titled=False)
        detach(template)
    return bool(templates)


def _target(document: Node, element: Element) -> Element | None:
    selector = _inherited(document, element, "hx-target")
    if not selector:
        return element
    if selector == "this":
        return next((each for each in inside_out(element) if attribute(each, "hx-target") is not None), None)
    return next(iter(find_targets(document, element, selector)), None)


def _inherited(document: Node, element: Element, name: str) -> str | None:
    disabled = config_value(document, "disableInheritance") == "true"
    for each in inside_out(element):
        value = attribute(each, name)
        if each is not element:
            if disabled and not _names(attribute(each, "hx-inherit"), name):
                continue
            if not disabled and _names(attribute(each, "hx-disinherit"), name):
                return None
        if value:
            return None if value == "unset" else value
    return None


def _names(value: str | None, name: str) -> bool:
    return value is not None and (value == "*" or name in value.split(" "))
