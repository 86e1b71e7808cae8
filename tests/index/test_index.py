from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.templating import Jinja2Templates

from starlette_reactive import BlockNotFoundError, BlockRef, BlockRenderError, DependencyIndex, TemplateLoadError
from starlette_reactive._core.blocks import Placement
from starlette_reactive._core.paths import overlap
from starlette_reactive._index.index import registry_of

from ..support import environment

ENV = environment(
    page="""<h1>{% block title %}{{ doc.title }}{% endblock %}</h1>
{% block body %}{{ doc.content }}{% block count %}{{ doc.words }}{% endblock %}{{ user.name }}{% endblock %}
{% block footer %}static{% endblock %}""",
    child='{% extends "page.html" %}{% block title %}{{ super() }} of {{ site }}{% endblock %}',
    loop="""{% block list %}{% for task in tasks %}{% block row scoped %}{{ task.name }}{{ color }}{% endblock %}
{% endfor %}{% endblock %}""",
    broken="line one\n{% block %}",
    part="{% block part %}{{ total }}{% endblock %}",
    twice="""{% block one %}{% include "part.html" %}{% endblock %}
{% block two %}{% include "part.html" %}{% endblock %}""",
)


def registered(name: str = "page.html", **options: Any) -> DependencyIndex:
    index = DependencyIndex()
    index.register_template(ENV, name, **options)
    return index


def names(index: DependencyIndex, *paths: str) -> list[str]:
    return [ref.block_name for ref in index.affected_blocks(set(paths))]


def test_a_templates_blocks_are_registered_with_what_they_read() -> None:
    index = DependencyIndex()
    assert index.register_template(ENV, "page.html") == 4
    assert index.block_dependencies("page.html", "title") == {"doc.title"}
    assert index.block_dependencies("page.html", "body") == {"doc.content", "user.name"}
    assert index.block_dependencies("page.html", "count") == {"doc.words"}
    assert index.block_dependencies("page.html", "footer") == frozenset()


def test_starlettes_templates_are_taken_too() -> None:
    index = DependencyIndex()
    assert index.register_template(Jinja2Templates(env=ENV), "page.html") == 4


@pytest.mark.parametrize(
    ("paths", "blocks"),
    [
        (["doc.title"], ["title"]),
        (["doc.title.length"], ["title"]),
        (["doc"], ["title", "body"]),
        (["doc.words"], ["count"]),
        (["doc.words", "user"], ["body"]),
        (["user.name", "doc.title"], ["title", "body"]),
        (["unknown"], []),
        (["do"], []),
        (["document"], []),
        (["doc.titles"], []),
        (["*"], ["title", "body", "footer"]),
        ([], []),
    ],
)
def test_exact_ancestor_and_descendant_paths_match_and_inner_blocks_are_left_out(
    paths: list[str], blocks: list[str]
) -> None:
    assert names(registered(), *paths) == blocks


def test_a_childs_blocks_are_those_of_the_page_it_makes() -> None:
    index = registered("child.html")
    assert index.block_dependencies("child.html", "title") == {"doc.title", "site"}
    assert index.affected_blocks({"site"}) == [BlockRef("child.html", "title")]


def test_what_an_unregistered_inner_block_reads_counts_for_the_block_around_it() -> None:
    index = registered(block_names=["body"])
    assert index.block_dependencies("page.html", "body") == {"doc.content", "doc.words", "user.name"}
    assert names(index, "doc.words") == ["body"]


def test_a_block_that_two_blocks_show_is_updated_through_both() -> None:
    index = registered("twice.html", block_names=["one", "two"])
    assert names(index, "total") == ["one", "two"]


def test_a_block_that_cannot_be_rendered_alone_is_updated_through_the_one_around_it() -> None:
    index = DependencyIndex()
    assert index.register_template(ENV, "loop.html") == 1
    assert index.block_dependencies("loop.html", "list") == {"tasks", "color"}
    with pytest.raises(BlockRenderError, match=r"'row' of 'loop.html' cannot be rendered alone.*block 'list'"):
        index.register_template(ENV, "loop.html", block_names=["row"])


