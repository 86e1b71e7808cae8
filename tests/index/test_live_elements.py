"""Which elements of a page are live, and that an update leaves what a fresh page shows wherever blocks stand."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jinja2 import Environment

from starlette_reactive import DependencyIndex
from starlette_reactive._core.blocks import Placement
from starlette_reactive._index.index import register_elements, registry_of
from starlette_reactive._index.live_elements import LiveElements, find_live_elements
from starlette_reactive._templates import compile_block
from starlette_reactive.testing._dom import inner_html, parse_document
from starlette_reactive.testing._live_script import Update, apply_update
from tests.support import environment

SINKS = frozenset({"live"})


def page_of(source: str) -> Environment:
    """Return an environment with one page, in which ``[x]`` stands for a block that shows a value of its name."""
    env = environment(page=re.sub(r"\[(\w)\]", r"{% block \1 %}{{ \1 }}{% endblock %}", source))
    env.globals["url_for"] = str
    return env


def found_in(source: str, **options: Any) -> LiveElements:
    return find_live_elements(page_of(source), "page.html", sinks=SINKS, **options)


def live(source: str, **options: Any) -> dict[str, str]:
    """Return what is live: the id of each element, and whether the block is inside or around it."""
    return {each.ref.target_id: each.placement.value for each in found_in(source, **options).blocks}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('<main><p id="a">Total: [x]</p></main>', {"a": "inside"}),
        ('<main id="m"><b>y</b>[x]</main>', {"m": "inside"}),
        ('<main id="m">y{% block x %}{% if x %}<p id="x">z</p>{% endif %}{% endblock %}</main>', {"m": "inside"}),
        ('<main id="m"><b>y</b>{% block x %}<p id="x">{{ x }}</p><p>z</p>{% endblock %}</main>', {"m": "inside"}),
        (
            '<main id="m"><b>y</b>{% if n %}<p id="x">[x]</p>{% endif %}</main>',
            {"m": "inside", "x": "inside"},
        ),
        (
            '<main id="m">{% for i in n %}{{ i }}{% else %}<p id="x">[x]</p>{% endfor %}'
            "</main>",
            {"m": "inside"},
        ),
        ('<main><p id="x" class="c{{ n }}">[x]</p></main>', {"x": "around"}),
        ('<main><p id="x" {% if n %}hidden{% endif %}>[x]</p></main>', {"x": "around"}),
        ('{% block y %}<p id="x" class="c{{ n }}">[x]</p>{% endblock %}', {"x": "around"}),
        ('<ul id="m">y{% for i in n %}{% block x scoped %}{{ i }}{% endblock %}{% endfor %}</ul>', {"m": "inside"}),
        ('<main><pre id="x"> {% block x %}{{ x }}{% endblock %}</pre></main>', {"x": "inside"}),
        ('<section id="s"><p id="x">{% block x %}<ul>{{ x }}</ul>{% endblock %}</p></section>', {"s": "inside"}),
        ('<div id="o"><section id="s">{{ t }}[x]</section></div>', {"s": "inside"}),
    ],
)  # fmt: skip
def test_the_nearest_element_that_can_be_updated_is_live_if_a_block_has_none_of_its_own(
    source: str, expected: dict[str, str]
) -> None:
    assert live(source) == expected
    assert not found_in(source).not_live


@pytest.mark.parametrize(
    "source",
    [
        '<p id="x">[x]</p>',
        '<p id="x" data-url="{{ url_for("x") }}">[x]</p>',
        '<div id="m"><p>static</p><p id="x">[x]</p></div>',
        '<div id="m">{{ url_for("y") }}{% block y %}static{% endblock %}<p id="x">[x]</p></div>',
        '<div class="{{ n }}">{% block y %}{% block z %}<p id="x">[x]</p>{% endblock %}{% endblock %}</div>',
    ],
)  # fmt: skip
def test_no_element_is_live_beside_the_blocks_own_if_that_shows_all(source: str) -> None:
    assert live(source).keys() == {"x"}


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ('<main>{% block x %}{% if n %}<p id="x">{{ x }}</p>{% endif %}{% endblock %}</main>', {"x"}),
        ('<main>{% if n %}<p id="x">[x]</p>{% endif %}</main>', {"x"}),
        ('<main id="m"><div {{ live() }}></div>[x]</main>', {"x"}),
        ('<main id="m{{ n }}">y[x]</main>', {"x"}),
        ('{% for i in n %}<main id="m">y</main>{% endfor %}<main id="m">y[x]</main>', {"x"}),
        ('<main id="m">{% set x = n %}{{ x }}[x]</main>{{ x }}', {"x"}),
        ('<main id="m">y[x]{% if n %}</main>{% endif %}', {"x"}),
        ('<main><p id="x">{% block x %}<ul>{{ x }}</ul>{% endblock %}</p></main>', {"x"}),
    ],
)  # fmt: skip
def test_blocks_that_no_element_can_show_are_known(source: str, missing: set[str]) -> None:
    assert found_in(source).not_live.keys() == missing


def test_an_element_around_excluded_blocks_is_not_live_for_their_sake() -> None:
    source = '<main id="m">y[x]</main>'
    assert live(source, excluded=frozenset({"x"})) == {}


def test_an_element_that_shows_what_is_a_viewers_own_is_not_live_in_a_shared_page() -> None:
    source = '<main id="m">{{ user }}<p id="p">y[x]</p>[y]</main>'
    assert live(source) == {"m": "inside", "p": "inside"}
    assert live(source, viewer_names=frozenset({"user"})) == {"p": "inside"}


def test_the_elements_of_parents_and_included_templates_can_be_live() -> None:
    env = environment(
        base='<main id="m"><h1>y</h1>{% block content %}{% endblock %}</main>',
        part='<p id="p">y{% block part %}{{ p }}{% endblock %}</p>',
        page='{% extends "base.html" %}{% block content %}{{ c }}{% include "part.html" %}{% endblock %}',
    )
    found = find_live_elements(env, "page.html")
    assert [(region.template, region.dom_id) for region in found.regions] == [("base.html", "m")]
    env = environment(part='<p id="p">y{% block part %}{{ p }}{% endblock %}</p>', page='{% include "part.html" %}')
    index = DependencyIndex()
    register_elements(index, env, "page.html")
    (ref,) = index.blocks()
    assert ref.target_id == "p"
    assert compile_block(env, "page.html", ref.block_name).render({"p": "P"}) == "yP"


def test_an_application_that_renders_the_page_does_not_see_the_blocks_of_elements() -> None:
    env = page_of('<p id="x" class="{{ n }}">y[x]</p>')
    index = DependencyIndex()
    register_elements(index, env, "page.html")
    assert [ref.block_name for ref in index.blocks()] == ["element_x"]
    assert list(env.get_template("page.html").blocks) == ["x"]


def test_a_page_whose_source_changes_has_its_elements_in_the_new_source() -> None:
    env = page_of('<p id="x">y[x]</p>')
    index = DependencyIndex()
    register_elements(index, env, "page.html")
    assert compile_block(env, "page.html", "element_x").render({"x": "1"}) == "y1"
    env.loader.mapping["page.html"] = '<p id="x">z{{ x }}{% block x %}{% endblock %}</p>'  # type: ignore[union-attr]
    assert compile_block(env, "page.html", "element_x").render({"x": "1"}) == "z1"


def test_an_element_that_an_edit_moves_to_another_line_stays_live() -> None:
    env = page_of('<p id="x">y[x]</p>')
    register_elements(DependencyIndex(), env, "page.html")
    env.loader.mapping["page.html"] = '<h1>\nnew\n</h1>\n<p id="x">z{% block x %}{{ x }}{% endblock %}</p>'  # type: ignore[union-attr]
    assert compile_block(env, "page.html", "element_x").render({"x": "1"}) == "z1"


@pytest.mark.parametrize("dom_id", ["1", "a-b", "a.b", "m²", "日本", "e\N{COMBINING ACUTE ACCENT}"])
def test_an_element_with_any_id_can_be_live(dom_id: str) -> None:
    env = page_of(f'<p id="{dom_id}">y[x]</p>')
    index = DependencyIndex()
    register_elements(index, env, "page.html")
    (ref,) = index.blocks()
    assert ref.target_id == dom_id
    assert compile_block(env, "page.html", ref.block_name).render({"x": "1"}) == "y1"


# ── random pages ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Writer:
    """Writes a page whose blocks stand anywhere, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names: list[str] = []
        self.blocks = 0
        self.ids = 0

    def name(self, kind: str) -> str:
        self.names.append(f"{kind}{len(self.names)}")
        return self.names[-1]

    def page(self) -> str:
        body = "".join(self.element(0) for _ in range(self.random.randint(1, 3)))
        return f"<html><body>{body}<div {{{{ live() }}}}></div></body></html>"

    def element(self, depth: int) -> str:
        dom_id = ""
        if self.random.random() < 0.7:
            self.ids += 1
            dom_id = f' id="e{self.ids}"'
        attributes = self.random.choice(
            ["", "", "", f' class="{{{{ {self.name("v")} }}}}"', f" {{% if {self.name('c')} %}}hidden{{% endif %}}"]
        )
        return f"<div{dom_id}{attributes}>{self.content(depth + 1)}</div>"

    def content(self, depth: int) -> str:
        return "".join(self.part(depth) for _ in range(self.random.randint(1, 3)))

    def part(self, depth: int) -> str:
        kinds = (
            ["text", "value"] if depth > 4 else ["text", "element", "element", "block", "block", "if", "else", "loop"]
        )
        match self.random.choice(kinds):
            case "element":
                return self.element(depth)
            case "block":
                self.blocks += 1
                return f"{{% block b{self.blocks} %}}{self.inside(depth)}{{% endblock %}}"
            case "if":
                return f"{{% if {self.name('c')} %}}{self.content(depth + 1)}{{% endif %}}"
            case "else":
                bodies = self.content(depth + 1), self.content(depth + 1)
                return f"{{% if {self.name('c')} %}}{bodies[0]}{{% else %}}{bodies[1]}{{% endif %}}"
            case "loop":
                body = self.content(depth + 1)
                return f"{{% for i in {self.name('l')} %}}<b>{{{{ i }}}}</b>{{% else %}}{body}{{% endfor %}}"
            case "value":
                return f"{{{{ {self.name('v')} }}}}"
        return "text"

    def inside(self, depth: int) -> str:
        return self.random.choice([f"{{{{ {self.name('v')} }}}}", self.content(depth + 1), self.element(depth)])

    def value(self, name: str) -> object:
        match name[0]:
            case "c":
                return self.random.random() < 0.6
            case "l":
                return list(range(self.random.randint(0, 2)))
        return self.random.choice(["", "one", "two", "three"])


