"""The analysis of pages and the rendering of blocks, apart from single constructs."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    DictLoader,
    Environment,
    FileSystemLoader,
    ModuleLoader,
    PrefixLoader,
    UndefinedError,
    pass_context,
)
from jinja2.ext import Extension
from jinja2.nodes import CallBlock, Node
from jinja2.parser import Parser
from starlette.requests import Request
from starlette.routing import Route, Router
from starlette.templating import Jinja2Templates

from starlette_reactive._core.errors import BlockNotFoundError, BlockRenderError, TemplateLoadError
from starlette_reactive._templates import analyse, compile_block, declare_reads


def environment(**templates: str) -> Environment:
    return Environment(loader=DictLoader(templates))


def test_blocks_come_in_document_order_with_the_block_around_each() -> None:
    env = environment(
        page="{% extends 'base' %}{% block body %}{% block a %}{% block b %}{% endblock %}{% endblock %}{% endblock %}",
        base="{% block head %}{% endblock %}{% block body %}{% endblock %}\n{% block foot %}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert [(block.name, block.parent) for block in blocks.values()] == [
        ("head", None),
        ("body", None),
        ("a", "body"),
        ("b", "a"),
        ("foot", None),
    ]
    assert (blocks["body"].template, blocks["foot"].template, blocks["foot"].line) == ("page", "base", 2)


def test_the_blocks_around_a_block_are_found_nearest_first() -> None:
    env = environment(
        page="{% block a %}{% block b %}{% block c %}{% endblock %}{% endblock %}{% endblock %}"
        "{% block d %}{% endblock %}"
    )
    page = analyse(env, "page")
    assert list(page.enclosing("c")) == ["b", "a"]
    assert list(page.enclosing("d")) == list(page.enclosing("unknown")) == []
    assert page.nearest("c", {"c", "a"}) == "c"
    assert page.nearest("c", {"a", "d"}) == "a"
    assert page.nearest("d", {"a"}) is None


def test_an_error_names_the_unknown_block_and_those_that_exist() -> None:
    env = environment(page="{% block tasks %}{% endblock %}")
    with pytest.raises(
        BlockNotFoundError, match=r"no block 'task' \(did you mean 'tasks'\?\)\. Its blocks are: tasks"
    ) as caught:
        compile_block(env, "page", "task")
    assert (caught.value.template, caught.value.block) == ("page", "task")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("{% for t in tasks %}\n{% block b %}{% endblock %}{% endfor %}", "inside the for loop over 'tasks' at page:1"),
        (
            "{% with x = 1 %}{% block b scoped %}{{ x }}{% endblock %}{% endwith %}",
            "reads 'x', bound by the with at page:1",
        ),
        (
            "{% block a %}{% set x = 1 %}{% block b scoped %}{{ x }}{% endblock %}{% endblock %}",
            "reads 'x', bound by a set",
        ),
        ("{% filter upper %}{% block b %}{% endblock %}{% endfilter %}", "inside the filter block at page:1"),
        ("{% macro m() %}{% block b %}{% endblock %}{% endmacro %}{{ m()|trim }}", "inside the macro 'm' at page:1"),
        ("{% set x %}{% block b %}{% endblock %}{% endset %}", "inside the set block at page:1"),
        ("{% include 'i' %}{% include 'i' %}", "the page shows it more than once"),
        ("{% autoescape x %}{% block b %}{% endblock %}{% endautoescape %}", "whose setting is computed"),
        (
            "{% set ns = namespace(n=1) %}{% block a %}{% set ns.n = 2 %}{% endblock %}"
            "{% block b %}{{ ns.n }}{% endblock %}",
            "reads what the block 'a' changes at page:1",
        ),
        (
            "{% block a %}{% do l.append(1) %}{% endblock %}{% block b %}{{ l }}{% endblock %}",
            "reads what the block 'a' changes at page:1",
        ),
        (
            "{% set u = x|map('upper') %}{% block a %}{{ u|join }}{% endblock %}"
            "{% block b %}{{ u|join }}{% endblock %}",
            "reads what the block 'a' changes by using up the iterator of page:1",
        ),
        (
            "{% if x %}{% include 'i' %}{% else %}{% include 'j' %}{% endif %}",
            "the page may show another block of that name, at j:1",
        ),
        ("{% include 'open' %}", "known only when the page is rendered"),
        ("{% extends 'nowhere' %}{% block b %}{% endblock %}", "there is no template 'nowhere'"),
    ],
)
def test_a_block_that_cannot_be_rendered_alone_has_a_reason(page: str, reason: str) -> None:
    loader = DictLoader(
        {
            "page": page,
            "i": "{% block b %}{% endblock %}",
            "j": "{% block b %}{{ x }}{% endblock %}",
            "open": "{% extends layout %}{% block b %}{% endblock %}",
        }
    )
    env = Environment(loader=loader, extensions=["jinja2.ext.do"])
    alone = analyse(env, "page").blocks["b"].alone
    assert alone is not None
    assert reason in alone
    with pytest.raises(BlockRenderError, match="cannot be rendered alone"):
        compile_block(env, "page", "b")


def test_a_scoped_block_that_reads_no_name_bound_around_it_is_rendered_alone() -> None:
    env = environment(page="{% with x = 1 %}{% block b scoped %}{{ y }}{% endblock %}{% endwith %}")
    assert compile_block(env, "page", "b").render({"y": 2}) == "2"


def test_a_block_that_the_page_does_not_show_is_still_rendered() -> None:
    env = environment(page="{% extends 'base' %}{% set x = y %}{% block extra %}{{ x }}{% endblock %}", base="")
    reads = analyse(env, "page")
    assert "extra" not in reads.blocks
    assert reads.unplaced["extra"].paths == {"y"}
    assert compile_block(env, "page", "extra").render({"y": 2}) == "2"


def test_the_rest_of_the_page_does_not_run() -> None:
    env = environment(
        page="{{ boom() }}{% set a = boom() %}{% set b = x %}{% for t in boom() %}{% endfor %}"
        "{% if x %}{{ boom() }}{% set c = x %}{% endif %}{% block b %}{{ b }}{{ c }}{% endblock %}{{ boom() }}"
    )
    assert compile_block(env, "page", "b").render({"x": 1}) == "11"


def test_a_widened_block_has_a_reason() -> None:
    env = environment(page="{% block b %}\n{% include name %}{% endblock %}{% block c %}{{ x }}{% endblock %}")
    blocks = analyse(env, "page").blocks
    assert blocks["b"].paths == {"*"}
    assert blocks["b"].widened == ("the include at page:2 uses a template known only at run time",)
    assert blocks["c"].widened == ()


def test_a_page_that_is_too_complex_is_widened_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._templates.analysis.tracking.MAX_WORK", 10)
    env = environment(
        page="{% macro m(a) %}{{ a }}{{ text }}{% endmacro %}{% block b %}{{ m(1) }}{{ m(2) }}{% endblock %}"
    )
    block = analyse(env, "page").blocks["b"]
    assert block.paths == {"*"}
    assert "too complex" in block.widened[0]
    assert block.alone is not None


def test_an_error_names_the_template_that_does_not_exist_or_parse() -> None:
    env = environment(
        page="\n{% if %}",
        other="{% extends 'page' %}",
        twice="{% block a %}{% endblock %}\n{% block a %}{% endblock %}",
    )
    with pytest.raises(TemplateLoadError, match=r"no template 'pag' \(did you mean 'page'\?\)"):
        analyse(env, "pag")
    for name in ("page", "other"):
        with pytest.raises(TemplateLoadError, match="page:2") as caught:
            analyse(env, name)
        assert caught.value.line == 2
    with pytest.raises(TemplateLoadError, match="block 'a' twice"):
        analyse(env, "twice")
    with pytest.raises(TemplateLoadError, match="has no loader"):
        analyse(Environment(), "page")
    with pytest.raises(TemplateLoadError, match="reads sources"):
        analyse(Environment(loader=ModuleLoader("nowhere")), "page")


def test_a_given_source_replaces_the_loaders() -> None:
    env = environment(page="{% block b %}{{ x }}{% endblock %}")
    assert analyse(env, "page", "{% block b %}{{ y }}{% endblock %}").blocks["b"].paths == {"y"}
    assert analyse(env, "page").blocks["b"].paths == {"x"}


def test_an_unchanged_page_is_not_analysed_again() -> None:
    env = environment(page="{% extends 'base' %}", base="{% block b %}{{ x }}{% endblock %}")
    assert analyse(env, "page") is analyse(env, "page")


def write(path: Path, text: str, age: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1_000_000_000 + age, 1_000_000_000 + age))


@pytest.mark.parametrize("auto_reload", [True, False])
def test_a_changed_file_is_noticed_if_the_environment_reloads(tmp_path: Path, auto_reload: bool) -> None:
    write(
        tmp_path / "page",
        "{% extends 'base' %}{% import 'm' as m %}{% block b %}{{ m.n() }}{{ super() }}{% endblock %}",
        0,
    )
    write(tmp_path / "base", "{% block b %}{{ x }}{% endblock %}", 0)
    write(tmp_path / "m", "{% macro n() %}1{% endmacro %}", 0)
    env = Environment(loader=FileSystemLoader(tmp_path), auto_reload=auto_reload)
    block = compile_block(env, "page", "b")
    assert block.render({"x": "x", "y": "y"}) == "1x"
    write(tmp_path / "base", "{% block b %}{{ y }}{% endblock %}", 5)
    write(tmp_path / "m", "{% macro n() %}2{% endmacro %}", 5)
    assert block.render({"x": "x", "y": "y"}) == ("2y" if auto_reload else "1x")
    assert analyse(env, "page").blocks["b"].paths == ({"y"} if auto_reload else {"x"})
    assert compile_block(env, "page", "b") is block


def test_a_template_that_is_added_later_is_noticed() -> None:
    templates = {"page": "{% block b %}{% include 'i' ignore missing %}{% endblock %}"}
    env = Environment(loader=DictLoader(templates))
    assert analyse(env, "page").blocks["b"].paths == frozenset()
    templates["i"] = "{{ x }}"
    assert analyse(env, "page").blocks["b"].paths == {"x"}


def test_a_template_that_a_computed_name_may_be_is_noticed_when_it_is_added() -> None:
    templates = {"page": "{% block b %}{% include 'i/' ~ name %}{% endblock %}", "i/a": "{{ x }}"}
    env = Environment(loader=DictLoader(templates))
    assert analyse(env, "page").blocks["b"].paths == {"name", "x"}
    templates["i/b"] = "{{ y }}"
    assert analyse(env, "page").blocks["b"].paths == {"name", "x", "y"}


def test_a_block_with_a_computed_include_shows_what_a_new_file_looks_up() -> None:
    templates = {"page": "{% set y = z %}{% block b %}{% include 'i/' ~ name %}{% endblock %}", "i/a": "{{ x }}"}
    block = compile_block(Environment(loader=DictLoader(templates)), "page", "b")
    assert block.render({"name": "a", "x": 1, "z": 2}) == "1"
    templates["i/b"] = "{{ y }}"
    assert block.render({"name": "b", "x": 1, "z": 2}) == "2"


class Themes(DictLoader):
    """Has more templates than it lists."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, None, Callable[[], bool]]:
        return super().get_source(environment, template.removeprefix("i/theme-"))


