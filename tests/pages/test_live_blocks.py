"""Which blocks of a page are live, and how their patches are placed."""

from __future__ import annotations

import html
import logging
import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from starlette_reactive import Reactive, TemplateLoadError
from tests.support import environment

from .support import SECRET, quiet, request, stream, view

HTMX_4 = {"HX-Request-Type": "partial"}
SINK = "<div {{ live() }}></div>"


def nothing() -> dict[str, Any]:
    return {}


def application(body: str, *, debug: bool = False, values: Any = None, **options: Any) -> tuple[Reactive, Starlette]:
    reactive = Reactive(environment(page=body + SINK), secret=SECRET, debug=debug)

    async def page() -> dict[str, Any]:
        return {"a": "A", "b": "B", "items": ["x"]} if values is None else dict(values)

    decorated = reactive.page("page.html", scope="all", **options)(page)
    return reactive, Starlette(routes=[*reactive.routes, Route("/", decorated)])


async def updates(body: str, *paths: str, headers: dict[str, str] | None = None, **options: Any) -> list[str]:
    reactive, app = application(body, **options)
    async with stream(app, (await request(app, "/")).url, headers=headers) as connection:
        await reactive.emit("all", *paths)
        await connection.next_update()
        await quiet(connection, 0.03)
        return [frame.data or "" for frame in connection.updates]


async def test_a_block_that_fills_its_element_replaces_its_content() -> None:
    body = '<p id="x">\n  {% block content %}{{ a }}{% endblock %}\n</p>'
    for headers, style in (({}, "innerHTML"), (HTMX_4, "innerMorph")):
        assert await updates(body, "a", headers=headers) == [
            f'<hx-partial hx-target="#x" hx-swap="{style} transition:false">A</hx-partial>'
        ]


async def test_a_block_around_its_element_replaces_the_element_with_the_swap_of_each_version() -> None:
    body = '{% block content %}\n<p id="x" class="{{ b }}">{{ a }}</p>\n{% endblock %}'
    for headers, style in (({}, "outerHTML"), (HTMX_4, "outerMorph")):
        (data,) = await updates(body, "b", headers=headers)
        assert data.startswith(f'<hx-partial hx-target="#x" hx-swap="{style} transition:false">')
        assert '<p id="x" class="B">A</p>' in data


async def test_only_affected_blocks_are_sent() -> None:
    body = '<p id="x">{% block x %}{{ a }}{% endblock %}</p><p id="y">{% block y %}{{ b }}{% endblock %}</p>'
    assert await updates(body, "b") == [
        '<hx-partial hx-target="#y" hx-swap="innerHTML transition:false">B</hx-partial>'
    ]


@pytest.mark.parametrize(
    "inner",
    [
        "{% block bare %}{{ a }}{% endblock %}",
        '{% for i in items %}<p id="p{{ i }}">{% block each scoped %}{{ i }}{{ a }}{% endblock %}</p>{% endfor %}',
        '{% for i in items %}<p id="p">{% block each scoped %}{{ a }}{% endblock %}</p>{% endfor %}',
        '<p id="p">before {% block part %}{{ a }}{% endblock %}</p>',
        '{% block two %}<p id="p">{{ a }}</p><p id="q"></p>{% endblock %}',
    ],
    ids=["no element", "id of a loop", "in a loop", "not alone in its element", "two roots"],
)
async def test_a_block_without_its_own_element_is_sent_with_the_live_block_around_it(inner: str) -> None:
    (data,) = await updates(f'<div id="x">{{% block around %}}<b></b>{inner}{{% endblock %}}</div>', "a")
    assert data.startswith('<hx-partial hx-target="#x" hx-swap="innerHTML transition:false"><b></b>')


async def test_a_change_of_an_excluded_block_sends_neither_it_nor_the_block_around_it() -> None:
    body = (
        '<div id="x">{% block around %}<i>{{ b }}</i><p id="y">{% block editor %}{{ a }}{% endblock %}</p>'
        "{% endblock %}</div>"
    )
    reactive, app = application(body, exclude_blocks=["editor"])
    async with view(app, "/") as connection:
        await reactive.emit("all", "a")
        await quiet(connection, 0.05)
        await reactive.emit("all", "b")
        assert 'hx-target="#x"' in ((await connection.next_update()).data or "")


