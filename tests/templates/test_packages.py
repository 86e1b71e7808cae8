"""No missed reads, and blocks equal to the page, on every template of third-party packages."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChainableUndefined, Environment, FileSystemLoader, TemplateError, nodes, select_autoescape

from starlette_reactive._templates import analyse, elements

from .oracle import Result, check


@dataclass(frozen=True, slots=True)
class Package:
    """Where a package has its templates, and the values that they need to produce output."""

    folder: str = "templates"
    names: Mapping[str, Any] = field(default_factory=dict)
    functions: tuple[str, ...] = ()


PACKAGES = {
    "sqladmin": Package(),
    "starlette_admin": Package(),
    "flask_admin": Package(
        "templates/bootstrap4",
        names={"admin_base_template": "admin/base.html"},
        functions=("url_for", "get_url", "get_flashed_messages"),
    ),
}


@cache
def stubs(root: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the filters and tests in a package's templates."""
    env = environment(Environment, root)
    filters: set[str] = set()
    tests: set[str] = set()
    for name in template_names(env):
        tree = env.parse((root / name).read_text(encoding="utf-8"))
        filters.update(each.name for each in tree.find_all(nodes.Filter))
        tests.update(each.name for each in tree.find_all(nodes.Test))
    return frozenset(filters), frozenset(tests)


def environment(kind: type[Environment], root: Path) -> Environment:
    """Return an environment for the templates in ``root``."""
    env = kind(
        loader=FileSystemLoader(root),
        autoescape=select_autoescape(),
        extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
        undefined=ChainableUndefined,
    )
    env.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    return env


def template_names(env: Environment) -> list[str]:
    """Return the names of the package's templates."""
    return env.list_templates(filter_func=lambda each: each.endswith((".html", ".xml", ".j2")))


def make_for(package: str) -> Callable[[type[Environment]], Environment]:
    """Return a factory of environments for a package's templates, with stubs for its own filters and tests."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:  # pragma: no cover - the development extra has them
        pytest.skip(f"{package} is not installed")
    root = Path(spec.submodule_search_locations[0]) / PACKAGES[package].folder
    filters, tests = stubs(root)

    def make(kind: type[Environment]) -> Environment:
        env = environment(kind, root)
        env.filters = dict.fromkeys(filters, _unchanged) | env.filters | {"tojson": str, "items": _pairs}
        env.globals.update(dict.fromkeys(PACKAGES[package].functions, _empty))
        env.tests = dict.fromkeys(tests, _is_true) | env.tests
        return env

    return make


def _unchanged(value: Any, *_args: Any, **_kwargs: Any) -> Any:
    return value


def _empty(*_args: Any, **_kwargs: Any) -> str:
    return ""


def _is_true(value: Any, *_args: Any) -> bool:
    return bool(value)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    return [(each, each) for each in value]


def templates_of(env: Environment) -> Iterator[str]:
    """Yield the templates that Jinja compiles."""
    for name in template_names(env):
        try:
            env.get_template(name)
        except TemplateError:
            continue
        yield name


@cache
def outcome(package: str, seeds: int = 5) -> Result:
    """Return the combined result for all templates of a package."""
    make = make_for(package)
    total = Result()
    for name in templates_of(make(Environment)):
        total.add(check(make, name, seeds=range(seeds), extra=PACKAGES[package].names, changes=4), name)
    return total


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_no_read_is_missed_and_blocks_rendered_alone_equal_the_pages(package: str) -> None:
    total = outcome(package)
    assert total.misses == set()
    assert total.differences == []
    assert total.compared > 100


@pytest.mark.slow
def test_nine_in_ten_reported_paths_are_read() -> None:
    """Count over all packages. A path counts as read if any rendering reads it or a path below it."""
    reported = hit = 0
    for package in PACKAGES:
        total = outcome(package)
        reported += len(total.reported)
        hit += len(total.hit)
        print(
            f"{package}: {total.precision:.3f} of {len(total.reported)} paths; {len(total.everything)} read everything"
        )
    assert reported > 500
    assert hit / reported >= 0.9


@pytest.mark.parametrize("package", PACKAGES)
def test_every_template_that_jinja_compiles_is_analysed(package: str) -> None:
    env = make_for(package)(Environment)
    for name in templates_of(env):
        analyse(env, name)
        elements(env, name)
