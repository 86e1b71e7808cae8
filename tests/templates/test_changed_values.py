# ruff: noqa: E501 - one construct per line is easier to read
"""Values of the context that a template changes: blocks that show them afterwards show what the page shows."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import DictLoader, Environment

from starlette_reactive._templates import analyse, compile_block


def context() -> dict[str, Any]:
    return {
        "x": {"y": {"k": 1}, "l": [1]},
        "q": 5,
        "rows": [{"n": 1}, {"n": 2}],
        "r": {"a": {"b": []}},
    }


VALUE = "{{ x.y.k }}"
CHANGES = {
    "direct": ("{% do x.y.update(k=q) %}", VALUE),
    "by a name": ("{% set d = x.y %}{% do d.update(k=q) %}", VALUE),
    "in a macro": ("{% macro m(d) %}{% do d.update(k=q) %}{% endmacro %}{{ m(x.y) }}", VALUE),
    "in a macro that calls itself": ("{% macro m(d, n) %}{% do d.update(k=q) if not n %}{{ m(d, n - 1) if n }}{% endmacro %}{{ m(x.y, 2) }}", VALUE),
    "of an item": ("{% for row in rows %}{% do row.update(n=q) %}{% endfor %}", "{{ rows[0].n }}"),
    "of an item that a loop shows": ("{% for row in rows %}{% do row.update(n=q) %}{% endfor %}", "{% for row in rows %}{{ row.n }}{% endfor %}"),
    "of what a method returns": ("{% do x.get('y').update(k=q) %}", VALUE),
    "of a choice": ("{% do (x.y or {}).update(k=q) %}", VALUE),
    "of a default": ("{% do (x.y|default({})).update(k=q) %}", VALUE),
    "by setdefault": ("{% do x.setdefault('z', q) %}", "{{ x.z }}"),
    "of what setdefault returns": ("{% set ex = x.setdefault('y', {}) %}{% set _ = ex.update({'k': q}) %}", VALUE),
    "of the values of a dict": ("{% for v in r.values() %}{% do v.b.append(q) %}{% endfor %}", "{{ r.a.b }}"),
    "of what a filter returns": ("{% do (rows|first).update(n=q) %}", "{{ rows[0].n }}"),
    "in a list": ("{% for d in [x.y] %}{% do d.update(k=q) %}{% endfor %}", VALUE),
    "in a dict": ("{% set l = {'a': x.y} %}{% do l.get('a').update(k=q) %}", VALUE),
    "in a namespace": ("{% set ns = namespace(d=x.y) %}{% do ns.d.update(k=q) %}", VALUE),
    "by a computed key": ("{% set key = 'y' %}{% do x[key|lower].update(k=q) %}", VALUE),
    "through kwargs": ("{% macro m() %}{% do kwargs.d.update(k=q) %}{% endmacro %}{{ m(d=x.y) }}", VALUE),
    "through caller": ("{% macro m() %}{{ caller(x.y) }}{% endmacro %}{% call(d) m() %}{% do d.update(k=q) %}{% endcall %}", VALUE),
}  # fmt: skip


def environment(page: str) -> Environment:
    return Environment(loader=DictLoader({"page": page}), extensions=["jinja2.ext.do"])


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_outside_of_the_blocks_is_made_for_a_block_alone_too(change: str) -> None:
    statements, shown = CHANGES[change]
    env = environment(f"{statements}[{{% block b %}}{shown}{{% endblock %}}]")
    page = env.get_template("page").render(context())
    block = analyse(env, "page").blocks["b"]
    assert "5" in page
    assert f"[{compile_block(env, 'page', 'b').render(context())}]" == page
    assert block.paths >= {"q"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_block_that_shows_what_another_has_changed_is_not_rendered_alone(change: str) -> None:
    statements, shown = CHANGES[change]
    env = environment(f"{{% block a %}}{statements}{{% endblock %}}{{% block b %}}{shown}{{% endblock %}}")
    assert analyse(env, "page").blocks["b"].alone == "it reads what the block 'a' changes at page:1"


def test_a_list_that_a_block_makes_under_a_condition_is_no_part_of_what_it_depends_on() -> None:
    env = environment(
        "{% block a %}{% if x.l %}{% set l = [] %}{% else %}{% set l = [1] %}{% endif %}{% do l.append(q) %}{{ l }}{% endblock %}"
        "{% block b %}{{ x.l }}{% endblock %}"
    )
    block = analyse(env, "page").blocks["b"]
    assert block.alone is None
    assert block.paths == {"x.l"}
