"""Random trees of HTML, as correct templates produce them, and random changes of them."""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

__all__ = ["Element", "Maker", "mutate"]

VOID = {"input", "br", "img", "hr", "col", "wbr", "source"}
RAW = {"style", "script"}
WORDS = ("one", "two", "three", "a & b", "x < y", "naïve 日本", "")


@dataclass
class Element:
    """An element of a random page.

    Args:
        tag: Its name.
        kind: What its children may be: a name of ``Maker.CONTENTS``.
        attributes: Its attributes.
        children: Its elements and texts.
    """

    tag: str
    kind: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def __str__(self) -> str:
        shown = "".join(
            f" {name}" if value is None else f' {name}="{html.escape(value)}"'
            for name, value in self.attributes.items()
        )
        if self.tag in VOID:
            return f"<{self.tag}{shown}>"
        return f"<{self.tag}{shown}>{self.inner}</{self.tag}>"

    @property
    def inner(self) -> str:
        """Its content as HTML."""
        return "".join(
            str(child) if isinstance(child, Element) or self.tag in RAW else html.escape(child)
            for child in self.children
        )

    def walk(self) -> Iterator[Element]:
        """Yield it and the elements in it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()


class Maker:
    """Makes random elements.

    Args:
        chance: The source of what is random.
        prefix: What all ids begin with.
    """

    def __init__(self, chance: random.Random, prefix: str) -> None:
        self.chance = chance
        self._prefix = prefix
        self._count = 0

    def identity(self, likely: float = 0.4) -> dict[str, str | None]:
        """Return an attribute ``id``, or none."""
        if self.chance.random() > likely:
            return {}
        self._count += 1
        return {"id": f"{self._prefix}-{self._count}"}

    def word(self) -> str:
        return self.chance.choice(WORDS)

    def flag(self, name: str, likely: float = 0.4) -> dict[str, str | None]:
        return {name: ""} if self.chance.random() < likely else {}

    def content(self, kind: str, depth: int, count: int | None = None) -> list[Element | str]:
        """Return children of a kind."""
        if kind == "nothing":
            return []
        if kind == "text":
            return [self.word()]
        makers = CONTENTS[kind]
        count = self.chance.randint(0, 4) if count is None else count
        return [self.chance.choice(makers)(self, depth) for _ in range(count)]

    def element(
        self, tag: str, kind: str, depth: int, attributes: dict[str, str | None] | None = None, count: int | None = None
    ) -> Element:
        """Return an element with children of a kind."""
        if depth <= 0 and kind in DEEP:
            kind = DEEP[kind]
        found = self.identity() | (attributes or {})
        return Element(tag, kind, found, self.content(kind, depth - 1, count))


Make = Callable[[Maker, int], "Element | str"]
DEEP = {"flow": "text", "phrasing": "text", "svg": "nothing", "math": "nothing"}


def plain(tag: str, kind: str, **attributes: str) -> Make:
    return lambda maker, depth: maker.element(tag, kind, depth, {**attributes})


def text(maker: Maker, depth: int) -> str:
    return maker.word()


def classed(maker: Maker, depth: int) -> Element:
    return maker.element("div", "flow", depth, {"class": maker.chance.choice(["", "a", "a b"]), "title": maker.word()})


def field_of(maker: Maker, depth: int) -> Element:
    """Return an input."""
    chance = maker.chance
    kind = chance.choice(["text", "checkbox", "radio", "hidden", "number", "range", "date", "submit", "password"])
    value: dict[str, str | None] = {
        "text": {"value": maker.word()} if chance.random() < 0.7 else {},
        "password": {},
        "number": {"value": chance.choice(["1", "2", ""])},
        "range": {"value": chance.choice(["10", "90"])},
        "date": {"value": chance.choice(["2024-01-02", ""])},
    }.get(kind, {"value": chance.choice(["1", "2"])})  # type: ignore[assignment]
    checked = maker.flag("checked") if kind in {"checkbox", "radio"} else {}
    name = {"name": chance.choice(["group", "other", "id", "children"])} if chance.random() < 0.7 else {}
    return maker.element(
        "input",
        "nothing",
        depth,
        {"type": kind, **name, **value, **checked, **maker.flag("disabled", 0.1), **maker.flag("autofocus", 0.05)},
    )


def textarea(maker: Maker, depth: int) -> Element:
    start = maker.chance.choice(["", "", "\n", "\n\n"])
    return Element(
        "textarea", "lines", maker.identity(), ["\n" * bool(start) + start + maker.word()] if start else [maker.word()]
    )


def pre(maker: Maker, depth: int) -> Element:
    start = maker.chance.choice(["", "\n", "\n\n"])
    return Element("pre", "lines", maker.identity(), [start + maker.word()])


def select(maker: Maker, depth: int) -> Element:
    return maker.element("select", "options", depth, {"name": "choice", **maker.flag("multiple", 0.3)})


def option(maker: Maker, depth: int) -> Element:
    word = maker.word()
    value = {"value": word} if maker.chance.random() < 0.5 else {}
    return Element("option", "text", maker.identity(0.2) | value | maker.flag("selected", 0.3), [word])


def table(maker: Maker, depth: int) -> Element:
    inner = maker.chance.choice(["sections", "rows"])
    return maker.element("table", inner, depth)


def details(maker: Maker, depth: int) -> Element:
    found = maker.element("details", "flow", depth, maker.flag("open"))
    found.children.insert(0, maker.element("summary", "phrasing", 0))
    return found


def dialog(maker: Maker, depth: int) -> Element:
    return maker.element("dialog", "flow", depth, maker.flag("open", 0.2))


def svg(maker: Maker, depth: int) -> Element:
    return maker.element("svg", "svg", depth, {"viewBox": "0 0 9 9", "width": "9"})


def shape(maker: Maker, depth: int) -> Element:
    return maker.element(
        maker.chance.choice(["circle", "rect", "path"]), "nothing", depth, {"r": maker.chance.choice("123")}
    )


def link_of_shapes(maker: Maker, depth: int) -> Element:
    return maker.element("a", "svg", depth, {"xlink:href": "#" + maker.chance.choice("ab")})


def foreign(maker: Maker, depth: int) -> Element:
    return maker.element("foreignObject", "flow", depth)


def template(maker: Maker, depth: int) -> Element:
    return maker.element("template", "flow", depth)


def shadow(maker: Maker, depth: int) -> Element:
    """Return an element with a declarative shadow root."""
    root = maker.element("template", "flow", depth, {"shadowrootmode": maker.chance.choice(["open", "open"])})
    root.attributes.pop("id", None)
    host = maker.element(maker.chance.choice(["div", "x-host", "section"]), "flow", depth)
    host.kind = "host"
    host.children.insert(0, root)
    return host


def form(maker: Maker, depth: int) -> Element:
    return maker.element("form", "form", depth)


def htmx_attributes(maker: Maker, depth: int) -> Element:
    attributes: dict[str, str | None] = {
        maker.chance.choice(["hx-get", "data-hx-post"]): "/" + maker.chance.choice("ab")
    }
    return maker.element("button", "text", depth, {"type": "button", **attributes})


def out_of_band(maker: Maker, depth: int) -> Element:
    return maker.element("p", "phrasing", depth, {"id": f"oob-{maker.chance.randint(1, 3)}", "hx-swap-oob": "true"})


def hx_element(maker: Maker, depth: int) -> Element:
    return maker.element(maker.chance.choice(["hx-card", "hx-my-card", "x-card"]), "flow", depth)


def raw(maker: Maker, depth: int) -> Element:
    chance = maker.chance
    if chance.random() < 0.5:
        return Element("style", "css", maker.identity(), [f".none {{ top: {chance.randint(0, 9)}px }}"])
    return Element("script", "json", {"type": "application/json"}, [f'{{"a": "<b>{chance.randint(0, 9)}"}}'])


CONTENTS: dict[str, Sequence[Make]] = {
    "phrasing": [
        text,
        text,
        plain("b", "phrasing"),
        plain("i", "text"),
        plain("span", "phrasing"),
        plain("br", "nothing"),
        plain("a", "text", href="#"),
        plain("code", "text"),
    ],
    "flow": [
        text,
        text,
        plain("p", "phrasing"),
        classed,
        plain("ul", "items"),
        plain("ol", "items"),
        plain("h2", "phrasing"),
        field_of,
        field_of,
        textarea,
        pre,
        select,
        table,
        details,
        dialog,
        svg,
        plain("math", "math"),
        template,
        shadow,
        form,
        htmx_attributes,
        out_of_band,
        hx_element,
        raw,
        plain("fieldset", "fields"),
        plain("dl", "terms"),
        plain("label", "phrasing"),
        plain("hr", "nothing"),
        plain("button", "phrasing", type="button"),
    ],
    "form": [
        text,
        field_of,
        field_of,
        field_of,
        textarea,
        select,
        plain("label", "phrasing"),
        plain("fieldset", "fields"),
        plain("p", "phrasing"),
    ],
    "fields": [plain("legend", "phrasing"), field_of, field_of, select, textarea, text],
    "items": [plain("li", "phrasing"), plain("li", "phrasing"), plain("li", "flow")],
    "options": [option, option, option, plain("optgroup", "grouped", label="group")],
    "grouped": [option],
    "sections": [
        plain("caption", "text"),
        plain("thead", "rows"),
        plain("tbody", "rows"),
        plain("tbody", "rows"),
        plain("tfoot", "rows"),
    ],
    "rows": [plain("tr", "cells")],
    "cells": [plain("td", "flow"), plain("th", "phrasing"), plain("td", "phrasing")],
    "svg": [shape, shape, plain("g", "svg"), plain("text", "text"), link_of_shapes, foreign, plain("title", "text")],
    "math": [plain("mi", "text"), plain("mn", "text"), plain("mrow", "math"), plain("mfrac", "math")],
    "terms": [plain("dt", "phrasing"), plain("dd", "phrasing")],
    "lines": [text],
    "css": [text],
    "json": [text],
    "host": [text],
}


# Changes


def mutate(root: Element, maker: Maker, times: int) -> Element:
    """Return a copy of an element in which some things have changed. The element itself is the same."""
    changed = deepcopy(root)
    for _ in range(times):
        chosen = maker.chance.choice(list(changed.walk()))
        _change(chosen, maker, is_root=chosen is changed)
    return changed


def _change(element: Element, maker: Maker, *, is_root: bool) -> None:
    chance = maker.chance
    attributes, children = element.attributes, element.children
    if is_root and attributes and chance.random() < 0.3:
        attributes["class"] = chance.choice(["", "a", "b c"])
    elif not is_root and attributes and chance.random() < 0.4:
        _change_attributes(element, maker)
    elif element.kind == "css":
        children[:] = [f".none {{ top: {chance.randint(0, 9)}px }}"]
    elif element.kind == "json":
        children[:] = [f'{{"a": {chance.randint(0, 9)}}}']
    elif element.kind == "lines":
        children[:] = [chance.choice(["", "\n", "\n\n"]) + maker.word()]
    elif element.kind == "text":
        children[:] = [maker.word()]
    elif element.kind not in {"nothing", "host"}:
        _change_children(element, maker)


TOGGLED = ("checked", "disabled", "selected", "open", "hidden", "multiple")
DATES = ("2024-01-02", "2024-02-03", "")
VALUES = {
    "value": ("1", "2", "10", ""),
    "class": ("", "a", "b c"),
    "title": WORDS,
    "r": "123",
    "style": ("", "top: 1px"),
    "xlink:href": ("#a", "#b"),
    "hx-get": ("/a", "/b"),
    "data-hx-post": ("/a", "/b"),
}


def _change_attributes(element: Element, maker: Maker) -> None:
    chance, attributes = maker.chance, element.attributes
    possible = {
        "input": ["value", "checked", "disabled"]
        if attributes.get("type") in {"checkbox", "radio"}
        else ["value", "disabled"],
        "option": ["selected", "disabled"],
        "details": ["open"],
        "dialog": ["open"],
        "select": ["disabled", "multiple"],
    }.get(element.tag, ["class", "title", "hidden", *(name for name in attributes if name in VALUES)])
    name = chance.choice(possible)
    if name in TOGGLED:
        if attributes.pop(name, 0) == 0:
            attributes[name] = ""
    else:
        values = DATES if attributes.get("type") == "date" and name == "value" else VALUES[name]
        attributes[name] = chance.choice(values)


def _change_children(element: Element, maker: Maker) -> None:
    chance, children = maker.chance, element.children
    start = 1 if element.tag == "details" else 0
    action = chance.choice(["insert", "insert", "remove", "shuffle", "replace", "empty"])
    if action == "insert":
        made = maker.content(element.kind, 1, 1)
        position = chance.randint(start, max(start, len(children)))
        children[position:position] = made
    elif action == "remove" and len(children) > start:
        del children[chance.randrange(start, len(children))]
    elif action == "shuffle":
        rest = children[start:]
        chance.shuffle(rest)
        children[start:] = rest
    elif action == "replace" and len(children) > start:
        children[chance.randrange(start, len(children))] = maker.content(element.kind, 1, 1)[0]
    elif action == "empty":
        del children[start:]
