"""The check as a whole: broken input, settings, and applications."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from jinja2 import BaseLoader, DictLoader, Environment, FileSystemLoader, nodes
from starlette.middleware.sessions import SessionMiddleware
from starlette.templating import Jinja2Templates

from example_app import live
from example_app.app import create_app
from starlette_reactive import DependencyIndex, EventStream, Reactive, ReactiveError, ReactiveMiddleware
from starlette_reactive._checks import AppDescription, DeclaredPage, Issue, check
from starlette_reactive._checks.htmx_setup import detect_htmx
from starlette_reactive._checks.settings import find_settings, read_settings
from starlette_reactive._cli.discovery import discover
from starlette_reactive._templates import elements
from tests.pages.test_documents import stages

from .cases import CONNECT, page_2, page_4

ROOT = Path(__file__).parents[2]
LIVE = CONNECT + '<p id="a" sse-swap="a">{% block a %}{{ x }}{% endblock %}</p></main>'
FAULTY = page_2(CONNECT + '<p sse-swap="error"></p></main>')


def issues_of(**templates: str) -> list[Issue]:
    return check(AppDescription([Environment(loader=DictLoader(templates), autoescape=True)]))


def test_the_example_application_has_no_issues() -> None:
    assert check(discover(create_app, "example_app.app:create_app").describe()) == []
    assert check(AppDescription([live.templates.env], [live.index])) == []


def issues_of_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Issue]:
    """Load ``app.py`` from a folder and check it as the command does."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REACTIVE_SECRET", "a secret for tests")
    spec = importlib.util.spec_from_file_location("program", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "program", module)
    spec.loader.exec_module(module)
    found = discover(module.app, "program:app")
    assert len(found.reactives) == 1
    return check(found.describe())


def test_the_smallest_program_has_no_issues_and_could_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    (issue,) = issues_of_program(ROOT / "docs" / "examples" / "smallest", monkeypatch)
    assert (issue.category, issue.severity, issue.template) == ("could_share", "info", "page.html")


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_tutorial_has_no_issues_and_its_live_page_could_be_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: int
) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "templates").mkdir()
    for name, text in stages()[stage].items():
        (tmp_path / name).write_text(text)
    assert {each.category for each in issues_of_program(tmp_path, monkeypatch)} <= {"could_share"}