def linked(folder: Path) -> FileSystemLoader:
    """Return a loader of a folder with a link to another folder, which the loader does not list."""
    for name in ("other/a", "templates/i/a", "templates/page"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{% block b %}{% include 'i/' ~ name %}{% endblock %}" * (name[-4:] == "page"))
    (folder / "templates" / "i" / "link").symlink_to(folder / "other")
    return FileSystemLoader(folder / "templates")


@pytest.mark.parametrize(
    "make",
    [
        lambda _: Themes({"page": "{% block b %}{% include 'i/' ~ name %}{% endblock %}", "i/a": ""}),
        lambda folder: ChoiceLoader([linked(folder)]),
        lambda _: DictLoader({"page": "{% block b %}{% include 'i/' ~ name %}{% endblock %}", "i/a": "{% if %}"}),
        lambda _: DictLoader({"page": "{% block b %}{% include name ~ '.x' %}{% endblock %}", "i.x": ""}),
        lambda _: DictLoader(
            {"page": "{% block b %}{% include 'i/' ~ name %}{% endblock %}", **{f"i/{n}": "" for n in range(51)}}
        ),
        lambda _: DictLoader(
            {"page": "{% block b %}{% include 'i/' ~ n %}{% endblock %}", "i/a": "{% include 'page' %}"}
        ),
    ],
    ids=["unlisted", "linked", "no template", "no prefix", "many", "within itself"],
)
def test_what_a_computed_name_may_be_is_unknown(make: Callable[[Path], BaseLoader], tmp_path: Path) -> None:
    assert analyse(Environment(loader=make(tmp_path)), "page").blocks["b"].paths == {"*"}


def test_a_computed_name_may_be_any_template_of_a_choice_of_loaders() -> None:
    page = "{% block b %}{% include './i//' ~ name ~ '/x.HTML' %}{% endblock %}"
    loaders = [
        DictLoader({"page": page}),
        PrefixLoader({"i": DictLoader({"a/x.html": "{{ x }}", "b/y.html": "{{ y }}"})}),
    ]
    assert analyse(Environment(loader=ChoiceLoader(loaders)), "page").blocks["b"].paths == {"name", "x"}


def test_a_replaced_global_is_noticed() -> None:
    env = environment(page="{% block b %}{{ link() }}{% endblock %}")
    assert analyse(env, "page").blocks["b"].paths == {"link"}

    @declare_reads("request")
    @pass_context
    def link(values: Any) -> str:
        return str(len(dict(values)))

    env.globals["link"] = link
    assert analyse(env, "page").blocks["b"].paths == {"link", "request"}


def test_url_for_of_starlette_reads_the_request(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("{% block b %}{{ url_for('home') }}{% endblock %}", encoding="utf-8")
    templates = Jinja2Templates(directory=tmp_path)
    assert analyse(templates.env, "page").blocks["b"].paths == {"url_for", "request"}
    router = Router([Route("/home", lambda request: None, name="home")])
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"a.b")], "router": router})
    assert compile_block(templates.env, "page", "b").render({"request": request}).endswith("/home")


