"""Random pages: blocks of all kinds and placements, what changes in them, and what the person in front of them does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .kinds import KINDS
from .markup import Element, Maker, mutate

__all__ = ["RandomPage", "Region", "random_page"]

PARENTS: dict[str, tuple[str, str, str]] = {
    "div": ("flow", "", ""),
    "section": ("flow", "", ""),
    "p": ("phrasing", "", ""),
    "span": ("phrasing", "<p>", "</p>"),
    "h1": ("phrasing", "", ""),
    "ul": ("items", "", ""),
    "li": ("flow", "<ul>", "</ul>"),
    "dl": ("terms", "", ""),
    "table": ("sections", "", ""),
    "table ": ("rows", "", ""),
    "tbody": ("rows", "<table>", "</table>"),
    "tr": ("cells", "<table><tbody>", "</tbody></table>"),
    "tr ": ("cells", "<table>", "</table>"),
    "td": ("flow", "<table><tr>", "</tr></table>"),
    "select": ("options", "", ""),
    "optgroup": ("grouped", "<select>", "</select>"),
    "option": ("text", "<select>", "</select>"),
    "textarea": ("lines", "", ""),
    "pre": ("lines", "", ""),
    "svg": ("svg", "", ""),
    "g": ("svg", "<svg>", "</svg>"),
    "math": ("math", "", ""),
    "mrow": ("math", "<math>", "</math>"),
    "details": ("flow", "", ""),
    "summary": ("phrasing", "<details>", "</details>"),
    "dialog": ("flow", "", ""),
    "fieldset": ("fields", "", ""),
    "form": ("form", "", ""),
    "label": ("phrasing", "", ""),
    "button": ("phrasing", "", ""),
    "x-card": ("flow", "", ""),
    "template": ("flow", "", ""),
    "style": ("css", "", ""),
    "a": ("text", "", ""),
}
"""Elements that show blocks: what they may hold, and what is before and after them."""

ACTIONS = ("type", "type", "check", "choose", "open", "open", "modal", "close", "focus", "reset")


BESIDE = {"text": ("text ", " <b>more</b>"), "space": (" ", " \n")}
"""What is beside a block in its element."""


@dataclass
class Region:
    """A live block with its element.

    Args:
        name: The name of the block, and the id of the element.
        is_around: Whether the block contains the element.
        root: The element at first.
        before: What is before it.
        after: What is after it.
        inner: A region nested in it.
        placement: ``own`` if nothing else is in the element. Otherwise what is beside the block, ``attribute`` if the
            element has an attribute that changes, or ``condition`` if the page does not always show it.
        versions: The element later.
    """

    name: str
    is_around: bool
    root: Element
    before: str
    after: str
    inner: Region | None = None
    placement: str = "own"
    versions: list[Element] = field(default_factory=list)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of markup, as ``KINDS`` names them, that it has at one time or another."""
        own = frozenset(each for version in [self.root, *self.versions] for each in self._kinds_of(version))
        return own | (self.inner.kinds if self.inner else frozenset())

    def _kinds_of(self, root: Element) -> Iterator[str]:
        is_part = self.root.tag in {"g", "mrow"} or (self.root.tag in {"svg", "math"} and not self.is_around)
        yield from ["foreign"] * is_part
        if not self.is_around:
            yield from {
                "template": ["template"],
                "table": ["rows"],
                "pre": ["line break"],
                "textarea": ["line break"],
            }.get(root.tag, [])
        for element in root.walk():
            if "shadowrootmode" in element.attributes:
                yield "shadow root"
            if "hx-swap-oob" in element.attributes:
                yield "out of band"
            if "autofocus" in element.attributes:
                yield "autofocus"
            if element.tag == "option":
                yield "options"

    def values(self, root: Element) -> dict[str, str]:
        """Return what the template reads when the element is ``root``."""
        shown = root.attributes.get("class") or ""
        return {self.name: root.inner, f"{self.name}_class": shown, f"{self.name}_shown": "" if "b" in shown else "yes"}

    @property
    def source(self) -> str:
        block = f"{{{{ {self.name}|safe }}}}" + (self.inner.source if self.inner else "")
        opening, closing = f'<{self.root.tag} id="{self.name}" data-region="{self.name}"', f"</{self.root.tag}>"
        if self.is_around or self.placement == "attribute":
            opening += f' class="{{{{ {self.name}_class }}}}"'
        if self.is_around:
            block = f"{{% block {self.name} %}}{opening}>{block}{closing}{{% endblock %}}"
        else:
            before, after = BESIDE.get(self.placement, ("", ""))
            block = f"{opening}>{before}{{% block {self.name} %}}{block}{{% endblock %}}{after}{closing}"
        block = self.before + block + self.after
        if self.placement == "condition":
            box = f'<div id="{self.name}-box" data-region="{self.name}">'
            return f"{box}text{{% if {self.name}_shown %}}{block}{{% endif %}}</div>"
        return f"<div>{block}</div>"


