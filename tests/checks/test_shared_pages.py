"""Live blocks of shared pages whose content may depend on the request of a viewer."""

from __future__ import annotations

import functools
import gettext
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from starlette_reactive import Reactive
from starlette_reactive._checks import Issue

from ..pages.support import SECRET, request, stream

LOCALE: ContextVar[str] = ContextVar("LOCALE", default="en")
SINK = "<div {{ live() }}></div><script src='/app.js'></script>"
BLOCKS = (
    """<!doctype html><html lang="en">
<p id="one">{% block one %}{{ locale }} {{ n }}{% endblock %}</p>
<p id="two">{% block two %}{{ n }}{% endblock %}</p>
{{ locale }}
"""
    + SINK
)


def environment(page: str, **more: str) -> Environment:
    templates = {"page.html": page, **{f"{name}.html": source for name, source in more.items()}}
    return Environment(loader=DictLoader(templates), autoescape=True, extensions=["jinja2.ext.i18n"])


def page() -> dict[str, Any]:
    return {"n": 1}


def issues(env: Environment, *processors: Callable[[Request], dict[str, Any]], shared: bool = True) -> list[Issue]:
    reactive = Reactive(Jinja2Templates(env=env, context_processors=list(processors)), secret=SECRET)
    reactive.page("page.html", scope="all", shared=shared)(page)
    return reactive.check()


# Context processors


def by_header(request: Request) -> dict[str, Any]:
    return {"locale": request.headers.get("accept-language"), "other": 1}


def by_keyword(request: Request) -> dict[str, Any]:
    return dict(locale=request.url.path, other=1)  # noqa: C408


def by_item(request: Request) -> dict[str, Any]:
    context: dict[str, Any] = {}
    context["locale"] = request.cookies.get("locale")
    return context


def _find(request: Request) -> dict[str, Any]:
    return {"locale": request.headers.get("accept-language")}


def by_helper(request: Request) -> dict[str, Any]:
    return _find(request)


def by_closure(request: Request) -> dict[str, Any]:
    def value() -> str:
        return request.url.path

    return {"locale": value()}


def by_context_variable(request: Request) -> dict[str, Any]:
    return {"locale": LOCALE.get()}


def _current() -> str:
    return LOCALE.get()


def by_helper_with_context_variable(request: Request) -> dict[str, Any]:
    return {"locale": _current()}


class Processor:
    def __call__(self, request: Request) -> dict[str, Any]:
        return {"locale": request.headers.get("accept-language")}

    def method(self, request: Request) -> dict[str, Any]:
        return {"locale": request.headers.get("accept-language")}


def with_wraps(function: Callable[[Request], dict[str, Any]]) -> Callable[[Request], dict[str, Any]]:
    @functools.wraps(function)
    def wrapper(request: Request) -> dict[str, Any]:
        return function(request)

    return wrapper


@pytest.mark.parametrize(
    "processor",
    [
        by_header,
        by_keyword,
        by_item,
        by_helper,
        by_closure,
        by_context_variable,
        by_helper_with_context_variable,
        functools.partial(by_header),
        Processor(),
        Processor().method,
        with_wraps(by_header),
        lambda request: {"locale": request.url.path},
    ],
)
def test_a_name_that_a_context_processor_may_find_in_the_request_is_reported(
    processor: Callable[[Request], dict[str, Any]],
) -> None:
    (issue,) = issues(environment(BLOCKS), processor)
    assert (issue.category, issue.severity) == ("shared_request", "warning")
    assert (issue.template, issue.line) == ("page.html", 2)
    assert (
        "the live block 'one' of the shared page reads 'locale', which tests.checks.test_shared_pages" in issue.message
    )
    assert "exclude the block with exclude_blocks=" in issue.fix
    assert issues(environment(BLOCKS), processor, shared=False) == []


def constant(request: Request) -> dict[str, Any]:
    return {"locale": "en"}


def other_names(request: Request) -> dict[str, Any]:
    return {"path": request.url.path}


def builtin(*_: Any) -> dict[str, Any]:
    return {"locale": "en"}