class Box(Extension):
    """A tag of an extension, whose method receives the body as its caller."""

    tags = {"box"}  # noqa: RUF012

    def parse(self, parser: Parser) -> Node:
        line = next(parser.stream).lineno
        argument = parser.parse_expression()
        body = parser.parse_statements(("name:endbox",), drop_needle=True)
        return CallBlock(self.call_method("_box", [argument]), [], [], body).set_lineno(line)

    def _box(self, argument: object, caller: Any) -> str:
        return f"[{argument}{caller()}]"


def test_a_tag_of_an_extension_reads_its_arguments_and_its_body() -> None:
    env = Environment(
        loader=DictLoader({"page": "{% set x = y %}{% block b %}{% box z %}{{ x }}{% endbox %}{% endblock %}"}),
        extensions=[Box],
    )
    assert analyse(env, "page").blocks["b"].paths == {"z", "y"}
    assert compile_block(env, "page", "b").render({"y": 1, "z": 2}) == "[21]"


def test_the_debug_tag_reads_everything() -> None:
    env = Environment(
        loader=DictLoader({"page": "{% block b %}{% debug %}{% endblock %}"}), extensions=["jinja2.ext.debug"]
    )
    assert analyse(env, "page").blocks["b"].paths == {"*"}


def failing(env: Environment) -> list[tuple[str, int | None]]:
    """Return the files and lines in the traceback of the failing block."""
    try:
        compile_block(env, "page", "b").render({"x": None})
    except UndefinedError:
        return [(frame.filename, frame.lineno) for frame in traceback.extract_tb(sys.exc_info()[2])]
    raise AssertionError("the block did not fail")


