"""Swap the data of an unnamed event as htmx 4.0.1 with its ``hx-sse`` extension does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from justhtml import DocumentFragment, Element, Node, Template

from ._dom import attribute, detach, elements, find_all, insert_children, self_and_ancestors, text_of
from ._swaps import (
    Payload,
    SwapError,
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

__all__ = ["inherited_attribute", "partial_selectors", "swap_event"]

_OPENING = re.compile(r"<hx-([a-z]+)(\s+|>)", re.IGNORECASE)
_CLOSING = re.compile(r"</hx-[a-z]+>", re.IGNORECASE)
_OPTION = re.compile(
    r"""(?:"([^"]+)"|'([^']+)'|([^\s,:]+))(?:\s*:\s*(?:"([^"]*)"|'([^']*)'|<((?:[^/]|/(?!>))+)/>|([^\s,]+)))?(?=\s|,|$)"""
)
_OOB = re.compile(r"^(\S+):(.+)")
_STYLE_ALIASES = {"before": "beforebegin", "after": "afterend", "prepend": "afterbegin", "append": "beforeend"}


@dataclass
class _SwapSpec:
    style: str
    options: dict[str, str] = field(default_factory=dict)

    def flag(self, name: str) -> bool | None:
        value = self.options.get(name)
        return None if value is None else value != "false"


@dataclass
class _SwapTask:
    target: Element
    spec: _SwapSpec
    content: Node


def swap_event(document: Node, element: Element, data: str) -> bool:
    """Swap the data of an unnamed event as a connect element does; return whether anything was morphed.

    Raises:
        SwapError: htmx raises, and the connection ends.
    """
    payload = _parse(data)
    swap = inherited_attribute(document, element, "hx-swap") or config_value(document, "defaultSwap") or "innerHTML"
    spec = _parse_spec(swap if "swapEmpty" in swap else f"{swap} swapEmpty:false", document)
    tasks = _out_of_band_tasks(document, element, payload.content)
    tasks += _partial_tasks(document, element, payload)
    if spec.flag("ignoreTitle"):
        payload.title = ""
    if spec.style == "delete" or not is_blank(payload.content) or spec.flag("swapEmpty"):
        tasks = _main_task(document, element, spec, payload.content) + tasks
    errors = []
    for task in tasks:
        try:
            _run(document, task)
        except SwapError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    if payload.title:
        set_title(document, payload.title)
    return any(task.spec.style.endswith("Morph") for task in tasks)


def partial_selectors(data: str) -> set[str]:
    """Return the target selectors of the partials in a payload."""
    templates = [each for each in top_templates(_parse(data).content) if each.attrs.get("type") == "partial"]
    return {selector for each in templates if (selector := attribute(each, "hx-target"))}


def inherited_attribute(document: Node, element: Element, name: str) -> str | None:
    """Return the value of an attribute, inherited if the markup declares it."""
    own = _own_attribute(element, name)
    if own is not None:
        return own
    implicit = config_value(document, "implicitInheritance") == "true"
    for each in list(self_and_ancestors(element))[1:]:
        value = attribute(each, f"{name}:inherited", *([name] if implicit else ()))
        if value is not None:
            return value
    return None


def _own_attribute(element: Element, name: str) -> str | None:
    return attribute(element, name, f"{name}:inherited")


def _parse(data: str) -> Payload:
    payload = parse_payload(_CLOSING.sub("</template>", _OPENING.sub(r'<template hx type="\1"\2', data)))
    if not payload.title:
        for each in elements(payload.content):
            if each.name == "title" and not any(ancestor.name == "svg" for ancestor in self_and_ancestors(each)):
                payload.title = text_of(each)
                detach(each)
                break
    return payload


def _parse_spec(text: str, document: Node) -> _SwapSpec:
    text = text.strip()
    style = config_value(document, "defaultSwap") or "innerHTML"
    if text and not re.match(r"\S*:", text):
        style, _, text = text.partition(" ")
    return _SwapSpec(_STYLE_ALIASES.get(style, style), _parse_options(text))


