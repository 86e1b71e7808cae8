"""How htmx 4.0.1 with its ``hx-sse`` extension swaps the data of an unnamed event."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from justhtml import DocumentFragment, Element, Node, Template

from .dom import attribute, detach, elements, find_all, insert, inside_out, text_of
from .swaps import (
    Fragment,
    SwapError,
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

__all__ = ["explicit", "partial_selectors", "swap_event"]

_OPENING = re.compile(r"<hx-([a-z]+)(\s+|>)", re.IGNORECASE)
_CLOSING = re.compile(r"</hx-[a-z]+>", re.IGNORECASE)
_PAIR = re.compile(
    r"""(?:"([^"]+)"|'([^']+)'|([^\s,:]+))(?:\s*:\s*(?:"([^"]*)"|'([^']*)'|<((?:[^/]|/(?!>))+)/>|([^\s,]+)))?(?=\s|,|$)"""
)
_OOB = re.compile(r"^(\S+):(.+)")
_SHORT = {"before": "beforebegin", "after": "afterend", "prepend": "afterbegin", "append": "beforeend"}


@dataclass
class _Spec:
    style: str
    options: dict[str, str] = field(default_factory=dict)

    def on(self, name: str) -> bool | None:
        value = self.options.get(name)
        return None if value is None else value != "false"


@dataclass
class _Task:
    target: Element
    spec: _Spec
    content: Node


def swap_event(document: Node, element: Element, data: str) -> bool:
    """Swap an unnamed event's data, as a connect element does, and return whether anything was morphed.

    Raises:
        SwapError: htmx raises, which ends the connection.
    """
    fragment = _read(data)
    swap = explicit(document, element, "hx-swap") or config_value(document, "defaultSwap") or "innerHTML"
    spec = _parse_spec(swap if "swapEmpty" in swap else f"{swap} swapEmpty:false", document)
    tasks = _out_of_band_tasks(document, element, fragment.content)
    tasks += _partial_tasks(document, element, fragment)
    if spec.on("ignoreTitle"):
        fragment.title = ""
    if spec.style == "delete" or not is_blank(fragment.content) or spec.on("swapEmpty"):
        tasks = _main_task(document, element, spec, fragment.content) + tasks
    errors = []
    for task in tasks:
        try:
            _carry_out(document, task)
        except SwapError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    if fragment.title:
        set_title(document, fragment.title)
    return any(task.spec.style.endswith("Morph") for task in tasks)


def partial_selectors(data: str) -> set[str]:
    """Return where the partials of a payload are to go."""
    templates = [each for each in templates_of(_read(data).content) if each.attrs.get("type") == "partial"]
    return {selector for each in templates if (selector := attribute(each, "hx-target"))}


def explicit(document: Node, element: Element, name: str) -> str | None:
    """Return an attribute's value, inherited where that is said."""
    own = _own(element, name)
    if own is not None:
        return own
    implicit = config_value(document, "implicitInheritance") == "true"
    for each in list(inside_out(element))[1:]:
        value = attribute(each, f"{name}:inherited", *([name] if implicit else ()))
        if value is not None:
            return value
    return None


def _own(element: Element, name: str) -> str | None:
    return attribute(element, name, f"{name}:inherited")


def _read(data: str) -> Fragment:
    fragment = read_fragment(_CLOSING.sub("</template>", _OPENING.sub(r'<template hx type="\1"\2', data)))
    if not fragment.title:
        for each in elements(fragment.content):
            if each.name == "title" and not any(around.name == "svg" for around in inside_out(each)):
                fragment.title = text_of(each)
                detach(each)
                break
    return fragment


def _parse_spec(text: str, document: Node) -> _Spec:
    text = text.strip()
    style = config_value(document, "defaultSwap") or "innerHTML"
    if text and not re.match(r"\S*:", text):
        style, _, text = text.partition(" ")
    return _Spec(_SHORT.get(style, style), _parse_options(text))


def _parse_options(text: str) -> dict[str, str]:
    if text.startswith("{"):
        return {key: str(value) for key, value in json.loads(text).items()}
    options = {}
    for match in _PAIR.finditer(text):
        groups = match.groups()
        key = next(each for each in groups[:3] if each is not None)
        options[key] = next((each.strip() for each in groups[3:] if each is not None), "true")
    return options


def _main_task(document: Node, element: Element, spec: _Spec, content: Node) -> list[_Task]:
    select = explicit(document, element, "hx-select")
    if select:
        selected = DocumentFragment()
        insert(selected, 0, find_all(content, select))
        content = selected
    target = _target(document, element, spec.options.get("target") or explicit(document, element, "hx-target"))
    return [] if target is None else [_Task(target, spec, content)]


def _target(document: Node, element: Element, selector: str | None) -> Element | None:
    if selector is None:
        return element
    if selector == "this":
        return next((each for each in inside_out(element) if _own(each, "hx-target") == "this"), element)
    return next(iter(find_targets(document, element, selector)), None)


def _out_of_band_tasks(document: Node, source: Element, content: Node) -> list[_Task]:
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
            insert(part, 0, [element.clone_node(deep=True)])
            tasks.append(_Task(target, spec, part))
        detach(element)
    return tasks


def _partial_tasks(document: Node, source: Element, fragment: Fragment) -> list[_Task]:
    tasks = []
    for template in [each for each in templates_of(fragment.content) if "hx" in each.attrs]:
        selector = attribute(template, "hx-target") or (
            f'[id="{template.attrs["id"]}"]' if template.attrs.get("id") else None
        )
        if template.attrs.get("type") == "partial" and selector and template.template_content is not None:
            spec = _parse_spec(attribute(template, "hx-swap") or "", document)
            if spec.on("ignoreTitle"):
                fragment.title = ""
            tasks += [
                _Task(target, spec, template.template_content.clone_node(deep=True))
                for target in find_targets(document, source, selector)
            ]
        detach(template)
    return tasks


def _carry_out(document: Node, task: _Task) -> None:
    target, style, content = task.target, task.spec.style, task.content
    if style == "none":
        return
    if task.spec.on("strip"):
        content = _stripped(content)
    if style != "delete":
        keep_preserved(document, content)
    if style == "textContent":
        text = text_of(content)
        replace_inside(target, read_fragment(text.replace("&", "&amp;").replace("<", "&lt;")).content)
    elif style == "outerSync":
        first = next(each for each in content.children or () if isinstance(each, Element))
        target.attrs = dict(first.attrs)
        replace_inside(target, first)
    elif style == "innerMorph":
        _refuse_own_id(target, content)
        replace_inside(target, content)
    elif not place("outerHTML" if style == "outerMorph" else style, target, content):
        raise SwapError(
            f"htmx 4 knows no swap style {style!r}: it raises, and the connection ends with the update lost"
        )


def _stripped(content: Node) -> Node:
    first = next((each for each in content.children or () if isinstance(each, Element)), None)
    if first is None:
        return content
    return (first.template_content if isinstance(first, Template) else None) or first


def _refuse_own_id(target: Element, content: Node) -> None:
    own = target.attrs.get("id")
    if own and any(each.attrs.get("id") == own and each.name == target.name for each in elements(content)):
        raise SwapError(
            f"htmx 4 cannot innerMorph the element with the id {own!r} to content that has that id too: it raises, and "
            "the connection ends with the update lost; use outerMorph, or leave the element out of the payload"
        )