def test_ids_are_taken_from_the_map() -> None:
    index = registered(block_names=["title"], dom_id_map={"title": "doc-title"})
    assert index.affected_blocks({"doc"}) == [BlockRef("page.html", "title", dom_id="doc-title")]


def test_registering_twice_changes_nothing() -> None:
    index = registered()
    before = index.affected_blocks({"*"})
    index.register_template(ENV, "page.html")
    index.register("doc.title", BlockRef("page.html", "title", dom_id="title", event="title"))
    assert index.affected_blocks({"*"}) == before


def test_a_block_may_have_several_targets() -> None:
    index = registered(block_names=["title"])
    index.register("doc.title", BlockRef("page.html", "title", dom_id="tab-title"))
    assert [ref.target_id for ref in index.affected_blocks({"doc.title"})] == ["title", "tab-title"]


def test_a_path_registered_by_hand_counts_like_one_that_is_read() -> None:
    index = registered()
    index.register("theme", BlockRef("page.html", "footer"))
    assert names(index, "theme.dark") == ["footer"]
    assert index.block_dependencies("page.html", "footer") == {"theme"}


def test_a_block_registered_by_hand_needs_no_template() -> None:
    index = DependencyIndex()
    index.register("a.b", BlockRef("elsewhere.html", "block"))
    index.register("*", BlockRef("elsewhere.html", "always"))
    assert names(index, "a") == ["block", "always"]
    assert names(index, "z") == ["always"]


def test_the_order_is_that_of_the_templates_whatever_the_order_of_registration() -> None:
    index = registered("child.html", block_names=["footer", "title"])
    index.register_template(ENV, "page.html", block_names=["footer"])
    index.register_template(ENV, "child.html", block_names=["body"])
    assert [(ref.template_name, ref.block_name) for ref in index.affected_blocks({"*"})] == [
        ("child.html", "title"),
        ("child.html", "body"),
        ("child.html", "footer"),
        ("page.html", "footer"),
    ]


def test_derived_paths_change_with_what_they_are_derived_from() -> None:
    index = registered()
    index.derive("doc.words", from_paths={"doc.content"})
    index.derive("doc.words", from_paths=["doc.language"])
    index.derive("user.name", from_paths=["account"])
    index.derive("account", from_paths=["login.session"])
    assert index.derivations == {
        "doc.words": frozenset({"doc.content", "doc.language"}),
        "user.name": frozenset({"account"}),
        "account": frozenset({"login.session"}),
    }
    assert names(index, "doc.language") == ["count"]
    assert names(index, "doc.content.first") == ["body"]
    assert names(index, "login") == ["body"]
    assert index.block_dependencies("page.html", "count") == {"doc.words", "doc.content", "doc.language"}
    assert index.block_dependencies("page.html", "body") >= {"account", "login.session"}


def test_circular_derivations_end() -> None:
    index = registered()
    index.derive("doc.title", from_paths={"slug"})
    index.derive("slug", from_paths={"doc.title"})
    assert index.explain_affected({"slug"})["expanded_paths"] == {"slug", "doc.title"}
    assert index.block_dependencies("page.html", "title") == {"doc.title", "slug"}


def test_an_explanation_tells_each_step() -> None:
    index = registered(dom_id_map={"count": "words"})
    index.derive("doc.words", from_paths={"doc.text"})
    assert index.explain_affected({"doc.text"}) == {
        "original_paths": frozenset({"doc.text"}),
        "expanded_paths": frozenset({"doc.text", "doc.words"}),
        "derived_paths": frozenset({"doc.words"}),
        "affected_blocks": [{"template": "page.html", "block": "count", "target": "words"}],
    }


def test_changing_everything_derives_everything() -> None:
    index = registered()
    index.derive("doc.words", from_paths={"doc.content"})
    assert index.explain_affected({"*"})["derived_paths"] == {"doc.words"}