@dataclass
class RandomPage:
    """A page, and how it goes on."""

    regions: list[Region]
    steps: list[dict[str, Any]] = field(default_factory=list)

    def walk(self) -> Iterator[Region]:
        """Yield all regions."""
        for region in self.regions:
            found: Region | None = region
            while found:
                yield found
                found = found.inner

    def unknown(self, client: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the differences that are not of a kind that the client is known for."""
        known = {region.name: any(client in KINDS[kind].differs for kind in region.kinds) for region in self.walk()}
        return [each for each in found if not known.get(each["block"], any(known.values()))]

    @property
    def declared(self) -> dict[str, Any]:
        """What the application is sent."""
        body = "\n".join(region.source for region in self.regions)
        return {
            "body": f"<main>{body}</main>",
            "state": {name: value for each in self.walk() for name, value in each.values(each.root).items()},
        }


def random_region(chance: random.Random, name: str) -> Region:
    maker = Maker(chance, name)
    tag = chance.choice(list(PARENTS))
    kind, before, after = PARENTS[tag]
    is_around = chance.random() < 0.4
    placement = random_placement(chance, tag, kind, is_around=is_around)
    has_class = is_around or placement in {"attribute", "condition"}
    root = Element(tag.strip(), kind, {"class": ""} if has_class else {}, maker.content(kind, 2))
    if tag == "details":
        root.children.insert(0, Element("summary", "text", {}, ["more"]))
    region = Region(name, is_around, root, before, after, placement=placement)
    if kind == "flow" and tag != "template" and chance.random() < 0.3:
        region.inner = random_region(chance, f"{name}n")
    return region


def random_placement(chance: random.Random, tag: str, kind: str, *, is_around: bool) -> str:
    possible = ["own", "own", "own", "condition"]
    if not is_around:
        possible += ["attribute"]
        possible += ["text"] if kind in {"flow", "phrasing"} and tag != "template" else []
        possible += ["space"] if tag in {"pre", "textarea"} else []
    return chance.choice(possible)


def random_page(seed: str) -> RandomPage:
    """Return the page of a seed."""
    chance = random.Random(seed)
    page = RandomPage([random_region(chance, f"r{number}") for number in range(chance.randint(1, 3))])
    regions = list(page.walk())
    roots = {region.name: region.root for region in regions}
    for step in range(chance.randint(2, 4)):
        values = dict[str, str]()
        for region in regions:
            if chance.random() < 0.7:
                maker = Maker(chance, f"{region.name}-{step}")
                root = roots[region.name] = mutate(roots[region.name], maker, chance.randint(0, 3))
                region.versions.append(root)
                values.update(region.values(root))
        actions = [(chance.choice(ACTIONS), chance.random()) for _ in range(chance.randint(0, 4))]
        page.steps.append({"values": values, "actions": actions})
    return page
