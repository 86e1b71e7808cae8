"""Elements are judged by the tree that a browser builds of the page, and by what an update builds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from justhtml import JustHTML, Template
from justhtml.parser.context import FragmentContext

from starlette_reactive._templates import Element, elements

from .tree_pages import FAULTY, SOUND, TreePage, Writer


def with_id(source: str, dom_id: str = "x", **templates: str) -> list[Element]:
    env = Environment(loader=DictLoader({"page": source, **templates}))
    return [each for each in elements(env, "page") if each.attributes.get("id") == dom_id]


def fault_of(source: str, **templates: str) -> str | None:
    (element,) = with_id(source, **templates)
    return element.fault.reason if element.fault is not None else None


# ── what is right: the whole page and a fragment, both parsed ────────────────────────────────────────────────────────


def children(node: Any) -> list[Any]:
    content = node.template_content if isinstance(node, Template) else None
    return [*(node.children or ()), *((content.children or ()) if content is not None else ())]


def written(node: Any, leave_out: Any = None) -> str:
    if node.name == "#text":
        return str(node.data)
    if node is leave_out:
        return "(x)"
    return f"<{node.name} {node.attrs}>{''.join(written(each, leave_out) for each in children(node))}</>"


def found(node: Any) -> Iterator[Any]:
    if node.name != "#text":
        if (node.attrs or {}).get("id") == "x":
            yield node
        for each in node.children or ():
            yield from found(each)


def is_sound(page: TreePage) -> bool:
    """Return whether the content of #x is what a fragment parser makes of it, and nothing else depends on it."""
    whole, empty = (JustHTML(page.html(content), sanitize=False).root for content in (page.content, ""))
    one, other = list(found(whole)), list(found(empty))
    if len(one) != 1 or len(other) != 1 or written(whole, one[0]) != written(empty, other[0]):
        return False
    namespace = one[0].namespace if one[0].namespace != "html" else None
    context = FragmentContext(one[0].name, namespace)
    fragment = JustHTML(page.content, sanitize=False, fragment_context=context).root
    return [written(each) for each in children(one[0])] == [written(each) for each in children(fragment)]


# ── tests ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", FAULTY, ids=TreePage.template)
def test_an_element_that_an_update_cannot_build_has_a_fault_that_says_why(page: TreePage) -> None:
    assert page.reason in (fault_of(page.template()) or "")


@pytest.mark.parametrize("page", SOUND, ids=TreePage.template)
def test_an_element_that_an_update_builds_as_the_browser_does_has_no_fault(page: TreePage) -> None:
    assert is_sound(page)
    assert fault_of(page.template()) is None


@pytest.mark.parametrize("seeds", [range(start, start + 250) for start in range(0, 1000, 250)], ids=str)
def test_random_elements_are_judged_as_two_parsers_judge_them(seeds: range) -> None:
    wrong, judged = [], 0
    for seed in seeds:
        page = Writer(seed).page()
        for element in with_id(page.template())[:1]:
            if element.sole:
                judged += 1
                if (element.fault is None) != is_sound(page):
                    wrong.append((seed, page.template(), element.fault))
    assert judged > 150
    assert not wrong