async def test_a_block_that_became_empty_is_emptied() -> None:
    reactive, app = application('<p id="x">{% block x %}{{ a }}{% endblock %}</p>', values={"a": ""})
    async with view(app, "/") as connection:
        await reactive.emit("all", "a")
        assert (
            await connection.next_update()
        ).data == '<hx-partial hx-target="#x" hx-swap="innerHTML transition:false"></hx-partial>'


async def test_a_block_that_a_child_template_fills_is_live() -> None:
    env = environment(
        base='<main id="x">{% block content %}{% endblock %}</main>' + SINK,
        page='{% extends "base.html" %}{% block content %}{{ a }}{% endblock %}',
    )
    reactive = Reactive(env, secret=SECRET)

    async def page() -> dict[str, Any]:
        return {"a": "A"}

    decorated = reactive.page("page.html", scope="all")(page)
    async with view(Starlette(routes=[*reactive.routes, Route("/", decorated)]), "/") as connection:
        await reactive.emit("all", "a")
        assert (
            await connection.next_update()
        ).data == '<hx-partial hx-target="#x" hx-swap="innerHTML transition:false">A</hx-partial>'


async def test_a_block_around_the_sink_is_not_live_and_a_warning_lists_what_is_not_updated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner = '<p id="y">{% block inner %}{{ b }}{% endblock %}</p>'
    template = f'<main id="x">\n{{% block body %}}{{{{ a }}}}{inner}{SINK}{{% endblock %}}</main>'
    reactive = Reactive(environment(page=template), secret=SECRET)
    with caplog.at_level(logging.WARNING):

        @reactive.page("page.html", scope="all")
        async def page() -> dict[str, Any]:
            return {"a": "A", "b": "B"}

    (record,) = caplog.records
    assert record.getMessage() == (
        "page.html:2: the block 'body' has an element with an id but is not live, because it contains the page's "
        "live() element: changes of a are not shown there; move that element out of the block"
    )
    async with view(Starlette(routes=[*reactive.routes, Route("/", page)]), "/") as connection:
        await reactive.emit("all", "a", "b")
        assert 'hx-target="#y"' in ((await connection.next_update()).data or "")
        await quiet(connection, 0.03)


@pytest.mark.parametrize("template", ['<p id="y">{% block y %}{{ b }}{% endblock %}</p>', "{{ url_for('page') }}"])
def test_a_block_around_the_sink_that_reads_nothing_else_causes_no_warning(
    template: str, caplog: pytest.LogCaptureFixture
) -> None:
    reactive = Reactive(
        environment(page=f'<main id="x">{{% block body %}}{template}{SINK}{{% endblock %}}</main>'), secret=SECRET
    )
    reactive.page("page.html", scope="all")(nothing)
    assert not caplog.records


async def test_derived_paths_update_blocks_and_may_be_declared_later() -> None:
    reactive, app = application('<p id="x">{% block x %}{{ a }}{% endblock %}</p>')
    reactive.index.derive("a", from_paths=["raw"])
    async with view(app, "/") as connection:
        await reactive.emit("all", "raw")
        await connection.next_update()


async def test_a_failing_block_does_not_affect_others_and_is_shown_in_debug_mode_only() -> None:
    body = '<p id="x">{% block x %}{{ a.b.c }}{% endblock %}</p><p id="y">{% block y %}{{ b }}{% endblock %}</p>'
    for debug in (False, True):
        values: dict[str, Any] = {"a": {"b": {"c": 1}}, "b": "B"}
        reactive, app = application(body, debug=debug, values=values)
        url = (await request(app, "/")).url
        async with stream(app, url) as connection:
            del values["a"]
            await reactive.emit("all", "a", "b")
            await connection.next_update()
            await quiet(connection, 0.03)
            sent = "".join(frame.data or "" for frame in connection.updates)
            assert ("UndefinedError" in sent) is debug


