"""Who shares the renders of live blocks: pages that could be shared, and pages whose viewers share by key."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from starlette.requests import Request

from starlette_reactive import DependencyIndex
from starlette_reactive._checks import AppDescription, DeclaredPage, Issue, check
from starlette_reactive._checks.settings import read_settings
from starlette_reactive._index.index import register_elements

NAMES = frozenset({"user", "request"})
TWO = """<html>
<p id="one">{% block one %}{{ locale }} {{ n }}{% endblock %}</p>
<p id="two">{% block two %}{{ user }} {{ locale }}{% endblock %}</p>
"""


def locale(request: Request) -> dict[str, Any]:
    return {"locale": request.headers.get("accept-language")}


def issues(
    source: str,
    *processors: Callable[[Request], dict[str, Any]],
    shared: bool = False,
    share: bool = False,
    exclude: tuple[str, ...] = (),
    names: frozenset[str] = NAMES,
    translations: gettext.NullTranslations | Callable[[str], str] | None = None,
    levels: dict[str, str] | None = None,
    **templates: str,
) -> list[Issue]:
    env = Environment(loader=DictLoader({"page": source, **templates}), autoescape=True, extensions=["jinja2.ext.i18n"])
    if callable(translations):
        env.install_gettext_callables(translations, lambda one, more, n: one)  # type: ignore[attr-defined]
    index = DependencyIndex()
    register_elements(index, env, "page", exclude_blocks=exclude, unless_read={"live"})
    page = DeclaredPage("page", ("room",), shared, "htmx", index, share=share)
    app = AppDescription([env], pages=[page], viewer_names=names, context_processors=processors)
    return check(app, read_settings({"not_connected": "off", **(levels or {})}))


def categories(*arguments: Any, **options: Any) -> list[str]:
    return [issue.category for issue in issues(*arguments, **options)]


# Pages that could be shared

OWN = '<html>\n<p id="a">{% block a %}{{ n }}{% endblock %}</p>'


def test_a_private_page_whose_live_blocks_read_no_viewers_name_could_be_shared() -> None:
    (issue,) = issues(OWN)
    assert (issue.category, issue.severity, issue.template, issue.line) == ("could_share", "info", "page", 2)
    assert "scope 'room' could be shared" in issue.message
    assert "shared=True if everybody sees the same without credentials" in issue.fix
    assert "share=" in issue.fix


@pytest.mark.parametrize(
    ("what", "source", "options"),
    [
        ("it is shared", OWN, {"shared": True}),
        ("its viewers share by key", OWN, {"share": True}),
        ("it has no live block", "<html>{{ n }}", {}),
        ("its only block is excluded", OWN, {"exclude": ("a",)}),
        ("a block reads a viewer's name", f"{OWN}<p id=b>{{% block b %}}{{{{ user }}}}{{% endblock %}}</p>", {}),
        ("a block contains one that does", OWN.replace("{{ n }}", "{% block b %}{{ user }}{% endblock %}"), {}),
        ("the application has named it", OWN, {"names": frozenset({"n"})}),
    ],
)
def test_other_pages_could_not_be_shared(what: str, source: str, options: dict[str, Any]) -> None:
    assert categories(source, **options) == [], what


def test_a_page_with_a_block_that_may_read_anything_could_not_be_shared() -> None:
    assert categories(OWN.replace("{{ n }}", "{% include n %}")) == ["block_unknown"]


def test_a_page_that_shows_what_a_context_processor_finds_in_the_request_could_not_be_shared() -> None:
    source = OWN.replace("{{ n }}", "{{ locale }}")
    assert categories(source) == ["could_share"]
    assert categories(source, locale) == []


def test_each_page_of_a_base_template_could_be_shared() -> None:
    (issue,) = issues("{% extends 'base' %}", base=OWN)
    assert (issue.template, issue.line) == ("page", None)


def test_it_can_be_silenced_for_one_page_and_for_all() -> None:
    assert categories(OWN.replace("\n", "\n{# reactive: ignore could_share #}\n")) == []
    assert categories(OWN, levels={"could_share": "off"}) == []


# Shared blocks that depend on the request


def test_a_name_that_a_context_processor_may_find_in_the_request_is_reported_for_shared_blocks_only() -> None:
    (issue,) = issues(TWO, locale, share=True)
    assert (issue.category, issue.severity, issue.template, issue.line) == ("shared_request", "warning", "page", 2)
    assert "'one' of the page with share= reads 'locale', which tests.checks.test_sharing.locale" in issue.message
    assert "add 'locale' to viewer_names=" in issue.fix
    assert "let the key contain what it depends on" in issue.fix
    assert issues(TWO, locale, share=True, names=NAMES | {"locale"}) == []
    assert issues(TWO, share=True) == []


@pytest.mark.parametrize("sharing", [{"shared": True}, {"share": True}])
def test_a_name_that_only_an_excluded_block_inside_reads_is_reported(sharing: dict[str, Any]) -> None:
    source = '<html>\n<p id="a">{% block a %}{{ n }}{% block b %}{{ locale }}{% endblock %}{% endblock %}</p>'
    (issue,) = issues(source, locale, exclude=("b",), **sharing)
    assert (issue.category, issue.line) == ("shared_request", 2)


def test_a_viewers_name_in_a_shared_page_is_one_issue_even_if_a_context_processor_supplies_it() -> None:
    source = OWN.replace("{{ n }}", "{{ locale }}")
    assert categories(source, locale, shared=True, names=frozenset({"locale"})) == ["viewer_name"]


def test_translations_by_request_are_reported_for_shared_blocks_only() -> None:
    source = TWO.replace("{{ locale }}", "{{ _('Hello') }}")
    (issue,) = issues(source, share=True, translations=lambda text: text)
    assert (issue.category, issue.severity, issue.line) == ("shared_request", "warning", 2)
    assert "'one' of the page with share= is translated" in issue.message
    assert issue.fix.startswith("let the key contain the language")
    assert issues(source, share=True) == []


# Personal blocks

INSIDE = (
    '<html>\n<div id="a">{% block a %}AROUND<p id="b">{% block b %}{{ user }}{% endblock %}</p>{% endblock %}</div>'
)


def test_a_block_that_is_personal_only_because_of_a_block_in_it_is_reported_if_it_shows_anything_else() -> None:
    (issue,) = issues(INSIDE.replace("AROUND", "{{ n }}"), share=True)
    assert (issue.category, issue.severity, issue.template, issue.line) == ("personal_block", "info", "page", 2)
    assert issue.message.endswith("because it contains the block 'b', which reads 'user'")
    assert issue.fix == "move the block 'b' out of the block 'a'"
    assert issues(INSIDE.replace("AROUND", "text"), share=True) == []
    assert issues(INSIDE.replace("AROUND", "{{ user }}"), share=True) == []


def test_a_block_that_is_personal_only_because_it_may_read_anything_is_reported() -> None:
    found = issues(OWN.replace("{{ n }}", "{% include n %}"), share=True)
    assert [issue.category for issue in found] == ["block_unknown", "personal_block"]
    assert "may read anything" in found[1].message
    assert "constant" in found[1].fix


def test_a_private_page_is_not_reported() -> None:
    assert issues(INSIDE.replace("AROUND", "{{ n }}")) == []


# For whom one render serves


@pytest.mark.parametrize(
    ("sharing", "one", "two"),
    [
        ({"shared": True}, "once for all", "once for all"),
        ({"share": True}, "once for each key", "for each viewer: reads 'user'"),
        ({}, "for each viewer: the page is not shared", "for each viewer: reads 'user'"),
    ],
)
def test_each_block_says_for_whom_one_render_serves(sharing: dict[str, bool], one: str, two: str) -> None:
    env = Environment(loader=DictLoader({"page": TWO}), autoescape=True)
    index = DependencyIndex()
    register_elements(index, env, "page")
    shared, share = sharing.get("shared", False), sharing.get("share", False)
    page = DeclaredPage("page", ("room",), shared, "htmx", index, share=share)
    personal = page.personal(NAMES)
    served = [page.render_serves(ref.block_name, personal.get(ref)) for ref in index.blocks()]
    assert served == [one, two]