def updates(env: Environment, index: DependencyIndex, path: str, values: Mapping[str, object]) -> Iterator[Update]:
    for block in registry_of(index).plan(frozenset({path})).affected:
        html = compile_block(env, "page.html", block.ref.block_name).render(values)
        swap = "inner" if block.placement is Placement.INSIDE else "outer"
        yield Update(block.ref.target_id, swap, html)


def shown(env: Environment, values: Mapping[str, object]) -> Any:
    return parse_document(env.get_template("page.html").render(values))


@pytest.mark.parametrize("seeds", [range(start, start + 25) for start in range(0, 100, 25)], ids=str)
def test_an_update_leaves_what_a_fresh_page_shows_unless_its_blocks_are_known_not_to_be_live(seeds: range) -> None:
    compared = 0
    for seed in seeds:
        writer = Writer(seed)
        source = writer.page()
        env = environment(page=source)
        env.globals["live"] = lambda: "data-sink"
        index = DependencyIndex()
        register_elements(index, env, "page.html", unless_read=SINKS)
        found = find_live_elements(env, "page.html", sinks=SINKS)
        reads = found.page.blocks
        unknown = {path for name in found.not_live for path in reads[name].paths} | found.page.outside
        values = {name: writer.value(name) for name in writer.names}
        document = shown(env, values)
        for name in [each for each in writer.names if each not in unknown] * 2:
            values[name] = writer.value(name)
            for update in updates(env, index, name, values):
                apply_update(document, update)
            fresh = shown(env, values)
            assert inner_html(document) == inner_html(fresh), f"seed {seed}, after a change of {name}: {source}"
            compared += 1
    assert compared > len(seeds)