def test_a_failing_block_names_the_users_template_and_line(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("\n\n{% block b %}\n\n{{ x.y.z }}{% endblock %}", encoding="utf-8")
    env = Environment(loader=FileSystemLoader(tmp_path))
    assert (str(tmp_path / "page"), 5) in failing(env)


def test_a_failing_statement_that_a_block_depends_on_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("a\nb\n{% set y = x.y.z %}{% block b %}{{ y }}{% endblock %}", encoding="utf-8")
    env = Environment(loader=FileSystemLoader(tmp_path))
    assert (str(tmp_path / "page"), 3) in failing(env)


def test_many_threads_render_a_block_at_the_same_time() -> None:
    env = environment(page="{% set a = x %}{% block b %}{{ a }}{% endblock %}")
    wrong: list[str] = []

    def work(number: int) -> None:
        for _ in range(50):
            text = compile_block(env, "page", "b").render({"x": number})
            if text != str(number):
                wrong.append(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_asynchronous_environment_renders_without_an_event_loop() -> None:
    env = Environment(loader=DictLoader({"page": "{% block b %}{{ x }}{% endblock %}"}), enable_async=True)
    assert compile_block(env, "page", "b").render({"x": 1}) == "1"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_inside_an_event_loop_an_asynchronous_environment_suggests_render_async() -> None:
    env = Environment(loader=DictLoader({"page": "{% block b %}{{ x }}{% endblock %}"}), enable_async=True)
    with pytest.raises(BlockRenderError, match="await block.render_async"):
        compile_block(env, "page", "b").render({"x": 1})


@pytest.mark.parametrize(("layout", "shown"), [(None, "x"), ("one", "x1"), ("two", "x2")])
def test_the_values_choose_the_parent(layout: str | None, shown: str) -> None:
    env = environment(
        page="{% if layout %}{% extends 'one' if layout == 'one' else 'two' %}{% endif %}"
        "{% block b %}x{{ super() if layout }}{% endblock %}",
        one="{% block b %}1{% endblock %}",
        two="{% block b %}2{% endblock %}",
    )
    assert compile_block(env, "page", "b").render({"layout": layout}) == shown


def test_what_decides_between_blocks_of_one_name_is_read_by_the_block() -> None:
    env = environment(
        page="{% block o %}{% if x %}{% include 'i' %}{% else %}{% include 'j' %}{% endif %}{% endblock %}",
        i="{% block b %}{{ y }}{% endblock %}",
        j="{% block b %}{{ z }}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert blocks["b"].paths == {"x", "y", "z"}
    assert blocks["o"].paths == {"x"}
    assert blocks["b"].parent == "o"


def test_a_block_of_an_include_is_text_where_the_page_has_a_block_of_that_name() -> None:
    env = environment(
        page="{% block b %}{{ x }}{% endblock %}{% block o %}{% include 'i' %}{% endblock %}",
        i="{% block b %}{{ y }}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert [blocks["b"].paths, blocks["o"].paths] == [{"x"}, {"y"}]
    assert compile_block(env, "page", "b").render({"x": 1, "y": 2}) == "1"


def test_what_a_block_with_two_places_reads_is_read_by_the_blocks_around_both() -> None:
    env = environment(
        page="{% block a %}{% include 'i' %}{% endblock %}{% block b %}{{ y }}{% include 'i' %}{% endblock %}",
        i="{% block s %}{{ x }}{% block t %}{{ z }}{% endblock %}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert [blocks["a"].paths, blocks["b"].paths] == [{"x", "z"}, {"x", "y", "z"}]
    assert (blocks["s"].parent, blocks["t"].parent) == (None, "s")
    assert blocks["s"].alone is not None


def test_a_block_with_two_places_in_a_block_is_within_that_block() -> None:
    env = environment(
        page="{% block o %}{% block a %}{% include 'i' %}{% endblock %}{% block b %}{% include 'i' %}{% endblock %}"
        "{% endblock %}",
        i="{% block s %}{{ x }}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert blocks["s"].parent == "o"
    assert [blocks["a"].paths, blocks["b"].paths, blocks["o"].paths] == [{"x"}, {"x"}, frozenset()]


def test_a_block_that_each_parent_shows_elsewhere_is_read_by_the_blocks_around_all_places() -> None:
    env = environment(
        page="{% extends 'one' if x else 'two' %}{% block s %}{{ y }}{% endblock %}",
        one="{% block a %}{% block s %}{% endblock %}{% endblock %}{% block b %}{% endblock %}",
        two="{% block a %}{% endblock %}{% block b %}{% block s %}{% endblock %}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert [blocks["a"].paths, blocks["b"].paths, blocks["s"].paths] == [{"x", "y"}, {"x", "y"}, {"y"}]
    assert blocks["s"].parent is None
    assert compile_block(env, "page", "s").render({"y": 1}) == "1"


def test_blocks_that_contain_each_other_with_different_parents_are_within_none() -> None:
    env = environment(
        page="{% extends 'one' if x else 'two' %}",
        one="{% block a %}{% block b %}{{ y }}{% endblock %}{% endblock %}",
        two="{% block b %}{% block a %}{{ z }}{% endblock %}{% endblock %}",
    )
    page = analyse(env, "page")
    assert {block.parent for block in page.blocks.values()} == {None}
    assert {"y", "z", "x"} <= page.blocks["a"].paths & page.blocks["b"].paths


def test_what_decides_whether_a_block_is_shown_decides_what_it_changes() -> None:
    env = Environment(
        loader=DictLoader(
            {
                "page": "{% set l = [] %}{% if x %}{% block a %}{% do l.append(1) %}{% endblock %}{% endif %}"
                "{% block b %}{{ l|join }}{% endblock %}"
            }
        ),
        extensions=["jinja2.ext.do"],
    )
    blocks = analyse(env, "page").blocks
    assert [blocks["a"].paths, blocks["b"].paths] == [frozenset(), {"x"}]


def test_an_unknown_include_may_change_what_it_sees() -> None:
    env = environment(
        page="{% set ns = namespace(n=1) %}{% block a %}{% include x %}{% endblock %}"
        "{% block b %}{{ ns.n }}{% endblock %}"
    )
    block = analyse(env, "page").blocks["b"]
    assert block.paths == {"*"}
    assert block.alone == "it reads what the block 'a' changes at page:1"


def test_a_call_of_an_object_whose_attributes_are_read_reads_that_object_alone() -> None:
    env = environment(
        page="{% macro field(f) %}{{ f.label }}{{ f(class='a') }}{% endmacro %}{% block a %}{{ field(form.name) }}"
        "{% endblock %}{% block b %}{% set m = form.render %}{{ m() }}{% endblock %}"
    )
    blocks = analyse(env, "page").blocks
    assert blocks["a"].paths == {"form.name", "form.name.label"}
    assert blocks["b"].paths == {"form", "form.render"}


def test_a_block_that_shows_again_what_another_has_changed_is_not_rendered_alone() -> None:
    env = environment(
        page="{% set c = cycler(1, 2) %}{% block a %}{% include 'i' %}{% endblock %}"
        "{% block b %}{% include 'i' %}{% endblock %}",
        i="{% block s %}{{ c.next() }}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert blocks["a"].alone is None
    assert blocks["b"].alone == "it reads what the block 's' changes at i:1"


def test_what_chooses_the_parent_is_read_if_the_parent_decides_between_blocks_of_one_name() -> None:
    env = environment(
        page="{% extends 'one' if x else 'two' %}{% block o %}{% if t %}{% include 'i' %}{% else %}{% include 'j' %}"
        "{% endif %}{% endblock %}",
        one="{% set t = y %}{% block o %}{% endblock %}",
        two="{% block o %}{% endblock %}",
        i="{% block b %}1{% endblock %}",
        j="{% block b %}2{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert blocks["b"].paths == {"x", "y", "t"}
    assert blocks["o"].paths == {"x", "y", "t"}


def test_what_chooses_the_parent_is_read_if_the_parents_bind_a_name_around_the_block() -> None:
    env = environment(
        page="{% extends 'one' if x else 'two' %}{% block s %}{{ q }}{% endblock %}",
        one="{% block o %}{% with q = 1 %}{% block s scoped %}{% endblock %}{% endwith %}{% endblock %}",
        two="{% block o %}{% with q = 2 %}{% block s scoped %}{% endblock %}{% endwith %}{% endblock %}",
    )
    blocks = analyse(env, "page").blocks
    assert [blocks["s"].paths, blocks["o"].paths] == [{"x"}, {"x"}]


def test_what_chooses_the_parent_is_read_if_one_parent_shows_a_block_that_changes_what_another_block_reads() -> None:
    env = environment(
        page="{% extends 'one' if x else 'two' %}{% set c = cycler(1, 2) %}{% block a %}{{ c.next() }}{% endblock %}"
        "{% block b %}{{ c.current }}{% endblock %}",
        one="{% block a %}{% endblock %}{% block b %}{% endblock %}",
        two="{% block b %}{% endblock %}",
    )
    assert analyse(env, "page").blocks["b"].paths == {"x"}


def test_a_function_that_gets_a_method_may_read_the_object() -> None:
    env = environment(page="{% set l = [x] %}{% block b %}{{ f(l.pop) }}{% endblock %}")
    assert analyse(env, "page").blocks["b"].paths == {"f", "x"}


def test_a_block_that_contains_itself_reads_everything() -> None:
    env = environment(
        page="{% include 'i' %}",
        i="{% block b scoped %}{% with n = n.inner %}{% if n %}{% include 'i' %}{% endif %}{% endwith %}{% endblock %}",
    )
    block = analyse(env, "page").blocks["b"]
    assert block.paths == {"*"}
    assert "the block 'b' contains itself at i:1" in block.widened


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ("{{ super() }}", "inside super(), whose text is escaped, at page:1"),
        ("{{ super()|safe }}", "inside super(), whose text an expression uses, at page:1"),
        ("{% autoescape false %}{{ super() }}{% endautoescape %}", None),
    ],
)
def test_a_block_whose_text_is_escaped_by_the_block_around_it_is_not_rendered_alone(
    shown: str, reason: str | None
) -> None:
    templates = {
        "page": "{% extends 'base' %}{% block a %}" + shown + "{% endblock %}",
        "base": "{% autoescape false %}{% block a %}{% block b %}{{ x }}{% endblock %}{% endblock %}"
        "{% endautoescape %}",
    }
    env = Environment(loader=DictLoader(templates), autoescape=True)
    assert analyse(env, "page").blocks["b"].alone == reason
    page, block = env.get_template("page").render(x="<"), compile_block(env, "page", "a").render({"x": "<"})
    assert page == block == ("&amp;lt;" if reason and "escaped" in reason else "&lt;")