SWAPS = {
    "inside": '<div id="box" sse-swap="box">{% block content %}{{ a }}{% endblock %}</div>',
    "around": '{% block content %}<div id="box" sse-swap="box">{{ a }}</div>{% endblock %}',
    "spaced": '<div sse-swap="box" id="box">\n  {% block content %}{{ a }}{% endblock %}\n</div>',
    "angle": '<div title="a > b" id="box" data-sse-swap="box">{% block content %}{{ a }}{% endblock %}</div>',
    "beside": '<div id="box" sse-swap="box"><b>x</b>{% block content %}<div>{{ a }}</div>{% endblock %}</div>',
    "deep": '<div id="box" sse-swap="box"><p><b>{% block content %}{{ a }}{% endblock %}</b></p></div>',
    "two": '<p id="box" sse-swap="box, content">{% block content %}{{ a }}{% endblock %}{% block b %}b{% endblock %}',
}


@pytest.mark.parametrize("pattern", SWAPS)
def test_a_block_inside_or_around_an_element_with_sse_swap_is_registered(pattern: str) -> None:
    index = DependencyIndex()
    assert index.register_from_sse_swaps(environment(page=SWAPS[pattern]), "page.html") == 1
    (ref,) = index.affected_blocks({"a"})
    assert ref == BlockRef("page.html", "content", dom_id="box", event="content" if pattern == "two" else None)
    assert registry_of(index).plan(frozenset("a")).affected[0].placement is (
        Placement.AROUND if pattern == "around" else Placement.INSIDE
    )


def test_the_event_name_is_kept_where_it_differs_from_the_id() -> None:
    index = DependencyIndex()
    source = '<p id="doc-title" sse-swap="other, renamed">{% block renamed %}{{ a }}{% endblock %}</p>'
    index.register_from_sse_swaps(environment(page=source), "page.html")
    assert index.affected_blocks({"a"}) == [BlockRef("page.html", "renamed", dom_id="doc-title", event="renamed")]


def test_elements_without_an_id_are_addressed_by_their_event() -> None:
    index = DependencyIndex()
    source = '<p sse-swap="said">{% block words %}{{ a }}{% endblock %}</p>'
    index.register_from_sse_swaps(environment(page=source), "page.html")
    assert index.affected_blocks({"a"}) == [BlockRef("page.html", "words", event="said")]


def test_elements_of_a_parent_template_are_found_with_the_childs_blocks() -> None:
    env = environment(
        base='<div id="box" sse-swap="box">{% block content %}{% endblock %}</div>',
        page='{% extends "base.html" %}{% block content %}{{ a }}{% endblock %}',
    )
    index = DependencyIndex()
    assert index.register_from_sse_swaps(env, "page.html") == 1
    assert index.affected_blocks({"a"}) == [BlockRef("page.html", "content", dom_id="box")]


def test_the_source_may_be_given() -> None:
    index = DependencyIndex()
    assert index.register_from_sse_swaps(environment(), "page.html", SWAPS["inside"]) == 1


