"""Swap the data of an event as htmx 2.0.11 with its SSE extension 2.2.4 does."""

from __future__ import annotations

import re

from justhtml import DocumentFragment, Element, Node

from ._dom import attribute, detach, elements, insert_children, self_and_ancestors, text_of
from ._swaps import (
    Payload,
    apply_basic_style,
    config_value,
    find_targets,
    is_blank,
    keep_preserved,
    parse_payload,
    partial_target,
    replace_children,
    set_title,
    text_content,
    top_templates,
)

__all__ = ["has_extension", "swap_event"]

_OPENING = re.compile(r"<hx-([a-z]+)((?:\s[^>]*)?)>", re.IGNORECASE)
_CLOSING = re.compile(r"</hx-[a-z]+>", re.IGNORECASE)


def has_extension(element: Element, name: str) -> bool:
    """Return whether an extension is enabled for an element."""
    for each in self_and_ancestors(element):
        names = [part.strip() for part in (attribute(each, "hx-ext") or "").split(",")]
        if f"ignore:{name}" in names:
            return False
        if name in names:
            return True
    return False


def swap_event(document: Node, element: Element, data: str) -> None:
    """Swap the data of an event as an element with ``sse-swap`` does."""
    swap = (_inherited(document, element, "hx-swap") or "").split()
    target = _target(document, element)
    if target is None:
        return
    style = swap[0] if swap else config_value(document, "defaultSwapStyle") or "innerHTML"
    if style == "textContent":
        replace_children(target, text_content(data))
    else:
        _swap(document, element, target, style, _parse(data), with_title="ignoreTitle:true" not in swap)


def _parse(data: str) -> Payload:
    payload = parse_payload(_CLOSING.sub("</template>", _OPENING.sub(r'<template hx type="\1"\2>', data)))
    for child in list(payload.content.children or ()):
        if isinstance(child, Element) and child.name == "title":
            payload.title = text_of(child)
            detach(child)
            break
    return payload


def _swap(document: Node, context: Element, target: Element, style: str, payload: Payload, *, with_title: bool) -> None:
    content = payload.content
    _swap_out_of_band(document, content)
    for template in top_templates(content):
        if template.template_content is not None and _swap_out_of_band(document, template.template_content):
            detach(template)
    partials = _swap_partials(document, context, content)
    keep_preserved(document, content)
    if not (partials and is_blank(content)):
        _swap_by_style(document, context, target, style, content)
    if with_title and payload.title:
        set_title(document, payload.title)


def _swap_by_style(document: Node, context: Element, target: Element, style: str, content: Node) -> None:
    if style == "none" or apply_basic_style(style, target, content):
        return
    if has_extension(context, "morph") and style.partition(":")[0] == "morph":
        apply_basic_style("innerHTML" if style == "morph:innerHTML" else "outerHTML", target, content)
    else:
        apply_basic_style(config_value(document, "defaultSwapStyle") or "innerHTML", target, content)


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
    targets = find_targets(document, element, selector if colon else f'[id="{element.attrs.get("id")}"]')
    detach(element)
    for target in targets:
        clone = element.clone_node(deep=True)
        content: Node = clone
        if style == "outerHTML" or (style == "morph" and has_extension(target, "morph")):
            content = DocumentFragment()
            insert_children(content, 0, [clone])
        keep_preserved(document, content)
        _swap_by_style(document, target, target, style, content)


def _swap_partials(document: Node, context: Element, content: Node) -> bool:
    templates = [each for each in top_templates(content) if "hx" in each.attrs]
    for template in templates:
        selector = partial_target(template)
        if template.attrs.get("type") == "partial" and selector and template.template_content is not None:
            swap = (attribute(template, "hx-swap") or config_value(document, "defaultSwapStyle") or "innerHTML").split()
            for target in find_targets(document, context, selector):
                part = Payload(template.template_content.clone_node(deep=True))
                _swap(document, target, target, swap[0], part, with_title=False)
        detach(template)
    return bool(templates)


def _target(document: Node, element: Element) -> Element | None:
    selector = _inherited(document, element, "hx-target")
    if not selector:
        return element
    if selector == "this":
        return next((each for each in self_and_ancestors(element) if attribute(each, "hx-target") is not None), None)
    return next(iter(find_targets(document, element, selector)), None)


def _inherited(document: Node, element: Element, name: str) -> str | None:
    disabled = config_value(document, "disableInheritance") == "true"
    for each in self_and_ancestors(element):
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