@pytest.mark.parametrize(
    ("options", "message"),
    [({"wire": "smoke"}, "write one of 'htmx', 'datastar', 'turbo'"), ({"scope": ""}, "scope is empty")],
)
def test_invalid_options_are_rejected(options: dict[str, str], message: str) -> None:
    reactive = Reactive(environment(page=SINK), secret=SECRET)
    with pytest.raises(ValueError, match=message):
        reactive.page("page.html", **{"scope": "all", **options})  # type: ignore[arg-type]


def test_a_missing_template_is_reported_when_the_page_is_declared() -> None:
    with pytest.raises(TemplateLoadError, match="missing.html"):
        Reactive(environment(), secret=SECRET).page("missing.html", scope="all")


async def test_the_sink_has_the_attributes_of_both_versions_of_htmx() -> None:
    _, app = application("")
    seen = await request(app, "/")
    for attribute in ("hx-sse:connect", "sse-connect"):
        assert seen.text.count(f' {attribute}="/_reactive/live?page=') == 1
    for text in ('hx-ext="sse"', 'sse-swap="message"', 'hx-swap="none transition:false"', 'sse-close="reactive-close"'):
        assert text in seen.text


def attributes_for_the_script(text: str) -> dict[str, str]:
    found = re.findall(r' data-reactive-(\w+)="([^"]*)"', text)
    return {name: html.unescape(value) for name, value in found if name != "sink"}


async def test_the_sink_names_the_elements_that_updates_go_to_in_their_order() -> None:
    item = """{% block item %}<li id="a'b">{{ a }}</li>{% endblock %}"""
    body = '<ul id="list">{% block list %}' + item + "{% endblock %}</ul>"
    body += '<p id="with space">{% block spaced %}{{ b }}{% endblock %}</p><p>{% block none %}{{ a }}{% endblock %}</p>'
    body += '<p id="other">{% block other %}{{ b }}{% endblock %}</p>'
    _, app = application(body)
    assert attributes_for_the_script((await request(app, "/")).text)["blocks"] == "list a'b other"


@pytest.mark.parametrize(("heartbeat", "text"), [(15.0, "15"), (0.25, "0.25"), (1, "1")])
async def test_the_sink_says_how_often_the_stream_beats(heartbeat: float, text: str) -> None:
    reactive = Reactive(environment(page=SINK), secret=SECRET, heartbeat=heartbeat)
    app = Starlette(routes=[*reactive.routes, Route("/", reactive.page("page.html", scope="all")(nothing))])
    assert attributes_for_the_script((await request(app, "/")).text)["beat"] == text


async def test_the_sink_names_the_page_and_its_path_but_not_its_query() -> None:
    reactive = Reactive(environment(page=SINK), secret=SECRET)
    boards, lists = (reactive.page("page.html", scope="all")(nothing) for _ in range(2))
    routes = [Route("/boards/{number}", boards), Route("/lists/{number}", lists)]
    app = Starlette(routes=[*reactive.routes, *routes])
    paths = ["/boards/1", "/boards/1?a=1", "/boards/2", "/lists/1"]
    digests = [attributes_for_the_script((await request(app, path)).text)["page"] for path in paths]
    behind = await request(app, "/behind/boards/1", root_path="/behind")
    digests.append(attributes_for_the_script(behind.text)["page"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
    assert all(re.fullmatch("[A-Za-z0-9_-]{16}", digest) for digest in digests)


@pytest.mark.parametrize(
    ("wire", "sink", "frame"),
    [
        (
            "datastar",
            "<div data-init=\"@get('/_reactive/live?page=",
            ("datastar-patch-elements", "selector #x\nmode inner\nelements A\nelements B"),
        ),
        (
            "turbo",
            '<div id="reactive-live" src="/_reactive/live?page=',
            (
                None,
                '<turbo-stream action="update" method="morph" target="x"><template>A\nB</template></turbo-stream>',
            ),
        ),
    ],
)
async def test_other_clients_get_their_own_format(wire: str, sink: str, frame: tuple[str | None, str]) -> None:
    reactive, app = application('<p id="x">{% block x %}{{ a }}{% endblock %}</p>', wire=wire, values={"a": "A\nB"})
    seen = await request(app, "/")
    assert sink in seen.text
    async with stream(app, seen.url) as connection:
        await reactive.emit("all", "a")
        got = await connection.next_update()
        assert (got.event, got.data) == frame