def test_excluded_blocks_and_commented_out_markup_are_left_alone() -> None:
    source = f'{SWAPS["inside"]}<!-- <p sse-swap="x">{{% block x %}}{{{{ b }}}}{{% endblock %}}</p> -->'
    index = DependencyIndex()
    assert index.register_from_sse_swaps(environment(page=source), "page.html", exclude_blocks=["content"]) == 0
    assert index.affected_blocks({"*"}) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('\n<p sse-swap="lost">text</p>', "page.html:2: the element <p sse-swap='lost'> shows no block"),
        (
            '{% block list %}{% for t in ts %}<p sse-swap="row">{% block row scoped %}{{ t }}{% endblock %}</p>'
            "{% endfor %}{% endblock %}",
            "'row' cannot be rendered alone",
        ),
    ],
)
def test_an_element_that_cannot_be_updated_is_named_with_its_place(
    source: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert DependencyIndex().register_from_sse_swaps(environment(page=source), "page.html") == 0
    assert message in caplog.text


@pytest.mark.parametrize("pattern", ["beside", "deep", "two"])
def test_an_element_that_holds_more_than_its_block_is_named(pattern: str, caplog: pytest.LogCaptureFixture) -> None:
    DependencyIndex().register_from_sse_swaps(environment(page=SWAPS[pattern]), "page.html")
    assert "> holds more than the block 'content'" in caplog.text


def test_the_sink_of_unnamed_events_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    source = '<div sse-connect="/s" sse-swap="message" hx-swap="none"></div>'
    assert DependencyIndex().register_from_sse_swaps(environment(page=source), "page.html") == 0
    assert caplog.records == []


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda index: index.register_template(ENV, "pages.html"), TemplateLoadError, "pages.html"),
        (lambda index: index.register_template(ENV, "broken.html"), TemplateLoadError, "broken.html.*2"),
        (
            lambda index: index.register_template(ENV, "page.html", block_names=["titel"]),
            BlockNotFoundError,
            "'page.html' has no block 'titel'.*'title'.*title, body, count, footer",
        ),
        (
            lambda index: index.register_template(ENV, "page.html", dom_id_map={"titel": "x"}),
            BlockNotFoundError,
            "titel",
        ),
        (
            lambda index: index.register_from_sse_swaps(ENV, "page.html", exclude_blocks=["titel"]),
            BlockNotFoundError,
            "titel",
        ),
        (lambda index: index.register_template(ENV, "page.html", block_names="title"), TypeError, "bare string"),
        (lambda index: index.register_template("dir", "page.html"), TypeError, "templates must be a"),
        (lambda index: index.register("", BlockRef("t", "b")), ValueError, "empty"),
        (lambda index: index.register("a..b", BlockRef("t", "b")), ValueError, "empty segment"),
        (lambda index: index.register("a", "block"), TypeError, "BlockRef"),
        (lambda index: index.derive("a", from_paths="b"), TypeError, "from_paths is a bare string"),
        (lambda index: index.derive("a", from_paths=[]), ValueError, "from_paths is empty"),
        (lambda index: index.affected_blocks("title"), TypeError, "bare string"),
        (lambda index: index.block_dependencies("page.html", "titel"), BlockNotFoundError, "page.html:title"),
    ],
)
def test_bad_input_is_an_error_that_names_the_place_and_the_mend(
    call: Callable[[DependencyIndex], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(registered())


def test_an_index_with_an_environment_checks_blocks_registered_by_hand() -> None:
    index = DependencyIndex(ENV)
    index.register("a", BlockRef("page.html", "title"))
    with pytest.raises(BlockNotFoundError, match="titel"):
        index.register("a", BlockRef("page.html", "titel"))
    with pytest.raises(TemplateLoadError, match="pages.html"):
        index.register("a", BlockRef("pages.html", "title"))


paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join) | st.just("*")


@given(
    st.lists(st.tuples(paths, st.integers(0, 5)), max_size=12),
    st.lists(st.tuples(paths, st.frozensets(paths, min_size=1, max_size=2)), max_size=3),
    st.frozensets(paths, max_size=3),
)
def test_the_index_answers_as_comparing_every_pair_of_paths_would(
    registrations: list[tuple[str, int]], derivations: list[tuple[str, frozenset[str]]], changed: frozenset[str]
) -> None:
    index = DependencyIndex()
    for path, number in registrations:
        index.register(path, BlockRef("t", f"b{number}"))
    for path, sources in derivations:
        index.derive(path, from_paths=sources)
    expanded = set(changed)
    while more := {
        path
        for path, sources in derivations
        if path not in expanded and any(overlap(one, other) for one in sources for other in expanded)
    }:
        expanded |= more
    expected = {f"b{number}" for path, number in registrations if any(overlap(path, one) for one in expanded)}
    assert {ref.block_name for ref in index.affected_blocks(changed)} == expected


def test_an_index_may_be_read_from_any_thread_while_it_grows() -> None:
    index = registered()
    failures: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(300):
                assert "title" in names(index, "doc")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(100):
        index.register(f"path{number}", BlockRef("page.html", "title"))
    for thread in threads:
        thread.join()
    assert failures == []