def test_each_broken_file_in_the_templates_folder_gives_one_issue_and_the_rest_is_checked(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff\xfe")
    (tmp_path / "latin.html").write_bytes("<html>caf\xe9".encode("latin-1"))
    (tmp_path / "empty.html").write_text("")
    (tmp_path / "zero.html").write_text("<html>\0{{ x }}")
    (tmp_path / "broken.html").write_text("<html>\n{% for %}")
    (tmp_path / "page.liquid").write_text("<html>\n\n\n{% assign x = 1 %}")
    (tmp_path / "no_suffix").write_text("{{ x }}")
    (tmp_path / "extension.html").write_text("<html>{% cache 5 %}{% endcache %}")
    (tmp_path / "orphan.html").write_text("\n\n{% extends 'bsae.html' %}")
    (tmp_path / "lost.html").write_text("<html>\n{% include ['one.html', 'other.html'] %}")
    (tmp_path / "round.html").write_text("\n{% extends 'turn.html' %}")
    (tmp_path / "turn.html").write_text("{% extends 'round.html' %}")
    (tmp_path / "link.html").symlink_to(tmp_path / "gone.html")
    (tmp_path / "base.html").write_text(FAULTY)
    (tmp_path / "child.html").write_text("{% extends 'broken.html' %}")
    (tmp_path / "macro.html").write_text("{% import 'logo.png' as logo %}<html>{{ logo }}")
    (tmp_path / "unended.html").write_text("<html {{ '{{' }} <p '\" sse-swap=")
    issues = check(AppDescription([Environment(loader=FileSystemLoader(tmp_path), autoescape=True)]))
    assert [(issue.template, issue.line, issue.category) for issue in issues] == [
        ("base.html", 2, "sse_event_name"),
        ("broken.html", 2, "template"),
        ("extension.html", 1, "template"),
        ("latin.html", None, "template"),
        ("link.html", None, "template"),
        ("logo.png", None, "template"),
        ("lost.html", 2, "template"),
        ("orphan.html", 3, "template"),
        ("page.liquid", 4, "template"),
        ("round.html", 2, "template"),
    ]
    messages = {str(issue.template): f"{issue.message}; {issue.fix}" for issue in issues}
    assert "not text" in messages["logo.png"]
    assert "'cache'" in messages["extension.html"]
    assert "'assign'" in messages["page.liquid"]
    assert "did you mean 'base.html'?" in messages["orphan.html"]
    assert "broken link" in messages["link.html"]
    assert "of which none exists" in messages["lost.html"]
    assert "'round.html' extends 'turn.html' extends 'round.html'" in messages["round.html"]


class Broken(BaseLoader):
    def get_source(self, environment: Environment, template: str) -> Any:
        raise ConnectionResetError("gone") if template == "a" else ZeroDivisionError("odd")

    def list_templates(self) -> list[str]:
        return ["a", "b"]


def test_a_failing_loader_and_a_deeply_nested_template_give_one_issue_each() -> None:
    deep = "{% if x %}" * 2000 + "{% endif %}" * 2000
    (issue,) = issues_of(page=deep)
    assert "too deep" in issue.message
    first, second = check(AppDescription([Environment(loader=Broken(), autoescape=True)]))
    assert "gone" in first.message
    assert "odd" in second.message


def test_templates_of_two_environments_do_not_mix() -> None:
    one = Environment(loader=DictLoader({"page": page_2(LIVE)}), autoescape=True)
    other = Environment(loader=DictLoader({"page": page_2(CONNECT + '<p sse-swap="b"></p></main>')}), autoescape=True)
    index = DependencyIndex()
    index.register_from_sse_swaps(one, "page")
    assert check(AppDescription([one, other], [index])) == []


class Counting(Environment):
    """An environment that counts how often each template is parsed, and refuses to compile."""

    def __init__(self, templates: dict[str, str]) -> None:
        super().__init__(loader=DictLoader(templates), autoescape=True)
        self.parsed: Counter[str | None] = Counter()

    def parse(self, source: str, name: str | None = None, filename: str | None = None) -> nodes.Template:
        self.parsed[name] += 1
        return super().parse(source, name, filename)

    def compile(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a check does not need compiled code")


def test_each_of_five_hundred_templates_is_parsed_once_and_none_is_compiled() -> None:
    templates = {
        "base": page_2("{% block body %}{% endblock %}"),
        "parts": "{% macro tag(x) %}<b>{{ x }}</b>{% endmacro %}",
    }
    part = "{% for t in ts %}<p>{{ t.title }} {{ parts.tag(t.text | upper) }}</p>{% endfor %}" * 10
    for number in range(498):
        templates[f"page-{number}"] = (
            f"{{% extends 'base' %}}{{% import 'parts' as parts %}}{{% block body %}}{CONNECT}"
            f'<div id="a" sse-swap="a">{{% block a %}}{{{{ x }}}}{part}{{% endblock %}}</div></main>'
            f"{{% include 'base' ignore missing %}}{{% endblock %}}"
        )
    env = Counting(templates)
    assert check(AppDescription([env])) == []
    assert env.parsed == dict.fromkeys(templates, 1)


def test_the_work_for_macros_that_call_each_other_is_bounded() -> None:
    macros = [f"{{% macro m{n}() %}}{{{{ m{n + 1}() }}}}{{{{ m{n + 1}() }}}}<p></p>{{% endmacro %}}" for n in range(40)]
    source = "".join(macros) + "{% macro m40() %}<b></b>{% endmacro %}<html>{{ m0() }}"
    assert 1000 < len(elements(Environment(loader=DictLoader({"p": source})), "p")) < 10_000


def test_a_fault_in_a_base_template_is_reported_once_for_all_its_pages() -> None:
    children = {f"page{number}": "{% extends 'base' %}" for number in range(3)}
    (issue,) = issues_of(base=FAULTY, **children)
    assert (issue.template, issue.line) == ("base", 2)


def test_a_fault_that_no_page_shows_is_not_reported() -> None:
    base = page_2("{% block body %}" + CONNECT + '<p sse-swap="error"></p></main>{% endblock %}')
    assert issues_of(base=base, page="{% extends 'base' %}{% block body %}{% endblock %}") == []


def test_a_fault_in_an_include_is_reported_at_its_line_there() -> None:
    (issue,) = issues_of(page=page_2(CONNECT + "{% include 'part' %}</main>"), part='\n\n<p sse-swap="error"></p>')
    assert (issue.template, issue.line) == ("part", 3)


def test_levels_can_be_set_and_categories_turned_off() -> None:
    app = AppDescription([Environment(loader=DictLoader({"page": FAULTY}), autoescape=True)])
    (issue,) = check(app, read_settings({"sse_event_name": "info"}))
    assert issue.severity == "info"
    assert check(app, read_settings({"sse_event_name": "off"})) == []


def test_settings_are_read_from_pyproject_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.starlette-reactive]\nhtmx = "4.0.1"\nswap_morph = "off"\n')
    (tmp_path / "below").mkdir()
    settings = find_settings(tmp_path / "below")
    assert settings.htmx == (4, 0, 1)
    assert settings.levels == {"swap_morph": None}


@pytest.mark.parametrize(
    ("table", "hint"),
    [({"swap_morf": "off"}, "swap_morph"), ({"swap_morph": "loud"}, "'off'"), ({"htmx": "two"}, "2.0.11")],
)
def test_a_wrong_setting_is_rejected_with_a_suggestion(table: dict[str, str], hint: str) -> None:
    with pytest.raises(ReactiveError, match=hint):
        read_settings(table)


@pytest.mark.parametrize(
    ("script", "major", "version"),
    [
        ("https://cdn.example/npm/htmx.org@2.0.4", 2, (2, 0, 4)),
        ("https://cdn.example/htmx.org@4.0.1/dist/htmx.min.js", 4, (4, 0, 1)),
        ("https://cdn.example/ajax/libs/htmx/2.0.4/htmx.min.js", 2, (2, 0, 4)),
        ("/static/htmx-4.0.1.min.js", 4, (4, 0, 1)),
        ("/static/htmx.min.js?v=4.0.0", 4, (4, 0, 0)),
        ("{{ url_for('static', path='htmx-4.0.1/htmx.min.js') }}", 4, (4, 0, 1)),
        ("/static/htmx-ext-sse-2.2.4/sse.min.js", 2, ()),
        ("/static/hx-sse.min.js", 4, ()),
        ("/static/htmx.js", 2, ()),
    ],
)
def test_the_version_of_htmx_is_read_from_the_script_tag(script: str, major: int, version: tuple[int, ...]) -> None:
    source = f'<html><script src="{script}"></script>'
    found = detect_htmx(elements(Environment(loader=DictLoader({"p": source})), "p"), {"p": source}, ())
    assert (found.major, found.version) == (major, version)


@pytest.mark.parametrize(
    ("call", "categories"),
    [
        ("live_scripts(htmx=4, nonce=n)", ["sse_dialect"]),
        ("live_scripts(htmx=2)", []),
        ("live_scripts()", []),
        ("live_scripts(htmx=version)", []),
    ],
)
def test_the_version_of_htmx_is_read_from_the_call_that_loads_it(call: str, categories: list[str]) -> None:
    templates = {
        "page.html": "{% extends 'layout.html' %}{% block body %}<p hx-disinherit='hx-target'></p>{% endblock %}",
        "layout.html": "<html><head>{% include 'head.html' %}</head><body>{% block body %}{% endblock %}</body></html>",
        "head.html": "{{ " + call + " }}",
    }
    reactive = Reactive(Environment(loader=DictLoader(templates), autoescape=True), secret="a secret for tests")
    assert [issue.category for issue in reactive.check()] == categories


def test_a_page_that_loads_the_live_script_in_its_layout_may_fetch_another_query() -> None:
    body = '<p id="a">{% block a %}{{ x }}{% endblock %}</p><i hx-get="/?y=1" hx-target="#a"></i><b {{ live() }}></b>'
    for call, categories in {"live_scripts()": [], "live_scripts": ["query_without_script"]}.items():
        templates = {
            "page.html": "{% extends 'layout.html' %}{% block body %}" + body + "{% endblock %}",
            "layout.html": "<html><head>{{ "
            + call
            + " }}<script src='/a.js'></script></head><body>{% block body %}{% endblock %}",
        }
        reactive = Reactive(Environment(loader=DictLoader(templates), autoescape=True), secret="a secret for tests")
        reactive.page("page.html", scope="all")(lambda: {"x": 1})
        assert [each.category for each in reactive.check() if each.severity != "info"] == categories


def test_the_option_decides_the_version_of_a_page_that_does_not_name_it() -> None:
    source = '<html><script src="/htmx.js"></script><main hx-ext="sse" sse-connect="/s"><p sse-swap="a"></p></main>'
    app = AppDescription([Environment(loader=DictLoader({"page": source}), autoescape=True)])
    assert check(app) == []
    (issue,) = check(app, read_settings({"htmx": "4.0.1"}))
    assert issue.category == "sse_dialect"


# Applications


def session() -> Iterator[int]:
    yield 1


def through_another(value: Annotated[int, Depends(session)]) -> int:
    return value


async def brief() -> AsyncIterator[int]:
    yield 1


def application(tmp_path: Path, source: str) -> tuple[FastAPI, Reactive]:
    (tmp_path / "page.html").write_text(source)
    app, reactive = FastAPI(), Reactive(Jinja2Templates(directory=tmp_path), secret="a secret for tests")
    app.include_router(reactive.router)
    return app, reactive


def test_a_declared_page_with_htmx_4_has_no_issues(tmp_path: Path) -> None:
    source = page_4("<div {{ live() }}></div><p id='count'>{% block count %}{{ user }}{{ tasks }}{% endblock %}</p>")
    app, reactive = application(tmp_path, source)

    @app.get("/{room}")
    @reactive.page("page.html", scope="room:{room}", user=lambda request: "ada")
    def page(room: str) -> dict[str, Any]:
        return {"tasks": 1}

    reactive.set_contract_check_data("reactive_emitted_paths", {"tasks.done"})
    reactive.set_contract_check_data("reactive_audience_scopes", {"room:{name}"})
    assert reactive.check() == []
    assert check(discover(app, "app").describe()) == []
    reactive.set_contract_check_data("reactive_emitted_paths", {"taskz"})
    (issue,) = reactive.check()
    assert "did you mean 'tasks'?" in issue.message


def test_a_dependency_with_yield_that_a_stream_keeps_open_is_reported(tmp_path: Path) -> None:
    app, reactive = application(tmp_path, page_2(LIVE))

    @app.get("/stream")
    @reactive.stream("page.html", scope="room")
    def stream(
        kept_open: Annotated[int, Depends(through_another)],
        closed_early: Annotated[int, Depends(brief, scope="function")],
    ) -> EventStream:
        return lambda: {"x": kept_open + closed_early}  # type: ignore[return-value]

    @app.get("/own")
    def own(kept_open: Annotated[int, Depends(session)]) -> EventStream:
        raise NotImplementedError

    @app.get("/page")
    def page(kept_open: Annotated[int, Depends(session)]) -> str:
        raise NotImplementedError

    (issue,) = reactive.check()
    assert issue.category == "yield_dependency"
    assert "session" in issue.message
    issues = check(discover(app, "app").describe())
    assert [each.category for each in issues] == ["yield_dependency", "yield_dependency"]
    assert any(".own " in each.message for each in issues)


def application_with_sessions(*added: str, **options: Any) -> FastAPI:
    """Return an application with middleware that is added in an order."""
    reactive = Reactive(Environment(loader=DictLoader({"page.html": "<html>"}), autoescape=True), secret="x" * 16)
    app = FastAPI()
    app.include_router(reactive.router)

    @app.get("/")
    @reactive.page("page.html", scope="all", **options)
    def page() -> dict[str, str]:
        raise NotImplementedError

    for name in added:
        if name == "sessions":
            app.add_middleware(SessionMiddleware, secret_key="a key for tests")
        else:
            app.add_middleware(ReactiveMiddleware, reactive=reactive)
    return app


@pytest.mark.parametrize(
    ("added", "options", "what"),
    [
        (["sessions"], {}, "no ReactiveMiddleware tells open streams"),
        (["ours", "sessions"], {}, "ReactiveMiddleware is inside SessionMiddleware"),
        (["sessions"], {"shared": True, "user": lambda request: None}, "no ReactiveMiddleware"),
        (["sessions", "ours"], {}, None),
        (["sessions"], {"shared": True}, None),
        ([], {}, None),
    ],
)
def test_sessions_in_cookies_need_the_middleware_outside_of_them(
    added: list[str], options: dict[str, Any], what: str | None
) -> None:
    found = check(discover(application_with_sessions(*added, **options), "app").describe())
    issues = [each for each in found if each.category != "not_connected"]
    assert [each.category for each in issues] == ([] if what is None else ["cookie_middleware"])
    assert what is None or what in issues[0].message


def test_contract_data_with_an_unknown_key_or_type_is_rejected(tmp_path: Path) -> None:
    _, reactive = application(tmp_path, "<html>")
    with pytest.raises(ValueError, match="reactive_emitted_paths"):
        reactive.set_contract_check_data("emitted_paths", set())
    with pytest.raises(TypeError, match="DependencyIndex"):
        reactive.set_contract_check_data("reactive_index", {})


def test_a_separate_index_is_checked_if_it_is_declared(tmp_path: Path) -> None:
    _, reactive = application(tmp_path, page_2("<p>\n{% block a %}{{ x }}{% endblock %}</p>"))
    index = DependencyIndex()
    index.register_template(reactive.templates, "page.html")
    assert reactive.check() == []
    reactive.set_contract_check_data("reactive_index", index)
    (issue,) = reactive.check()
    assert (issue.category, issue.template, issue.line) == ("block_target", "page.html", 3)


def test_a_page_that_is_live_because_of_what_it_reads_needs_no_emits() -> None:
    env = Environment(loader=DictLoader({"page": LIVE}), autoescape=True)
    for is_tracked, found in {True: [], False: ["reactive_scopes"]}.items():
        page = DeclaredPage("page", ("room:{id}",), False, "htmx", DependencyIndex(), is_tracked=is_tracked)
        app = AppDescription([env], [], [page], data={"reactive_emitted_scopes": {"people"}})
        assert [issue.category for issue in check(app) if issue.category == "reactive_scopes"] == found
