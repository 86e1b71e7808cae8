"""Which live blocks are personal, and why."""

from __future__ import annotations

import pytest

from starlette_reactive import BlockRef, DependencyIndex
from starlette_reactive._index.index import registry_of
from starlette_reactive._index.personal import personal_blocks
from starlette_reactive._index.registry import Registry
from tests.support import environment

NAMES = frozenset({"me", "request"})


def registered(source: str, *blocks: str) -> Registry:
    index = DependencyIndex()
    index.register_template(environment(page=source), "page.html", block_names=blocks or None)
    return registry_of(index)


def reasons(registry: Registry) -> dict[str, str]:
    found = personal_blocks(registry, NAMES)
    return {ref.block_name: reason.describe(ref.block_name) for ref, reason in found.items()}


def test_a_block_is_personal_if_it_reads_the_name_of_a_viewer() -> None:
    page = "{% block a %}{{ items }}{% endblock %}{% block b %}{{ me.name }}{% endblock %}"
    assert reasons(registered(page)) == {"b": "reads 'me'"}


@pytest.mark.parametrize(
    ("before", "expression"),
    [
        ("{% set x = me %}", "{{ x.name }}"),
        ("{% macro show() %}{{ me }}{% endmacro %}", "{{ show() }}"),
        ("", "{% with y = request.user %}{{ y }}{% endwith %}"),
        ("", "{% if me %}x{% endif %}"),
    ],
)
def test_a_name_is_followed_to_where_it_is_read(before: str, expression: str) -> None:
    assert list(reasons(registered(f"{before}{{% block a %}}{expression}{{% endblock %}}"))) == ["a"]


def test_a_block_around_a_personal_block_is_personal_and_one_inside_is_not() -> None:
    inner = "{% block b %}{{ me }}{% block c %}{{ items }}{% endblock %}{% endblock %}"
    page = "{% block a %}{{ title }}" + inner + "{% endblock %}"
    assert reasons(registered(page)) == {"a": "contains the block 'b', which reads 'me'", "b": "reads 'me'"}
    assert reasons(registered(page, "a", "c")) == {"a": "contains the block 'b', which reads 'me'"}


def test_a_block_that_may_read_anything_is_personal() -> None:
    found = reasons(registered("{% block a %}{% include which %}{% endblock %}"))
    assert found["a"].startswith("may read anything (")


def test_derived_paths_and_paths_by_hand_count() -> None:
    env = environment(page="{% block a %}{{ mine }}{% endblock %}{% block b %}{{ items }}{% endblock %}")
    index = DependencyIndex(env)
    index.register_template(env, "page.html")
    index.derive("mine", from_paths={"me.items"})
    index.register("me", BlockRef("page.html", "b"))
    assert reasons(registry_of(index)) == {"a": "reads 'me'", "b": "reads 'me'"}


def test_a_part_of_a_registry_ignores_what_only_the_other_blocks_read() -> None:
    page = "{% block a %}{{ me }}{% block b %}{{ items }}{% endblock %}{% endblock %}"
    whole = registered(page)
    part = whole.part({("page.html", "a")})
    assert part.affected(frozenset({"items"})) == []
    assert [ref.block_name for ref in part.affected(frozenset({"me"}))] == ["a"]
    assert [ref.block_name for ref in whole.part({("page.html", "b")}).affected(frozenset({"items"}))] == ["b"]
