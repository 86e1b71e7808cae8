"""What blocks read that use the macros of component libraries, and that they are rendered alone."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from jinja2 import ChainableUndefined, ChoiceLoader, DictLoader, Environment, FileSystemLoader, PrefixLoader, nodes

from starlette_reactive._templates import analyse

from .oracle import Result, check

LIBRARIES = ("govuk_frontend_jinja", "nhsuk_frontend_jinja", "tna_frontend_jinja")


def folder(library: str) -> Path:
    spec = importlib.util.find_spec(library)
    if spec is None or not spec.submodule_search_locations:  # pragma: no cover - the development extra has them
        pytest.skip(f"{library} is not installed")
    return Path(spec.submodule_search_locations[0]) / "templates"


def components(library: str) -> Iterator[tuple[str, str]]:
    """Yield the template and the name of each macro that takes parameters."""
    env = Environment(loader=FileSystemLoader(folder(library)))
    for name in env.list_templates():
        if "macro" in name.rsplit("/", 1)[-1]:
            for macro in env.parse((folder(library) / name).read_text(encoding="utf-8")).find_all(nodes.Macro):
                if [each.name for each in macro.args] == ["params"] and not macro.name.startswith("_"):
                    yield name, macro.name


@cache
def pages(library: str) -> dict[str, str]:
    """Return a page for each component: with a value of the context, and with parameters that the page computes."""
    return {f"page of {macro}": _page(name, macro) for name, macro in components(library)}


def _page(name: str, macro: str) -> str:
    parts = f"{macro}({{'text': title, 'html': text, 'items': tasks, 'id': 'x'}})"
    return (
        f"{{% from '{name}' import {macro} %}}{{% set title = doc.title %}}"
        f"{{% block whole %}}{{{{ {macro}(doc) }}}}{{% endblock %}}{{% block parts %}}{{{{ {parts} }}}}{{% endblock %}}"
    )


def make_for(library: str) -> Callable[[type[Environment]], Environment]:
    files = FileSystemLoader(folder(library))
    loader = ChoiceLoader([DictLoader(pages(library)), files, PrefixLoader({library: files})])

    def make(kind: type[Environment]) -> Environment:
        env = kind(loader=loader, autoescape=True, undefined=ChainableUndefined, extensions=["jinja2.ext.do"])
        env.filters["tojson"] = str
        return env

    return make


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_components_show_is_known(library: str) -> None:
    env = make_for(library)(Environment)
    assert len(pages(library)) > 20
    exact = 0
    for page in pages(library):
        blocks = analyse(env, page).blocks
        assert blocks["parts"].alone is blocks["whole"].alone is None, page
        exact += blocks["parts"].paths <= {"doc.title", "text", "tasks"}
    assert exact >= 0.9 * len(pages(library))


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_read_is_missed_and_blocks_rendered_alone_equal_the_pages(library: str) -> None:
    total = Result()
    for page in pages(library):
        total.add(check(make_for(library), page, seeds=range(3), changes=4), page)
    assert total.misses == set()
    assert total.differences == []
    assert total.compared > 100
    assert total.changed > 100