def _parse_options(text: str) -> dict[str, str]:
    if text.startswith("{"):
        return {key: str(value) for key, value in json.loads(text).items()}
    options = {}
    for match in _OPTION.finditer(text):
        groups = match.groups()
        key = next(each for each in groups[:3] if each is not None)
        options[key] = next((each.strip() for each in groups[3:] if each is not None), "true")
    return options


def _main_task(document: Node, element: Element, spec: _SwapSpec, content: Node) -> list[_SwapTask]:
    select = inherited_attribute(document, element, "hx-select")
    if select:
        selected = DocumentFragment()
        insert_children(selected, 0, find_all(content, select))
        content = selected
    selector = spec.options.get("target") or inherited_attribute(document, element, "hx-target")
    target = _target(document, element, selector)
    return [] if target is None else [_SwapTask(target, spec, content)]


def _target(document: Node, element: Element, selector: str | None) -> Element | None:
    if selector is None:
        return element
    if selector == "this":
        ancestors = self_and_ancestors(element)
        return next((each for each in ancestors if _own_attribute(each, "hx-target") == "this"), element)
    return next(iter(find_targets(document, element, selector)), None)


def _out_of_band_tasks(document: Node, source: Element, content: Node) -> list[_SwapTask]:
    tasks = []
    for element in [each for each in elements(content) if attribute(each, "hx-swap-oob") is not None]:
        value = attribute(element, "hx-swap-oob") or "true"
        element.attrs.pop("hx-swap-oob" if "hx-swap-oob" in element.attrs else "data-hx-swap-oob")
        selector = f'[id="{element.attrs["id"]}"]' if element.attrs.get("id") else None
        if split := _OOB.match(value):
            value, selector = split[1], split[2]
        spec = _parse_spec("outerHTML" if value == "true" else value, document)
        selector = spec.options.get("target") or selector
        spec.options.setdefault("strip", "false" if spec.style.startswith("outer") else "true")
        if not selector:
            continue
        for target in find_targets(document, source, selector):
            part = DocumentFragment()
            insert_children(part, 0, [element.clone_node(deep=True)])
            tasks.append(_SwapTask(target, spec, part))
        detach(element)
    return tasks


def _partial_tasks(document: Node, source: Element, payload: Payload) -> list[_SwapTask]:
    tasks = []
    for template in [each for each in top_templates(payload.content) if "hx" in each.attrs]:
        selector = partial_target(template)
        if template.attrs.get("type") == "partial" and selector and template.template_content is not None:
            spec = _parse_spec(attribute(template, "hx-swap") or "", document)
            if spec.flag("ignoreTitle"):
                payload.title = ""
            tasks += [
                _SwapTask(target, spec, template.template_content.clone_node(deep=True))
                for target in find_targets(document, source, selector)
            ]
        detach(template)
    return tasks


def _run(document: Node, task: _SwapTask) -> None:
    target, style, content = task.target, task.spec.style, task.content
    if style == "none":
        return
    if task.spec.flag("strip"):
        content = _strip(content)
    if style != "delete":
        keep_preserved(document, content)
    if style == "textContent":
        replace_children(target, text_content(text_of(content)))
    elif style == "outerSync":
        first = next(each for each in content.children or () if isinstance(each, Element))
        target.attrs = dict(first.attrs)
        replace_children(target, first)
    elif style == "innerMorph":
        _check_own_id(target, content)
        replace_children(target, content)
    elif not apply_basic_style("outerHTML" if style == "outerMorph" else style, target, content):
        raise SwapError(f"htmx 4 has no swap style {style!r}: it raises, the connection ends, and the update is lost")


def _strip(content: Node) -> Node:
    first = next((each for each in content.children or () if isinstance(each, Element)), None)
    if first is None:
        return content
    return (first.template_content if isinstance(first, Template) else None) or first


def _check_own_id(target: Element, content: Node) -> None:
    own = target.attrs.get("id")
    if own and any(each.attrs.get("id") == own and each.name == target.name for each in elements(content)):
        raise SwapError(
            f"htmx 4 cannot innerMorph the element with the id {own!r} to content that has the same id: it raises, the "
            "connection ends, and the update is lost; use outerMorph, or leave the element out of the payload"
        )
