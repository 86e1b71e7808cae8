"""Elements are judged by the tree that a browser builds of the page, and by what an update builds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from justhtml import JustHTML, Template
from justhtml.parser.context import FragmentContext

from starlette_reactive._core.blocks import Placement
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


def in_block(content: str) -> str:
    return f"<p id=x>{{% block y %}}{content}{{% endblock %}}</p>"


def test_every_alternative_is_judged() -> None:
    for source in (
        in_block("{% if a %}b{% else %}<hr>{% endif %}"),
        in_block("{% for a in b %}c{% else %}<hr>{% endfor %}"),
        in_block("{% if a %}b{% elif c %}d{% else %}<b>e</b><hr>{% endif %}"),
        f"{{% if a %}}<div>{{% else %}}<section>{{% endif %}}{{% if a %}}</div>{{% else %}}{in_block('<hr>')}</section>"
        "{% endif %}",
    ):
        assert fault_of(source) == "the <hr> closes the <p> around it", source


def test_alternatives_that_open_elements_of_one_kind_are_no_fault() -> None:
    for source in (
        "<div id=x>{% if a %}<a href=b>{% else %}<a>{% endif %}c</a></div>",
        "<div id=x>{% block y %}{% if a %}<a>{% else %}<div>{% endif %}c{% if a %}</a>{% else %}</div>{% endif %}"
        "{% endblock %}</div>",
        "<ul id=x>{% if a %}<li class=b>{% else %}<li>{% endif %}c</li></ul>",
        "<div id=x>{% if a %}<section>{% endif %}c{% if a %}</section>{% endif %}</div>",
        "<html>{% if a %}<body class=b>{% else %}<body>{% endif %}<div id=x>c</div>",
        "<ul>{% if a %}<li class=b>{% else %}<li id=x>{% endif %}c</li></ul>",
        "<table id=x>{% for a in b %}<tr><td>c{% else %}<tr><td>d{% endfor %}</table>",
    ):
        assert fault_of(source) is None, source


def test_what_is_unknown_is_taken_for_what_fits() -> None:
    for source in (
        "<table id=x>{{ rows }}<tr>{{ cells }}</table>",
        "<select id=x>{{ options }}</select>",
        "<table>{% call rows() %}<td id=x>a</td>{% endcall %}</table>",
        "<table id=x>{% call rows() %}<tr><td>a</td></tr>{% endcall %}</table>",
        "<table><{{ tag }} id=x>a</{{ tag }}></table>",
        "<html><head>{{ scripts }}<title>a</title></head><body id=x>b",
        "{{ doctype }}<html><body><p id=x>b",
        "<tr id=x><td>a part of a page</td></tr>",
        "<div {{ attributes }} id=x>{{ open_panel() }}a</div>{{ close_panel() }}",
    ):
        assert fault_of(source) is None, source


def test_a_fault_in_a_macro_has_its_place_there() -> None:
    macro = "{% macro row() %}\n<div>a</div>{% endmacro %}"
    (element,) = with_id("{% import 'm' as m %}<p id=x>{% block y %}{{ m.row() }}{% endblock %}</p>", m=macro)
    assert element.fault is not None
    assert element.fault.place == ("m", 2)


def test_a_form_in_the_form_that_holds_the_block_is_a_fault() -> None:
    assert fault_of("<form id=x>{% block y %}<form>{{ a }}</form>{% endblock %}</form>")


def test_a_page_without_a_doctype_puts_a_table_into_a_paragraph() -> None:
    page = "<html><div id=x><p>a<table></table></div>"
    assert "without a doctype" in (fault_of(page) or "")
    assert fault_of(f"<!DOCTYPE html>{page}") is None
    assert fault_of(page.replace("<html>", "")) is None


def test_an_update_cannot_replace_the_elements_at_the_top_of_a_page() -> None:
    for tag in ("html", "body"):
        (element,) = with_id(f"{{% block y %}}<{tag} id=x>{{{{ a }}}}{{% endblock %}}")
        fault = element.update_fault(Placement.AROUND)
        assert fault is not None
        assert tag in fault.reason
        assert element.update_fault(Placement.INSIDE) is None


def test_a_page_is_parsed_once_however_often_its_elements_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def parse(source: str, **options: Any) -> JustHTML:
        parsed.append(source)
        return JustHTML(source, **options)

    monkeypatch.setattr(sys.modules["starlette_reactive._templates.elements.tree"], "JustHTML", parse)
    env = Environment(loader=DictLoader({"page": "<p id=once>{% block x %}{{ a }}{% endblock %}</p>"}))
    for _ in range(3):
        elements(env, "page")
    assert len(parsed) == 1
