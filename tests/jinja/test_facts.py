"""What a block reads, and a block alone."""

from __future__ import annotations

import pytest
from jinja2 import DictLoader, Environment

from starlette_reactive.errors import BlockNotFoundError, BlockRenderError, TemplateLoadError
from starlette_reactive.jinja import analyse, compile_block


def environment(**templates: str) -> Environment:
    return Environment(loader=DictLoader(templates))


def test_a_block_depends_on_the_deepest_paths_that_it_reads() -> None:
    env = environment(page="{% block a %}{% set d = doc %}{{ d.author.name }}{% endblock %}")
    assert analyse(env, "page").blocks["a"].paths == {"doc.author.name"}


def test_an_unknown_block_is_named_with_those_that_exist() -> None:
    env = environment(page="{% block tasks %}{% endblock %}")
    with pytest.raises(BlockNotFoundError, match=r"no block 'task'.* Did you mean 'tasks'"):
        compile_block(env, "page", "task")


def test_a_block_in_a_loop_is_not_rendered_alone_and_says_why() -> None:
    env = environment(page="{% for t in tasks %}\n{% block row scoped %}{{ t }}{% endblock %}{% endfor %}")
    with pytest.raises(BlockRenderError, match=r"inside the for loop over 'tasks' at page:1"):
        compile_block(env, "page", "row")


def test_a_template_that_does_not_exist_or_parse_is_named() -> None:
    env = environment(page="\n{% if %}")
    with pytest.raises(TemplateLoadError, match="no template 'pag'.* Did you mean 'page'"):
        analyse(env, "pag")
    with pytest.raises(TemplateLoadError, match="page:2"):
        analyse(env, "page")