@pytest.mark.parametrize("processor", [constant, other_names, builtin, dict])
def test_what_does_not_depend_on_the_request_or_is_not_read_is_not_reported(
    processor: Callable[[Request], dict[str, Any]],
) -> None:
    assert issues(environment(BLOCKS), processor) == []


def test_a_name_that_only_the_page_reads_is_not_reported() -> None:
    outside = f"<html>{{{{ locale }}}}<p id='one'>{{% block one %}}{{{{ n }}}}{{% endblock %}}</p>{SINK}"
    assert issues(environment(outside), by_header) == []


def test_a_comment_silences_the_report() -> None:
    silenced = BLOCKS.replace('<p id="one">', '{# reactive: ignore shared_request #}\n<p id="one">')
    assert issues(environment(silenced), by_header) == []


async def test_the_report_is_right_a_shared_update_shows_everybody_what_is_returned_without_a_request() -> None:
    templates = Jinja2Templates(env=environment(BLOCKS), context_processors=[by_header])
    reactive = Reactive(templates, secret=SECRET)
    decorated = reactive.page("page.html", scope="all", shared=True)(page)
    app = Starlette(routes=[*reactive.routes, Route("/", decorated)])
    seen = await request(app, "/", headers={"Accept-Language": "de"})
    assert '<p id="one">de 1</p>' in seen.text
    async with stream(app, seen.url, headers={"Accept-Language": "de"}) as connection:
        await reactive.emit("all", "locale")
        assert ">None 1<" in ((await connection.next_update()).data or "")


# Translations

TRANSLATED = [
    "{{ _('Hello') }}",
    "{{ gettext('Hello') }}",
    "{{ ngettext('one', 'more', n) }}",
    "{% trans %}Hello{% endtrans %}",
    "{% trans n=n %}one{% pluralize %}more{% endtrans %}",
    "{% include 'part.html' %}",
    "{% from 'macros.html' import hello %}{{ hello() }}",
    "{% block inner %}{{ _('Hello') }}{% endblock %}",
]


def translated(text: str) -> Environment:
    source = (
        f'<html>{{{{ _("title") }}}}\n<p id="one">{{% block one %}}{{{{ n }}}}{text}{{% endblock %}}</p>\n'
        f'<p id="two">{{% block two %}}{{{{ n }}}}{{% endblock %}}</p>{SINK}'
    )
    macros = "{% macro hello() %}{{ _('Hello') }}{% endmacro %}"
    return environment(source, part="{{ _('Hello') }}", macros=macros)


def by_locale(message: str) -> str:
    return f"{LOCALE.get()} {message}"


def plural_by_locale(one: str, more: str, number: int) -> str:
    return by_locale(one if number == 1 else more)


def install(env: Environment, *, newstyle: bool) -> None:
    env.install_gettext_callables(by_locale, plural_by_locale, newstyle=newstyle)  # type: ignore[attr-defined]


@pytest.mark.parametrize("newstyle", [True, False])
@pytest.mark.parametrize("text", TRANSLATED)
def test_a_translated_live_block_of_a_shared_page_is_reported(text: str, newstyle: bool) -> None:
    env = translated(text)
    install(env, newstyle=newstyle)
    (issue,) = issues(env)
    assert (issue.category, issue.severity) == ("shared_request", "warning")
    assert (issue.template, issue.line) == ("page.html", 2)
    assert "the live block 'one' of the shared page is translated" in issue.message
    assert "let the path or the query of the page name the language" in issue.fix
    assert [each.category for each in issues(env, shared=False)] == ["could_share"]


@pytest.mark.parametrize("newstyle", [True, False])
def test_translations_into_one_language_are_not_reported(newstyle: bool) -> None:
    for install_fixed in ("install_null_translations", "install_gettext_translations"):
        env = translated(TRANSLATED[0])
        arguments = [gettext.NullTranslations()] if install_fixed == "install_gettext_translations" else []
        getattr(env, install_fixed)(*arguments, newstyle=newstyle)
        assert issues(env) == []


def test_a_live_block_without_translations_is_not_reported() -> None:
    env = translated("")
    install(env, newstyle=True)
    assert issues(env) == []


def test_translations_that_are_not_installed_are_not_reported() -> None:
    assert issues(translated(TRANSLATED[0])) == []
