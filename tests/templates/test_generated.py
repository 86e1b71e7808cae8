"""No missed reads, and blocks equal to the page, on generated templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import ChainableUndefined, Environment, TemplateError

from starlette_reactive._templates import analyse, elements

from .choice_writer import choice_site
from .oracle import Result, check, environments_of
from .writer import NAMES, Random, site

EXTENSIONS = ["jinja2.ext.do", "jinja2.ext.loopcontrols"]
LOOKED_UP = {*NAMES, "a", "b", "_p", "mode", "q", "v", "w"}
PARTS = 8
"""The number of tests that share the sites whose values choose."""


class HypothesisChooser:
    """Lets hypothesis make the choices."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def pick(self, options: Sequence[str]) -> str:
        return self.draw(st.sampled_from(options))

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


@st.composite
def sites(draw: st.DrawFn) -> dict[str, str]:
    return site(HypothesisChooser(draw))


def environments(templates: dict[str, str]) -> Callable[[type[Environment]], Environment] | None:
    """Return a factory of environments with ``templates``, or None if Jinja does not compile them."""
    make = environments_of(templates, autoescape=True, undefined=ChainableUndefined, extensions=EXTENSIONS)
    env = make(Environment)
    try:
        for name in templates:
            env.get_template(name)
    except (TemplateError, SyntaxError):
        return None
    return make


def check_site(templates: dict[str, str], seeds: int, changes: int = 0) -> Result | None:
    make = environments(templates)
    if make is None:
        return None
    elements(make(Environment), "page")
    return check(make, "page", seeds=range(seeds), names=LOOKED_UP, changes=changes)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(sites())
def test_no_read_is_missed_and_a_block_rendered_alone_equals_the_page(templates: dict[str, str]) -> None:
    result = check_site(templates, 3)
    if result is not None:
        assert result.misses == set()
        assert result.differences == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 20, 10))
def test_large_pages_pass_the_same_checks(first: int) -> None:
    compared = 0
    for seed in range(first, first + 10):
        result = check_site(site(Random(seed)), 3, changes=8)
        if result is not None:
            assert result.misses == set(), seed
            assert result.differences == [], seed
            compared += result.compared
    assert compared > 10


def check_choices(seeds: range) -> None:
    compared = changed = 0
    for seed in seeds:
        result = check_site(choice_site(Random(seed)), 2, changes=12)
        if result is not None:
            assert result.misses == set(), seed
            assert result.differences == [], seed
            compared += result.compared
            changed += result.changed
    assert compared > 10 * len(seeds)
    assert changed > 5 * len(seeds)


def test_the_values_choose_and_every_changed_text_is_expected() -> None:
    check_choices(range(40))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_changed_text_is_expected_on_many_sites(part: int, request: pytest.FixtureRequest) -> None:
    check_choices(range(40 + part, 40 + request.config.getoption("--template-sites"), PARTS))


def test_a_second_analysis_returns_the_same_result() -> None:
    for seed in range(8):
        templates = site(Random(seed))
        make = environments(templates)
        if make is not None:
            assert analyse(make(Environment), "page") == analyse(make(Environment), "page")
