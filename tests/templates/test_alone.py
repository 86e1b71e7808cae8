"""Which blocks are rendered alone: with parents that only a render shows, state of their own, and components."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import ChainableUndefined, DictLoader, Environment, PrefixLoader

from starlette_reactive import Reactive
from starlette_reactive._core.errors import BlockRenderError
from starlette_reactive._templates import analyse, compile_block
from starlette_reactive.templates import declare_parents


def environment(templates: dict[str, str], **options: Any) -> Environment:
    options = {"undefined": ChainableUndefined, "extensions": ["jinja2.ext.do"], **options}
    return Environment(loader=DictLoader(templates), **options)


# ── parents that only a render shows ─────────────────────────────────────────────────────────────────────────────────

SITE = {
    "one": "<{% block b %}1{{ q }}{% endblock %}>",
    "two": "{% extends inner %}{% set w = 2 %}{% block b %}2{{ w }}{{ super() }}{% endblock %}",
    "three": "{% if x %}{% extends 'one' %}{% endif %}{% block b %}3{{ super() if x }}{% endblock %}",
    "none": "nothing",
}
BODY = "{% set v = x %}{% block b %}{{ super() }}{{ v }}{% endblock %}"


@pytest.mark.parametrize(
    "extends",
    [
        "{% extends layout %}",
        "{% extends layout or 'one' %}",
        "{% extends layout|default('one') %}",
        "{% set name = layout %}{% extends name %}",
        "{% if layout %}{% extends layout %}{% else %}{% extends 'one' %}{% endif %}",
    ],
)
@pytest.mark.parametrize("values", [{"layout": "one"}, {"layout": "two", "inner": "one"}, {"layout": "three", "x": 5}])
@pytest.mark.parametrize("enable_async", [False, True])
def test_a_block_follows_the_parent_that_the_values_choose(
    extends: str, values: dict[str, Any], enable_async: bool
) -> None:
    page = f"{extends}{BODY}"
    env = environment({**SITE, "page": page}, enable_async=enable_async)
    assert analyse(env, "page").blocks["b"].alone is None
    assert analyse(env, "page").blocks["b"].paths == {"*"}
    alone = compile_block(env, "page", "b").render({"q": "Q", **values})
    page_text = env.get_template("page").render({"q": "Q", **values})
    assert alone == page_text.removeprefix("<").removesuffix(">")


def test_a_parent_may_be_a_template_object_of_the_loader() -> None:
    env = environment({**SITE, "page": "{% extends layout %}" + BODY})
    block = compile_block(env, "page", "b")
    assert block.render({"layout": env.get_template("one"), "x": "x"}) == "1x"
    with pytest.raises(BlockRenderError, match="the loader does not have"):
        block.render({"layout": env.from_string("{% block b %}{% endblock %}")})


def test_a_block_has_no_text_of_a_parent_that_does_not_exist_or_is_not_chosen() -> None:
    env = environment({**SITE, "page": "{% if layout %}{% extends layout %}{% endif %}{% block b %}0{% endblock %}"})
    block = compile_block(env, "page", "b")
    assert block.render({}) == "0"
    with pytest.raises(Exception, match="nowhere"):
        block.render({"layout": "nowhere"})


def test_a_parent_that_repeats_the_block_is_refused_when_it_is_rendered() -> None:
    env = environment(
        {
            "loop": "{% for i in x %}{% block b %}{% endblock %}{% endfor %}",
            "page": "{% extends layout %}{% block b %}1{% endblock %}",
        }
    )
    with pytest.raises(BlockRenderError, match="inside the for loop over 'x' at loop:1"):
        compile_block(env, "page", "b").render({"layout": "loop"})


def test_an_included_template_with_an_unknown_parent_is_not_followed() -> None:
    env = environment({**SITE, "page": "{% include 'part' %}", "part": "{% extends layout %}" + BODY})
    assert "known only when the page is rendered" in (analyse(env, "page").blocks["b"].alone or "")


def test_a_loader_with_prefixes_finds_the_chosen_parent() -> None:
    templates = {
        "known": "{% extends 'app/one' if x else 'app/none' %}" + BODY,
        "unknown": "{% extends layout %}" + BODY,
        **SITE,
    }
    env = Environment(loader=PrefixLoader({"app": DictLoader(templates)}))
    assert compile_block(env, "app/known", "b").render({"x": "x", "q": ""}) == "1x"
    assert compile_block(env, "app/unknown", "b").render({"x": "x", "q": "", "layout": "app/one"}) == "1x"


# ── declared parents ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "extends", ["layout", "layout or 'one'", "layout|default('one')", "layout if layout else 'one'", "conf.layout"]
)
def test_a_page_is_analysed_with_each_declared_parent(extends: str) -> None:
    templates = {"one": "{% block b %}1{{ q }}{% endblock %}", "two": "{% block b %}2{{ w }}{% endblock %}"}
    env = environment({**templates, "page": f"{{% extends {extends} %}}{BODY}"})
    declare_parents(env, {"layout": ["one", "two"], "conf.layout": ["one", "two"]})
    block = analyse(env, "page").blocks["b"]
    assert block.alone is None
    assert block.paths >= {"q", "w", "x"}
    assert "*" not in block.paths
    for name, text in {"one": "1Qx", "two": "2Wx"}.items():
        values = {"layout": name, "conf": {"layout": name}, "q": "Q", "w": "W", "x": "x"}
        assert compile_block(env, "page", "b").render(values) == text


def test_another_parent_than_the_declared_ones_is_an_error() -> None:
    env = environment({**SITE, "page": "{% extends layout %}" + BODY})
    declare_parents(env, {"layout": ["one", "three"]})
    with pytest.raises(BlockRenderError, match=r"Reactive\(parents=…\)"):
        compile_block(env, "page", "b").render({"layout": "none"})


def test_an_include_of_a_declared_template_is_exact() -> None:
    env = environment({"page": "{% block b %}{% include part %}{% endblock %}", "one": "{{ q }}"})
    declare_parents(env, {"part": ["one"]})
    assert analyse(env, "page").blocks["b"].paths == {"part", "q"}


def test_a_later_declaration_is_noticed() -> None:
    env = environment({**SITE, "page": "{% extends layout %}" + BODY})
    assert analyse(env, "page").blocks["b"].paths == {"*"}
    Reactive(env, parents={"layout": ["one"]}, secret="a secret of the tests")
    assert analyse(env, "page").blocks["b"].paths >= {"q", "x"}
    assert "*" not in analyse(env, "page").blocks["b"].paths


def test_declared_parents_are_lists_of_names() -> None:
    env = environment({})
    with pytest.raises(TypeError, match=r"write \['base.html'\]"):
        declare_parents(env, {"layout": "base.html"})
    with pytest.raises(ValueError, match="no parents for 'layout'"):
        declare_parents(env, {"layout": []})


# ── state of their own ───────────────────────────────────────────────────────────────────────────────────────────────

LOCAL = {
    "a list of a macro": "{% macro f(v) %}{% set l = [] %}{% do l.append(v) %}{{ l }}{% endmacro %}"
    "{% block a %}{{ f(x) }}{% endblock %}{% block b %}{{ f(x) }}{% endblock %}",
    "a namespace of a macro": "{% macro f(v) %}{% set ns = namespace(n=0) %}{% set ns.n = ns.n + v %}{{ ns.n }}"
    "{% endmacro %}{% block a %}{{ f(x) }}{% endblock %}{% block b %}{{ f(x) }}{% endblock %}",
    "a cycler of an included template": "{% block a %}{% include 'part' %}{% endblock %}"
    "{% block b %}{% include 'part' %}{% endblock %}",
    "keyword arguments": "{% macro f() %}{% do kwargs.update(a=x) %}{{ kwargs }}{% endmacro %}"
    "{% block a %}{{ f(a=1) }}{% endblock %}{% block b %}{{ f(a=1) }}{% endblock %}",
    "a block that another shows": "{% block a %}{% set ns = namespace(n=0) %}{% set ns.n = x %}{{ ns.n }}{% endblock %}"
    "{% block b %}{{ self.a() }}{% endblock %}",
}


@pytest.mark.parametrize("case", LOCAL)
def test_what_each_block_makes_for_itself_is_no_conflict(case: str) -> None:
    part = "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ x }}"
    env = environment({"page": LOCAL[case], "part": part})
    block = analyse(env, "page").blocks["b"]
    assert block.alone is None
    assert block.paths == {"x"}
    page = env.get_template("page").render(x=3)
    assert page == compile_block(env, "page", "b").render({"x": 3}) * 2


SHARED = {
    "a module's list": "{% import 'module' as m %}{% block a %}{{ m.f(x) }}{% endblock %}"
    "{% block b %}{{ m.f(x) }}{% endblock %}",
    "a module that each block imports": "{% block a %}{% import 'module' as m %}{{ m.f(x) }}{% endblock %}"
    "{% block b %}{% import 'module' as m %}{{ m.f(x) }}{% endblock %}",
    "a list that a block puts into a namespace": "{% set ns = namespace(l=[]) %}"
    "{% block a %}{% set ns.l = [x] %}{% endblock %}{% block b %}{{ ns.l }}{% endblock %}",
}


@pytest.mark.parametrize("case", SHARED)
def test_what_blocks_share_is_still_a_conflict(case: str) -> None:
    module = "{% set l = [] %}{% macro f(v) %}{% do l.append(v) %}{{ l }}{% endmacro %}"
    env = environment({"page": SHARED[case], "module": module})
    assert "it reads what the block 'a' changes" in (analyse(env, "page").blocks["b"].alone or "")


# ── definitions that the page does not show ──────────────────────────────────────────────────────────────────────────


def test_a_definition_that_the_page_does_not_show_is_no_second_showing() -> None:
    env = environment(
        {
            "page": "{% extends 'middle' %}{% block title %}{{ x }}{% endblock %}",
            "middle": "{% extends 'base' %}{% block outer %}[{% block title %}{% endblock %}]{% endblock %}",
            "base": "<{% block title %}{% endblock %}>",
        }
    )
    page = analyse(env, "page")
    assert page.blocks["title"].alone is None
    assert compile_block(env, "page", "title").render({"x": 1}) == "1"
    assert compile_block(env, "page", "outer").render({"x": 1}) == "[1]"


def test_blocks_of_a_page_with_an_unknown_parent_are_nested_as_they_are_written() -> None:
    env = environment(
        {
            "page": "{% extends 'middle' %}{% block title %}{{ x }}{% endblock %}",
            "middle": "{% extends layout %}{% block outer %}[{% block title %}{% endblock %}]{% endblock %}",
        }
    )
    title = analyse(env, "page").blocks["title"]
    assert (title.alone, title.parent) == (None, "outer")


# ── components that call each other ──────────────────────────────────────────────────────────────────────────────────

COMPONENTS = {
    "field": "{% macro field(p) %}<{{ p.label }}{{ caller() if caller }}>{% endmacro %}",
    "choice": "{% from 'field' import field %}{% macro choice(p) %}{% from 'choices' import choices %}"
    "{% call field({'label': p.label}) %}{{ p.value }}"
    "{% if p.other %}{{ choices({'items': p.other}) }}{% endif %}{% endcall %}{% endmacro %}",
    "choices": "{% from 'choice' import choice %}{% macro choices(p) %}{% set inner %}{% for i in p['items'] %}"
    "{{ choice({'label': i.label, 'value': i.value, 'other': i.other}) }}{% endfor %}{% endset %}{{ inner }}"
    "{% endmacro %}",
    "page": "{% from 'choices' import choices %}{% block a %}{{ choices({'items': x}) }}{% endblock %}"
    "{% block b %}{{ choices({'items': y.z}) }}{{ t }}{% endblock %}",
}


def test_components_that_call_each_other_are_followed_to_the_end() -> None:
    env = environment(COMPONENTS)
    blocks = analyse(env, "page").blocks
    assert blocks["a"].paths == {"x"}
    assert blocks["b"].paths == {"y.z", "t"}
    assert [each.alone or each.widened for each in blocks.values()] == [(), ()]
    values = {"x": [], "y": {"z": [{"label": 1, "value": 2, "other": [{"label": 3}]}]}, "t": "T"}
    assert env.get_template("page").render(values) == compile_block(env, "page", "b").render(values) == "<12<3>>T"


def test_what_a_macro_reads_in_each_branch_counts() -> None:
    page = (
        "{% block b %}{% macro m() %}{{ x }}{% endmacro %}"
        "{% if a %}{% set x = p %}{{ m() }}{% else %}{{ m() }}{% endif %}{% endblock %}"
    )
    assert analyse(environment({"page": page}), "page").blocks["b"].paths == {"a", "p", "x"}


def test_a_macro_that_is_called_before_and_after_a_change_is_read_again() -> None:
    page = (
        "{% set ns = namespace(v='') %}{% macro m() %}{{ ns.v }}{% endmacro %}"
        "{% block b %}{{ m() }}{% set ns.v = x %}{% set z = m() %}{{ z }}{% endblock %}"
    )
    assert analyse(environment({"page": page}), "page").blocks["b"].paths == {"x"}


def test_a_long_chain_of_elif_is_no_deep_recursion() -> None:
    chain = "".join(f"{{% elif n == {number} %}}{{{{ v{number} }}}}" for number in range(900))
    page = f"{{% block b %}}{{% if a %}}1{chain}{{% endif %}}{{% endblock %}}"
    assert len(analyse(environment({"page": page}), "page").blocks["b"].paths) == 902


# ── blocks in call blocks and macros ─────────────────────────────────────────────────────────────────────────────────

LIBRARY = (
    "{% macro card() %}<div>{{ caller() }}</div>{% endmacro %}"
    "{% macro maybe(c) %}{% if c %}{{ caller(1) }}{% endif %}{% endmacro %}"
    "{% macro pass() %}{% set body = caller %}{% call card() %}{{ body() }}{% endcall %}{% endmacro %}"
    "{% macro twice() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    "{% macro upper() %}{{ caller()|upper }}{% endmacro %}"
    "{% macro keep() %}{% set text = caller() %}{{ text }}{% endmacro %}"
    "{% macro each(l) %}{% for i in l %}{{ caller() }}{% endfor %}{% endmacro %}"
    "{% macro plain() %}{% autoescape false %}{{ caller() }}{% endautoescape %}{% endmacro %}"
    "{% macro own() %}{% block b %}{% endblock %}{% endmacro %}"
)
BLOCK = "{% block b %}[{{ x }}{{ v }}]{% endblock %}"
MACRO = "{% macro m() %}" + BLOCK + "{% endmacro %}"

SHOWN_ONCE = {
    "a call block": "{% call l.card() %}" + BLOCK + "{% endcall %}",
    "a call block under a condition": "{% call(a) l.maybe(x) %}" + BLOCK + "{% endcall %}",
    "a call block that a call block hands on": "{% call l.pass() %}" + BLOCK + "{% endcall %}",
    "nested call blocks": "{% call l.card() %}{% call l.card() %}" + BLOCK + "{% endcall %}{% endcall %}",
    "a call block in a block": "{% block o %}{% call l.card() %}" + BLOCK + "{% endcall %}{% endblock %}",
    "a macro": MACRO + "{{ m() }}",
}
NOT_SHOWN_ONCE = {
    "a caller that is called twice": ("{% call l.twice() %}" + BLOCK + "{% endcall %}", "more than once"),
    "a filtered caller": ("{% call l.upper() %}" + BLOCK + "{% endcall %}", "inside the call block"),
    "a caller whose text is kept": ("{% call l.keep() %}" + BLOCK + "{% endcall %}", "inside the call block"),
    "a caller in a loop": ("{% call l.each(x) %}" + BLOCK + "{% endcall %}", "inside the for loop"),
    "a caller with other escaping": ("{% call l.plain() %}" + BLOCK + "{% endcall %}", "inside the call block"),
    "a function that is not a macro": ("{% call f() %}" + BLOCK + "{% endcall %}", "inside the call block"),
    "a macro in an expression": (MACRO + "{{ m() ~ '' }}", "inside the macro 'm'"),
    "a macro whose text is kept": (MACRO + "{% set y = m() %}{{ y }}", "inside the macro 'm'"),
    "a macro that is called twice": (MACRO + "{{ m() }}{{ m() }}", "more than once"),
    "a macro that calls itself": (
        "{% macro m(n) %}" + BLOCK + "{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(1) }}",
        "inside the macro 'm'",
    ),
    "a macro that calls itself in the same way": (
        "{% macro m() %}" + BLOCK + "{% if f() %}{{ m() }}{% endif %}{% endmacro %}{{ m() }}",
        "more than once",
    ),
    "an imported macro": ("{{ l.own() }}", "inside the macro 'own'"),
}


def library_page(body: str, **options: Any) -> Environment:
    page = "{% import 'library' as l %}{% set v = q %}" + body
    return environment({"page": page, "library": LIBRARY}, autoescape=True, **options)


@pytest.mark.parametrize("case", SHOWN_ONCE)
@pytest.mark.parametrize("enable_async", [False, True])
def test_a_block_whose_text_a_component_shows_unchanged_is_rendered_alone(case: str, enable_async: bool) -> None:
    env = library_page(SHOWN_ONCE[case], enable_async=enable_async)
    block = analyse(env, "page").blocks["b"]
    assert block.alone is None
    assert block.paths == {"x", "q"}
    alone = compile_block(env, "page", "b").render({"x": "<", "q": "Q"})
    assert alone == "[&lt;Q]"
    assert env.get_template("page").render(x="<", q="Q").count(alone) == 1


@pytest.mark.parametrize("case", NOT_SHOWN_ONCE)
def test_a_block_whose_text_a_component_changes_or_repeats_is_refused(case: str) -> None:
    body, reason = NOT_SHOWN_ONCE[case]
    assert reason in (analyse(library_page(body), "page").blocks["b"].alone or "")


def test_a_function_that_finalizes_values_may_change_a_components_text() -> None:
    env = library_page(SHOWN_ONCE["a macro"], finalize=lambda value: str(value).lower())
    assert "inside the macro 'm'" in (analyse(env, "page").blocks["b"].alone or "")
