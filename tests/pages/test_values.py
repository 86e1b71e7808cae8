"""The values that an endpoint may return under @reactive.html, and reactive.response."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from starlette_reactive import OOB, Action, BlockNotFoundError, Fragment, Reactive, ReactiveError, ValidationError

from .support import SECRET, Seen, request

FORM = """<form id="form">{% block form %}<input name="title" value="{{ title }}">
{% for name, message in (errors or {}).items() %}<em>{{ name }}: {{ message }}</em>{% endfor %}{% endblock %}</form>
<p id="count">{% block count %}{{ target }} {{ template_name }} {{ block_name }}{% endblock %}</p>
<p>{% block around %}{{ url_for("answer") }} {{ site }} {{ request.url.path }}{% endblock %}</p>"""


def templates(*, is_async: bool = False) -> Jinja2Templates:
    env = Environment(loader=DictLoader({"form.html": FORM}), autoescape=True, enable_async=is_async)
    return Jinja2Templates(env=env, context_processors=[lambda request: {"site": f"site of {request.url.hostname}"}])


async def answer(value: Any, *, is_async: bool = False, by: str = "html") -> Seen:
    reactive = Reactive(templates(is_async=is_async), secret=SECRET)

    async def decorated(request: Request) -> Any:
        return value

    async def by_hand(request: Request) -> Any:
        return reactive.response(request, value)

    endpoint = reactive.html(decorated) if by == "html" else by_hand
    return await request(Starlette(routes=[Route("/", endpoint, name="answer")]), "/")


@pytest.fixture(params=["html", "response"])
def by(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_fragment_renders_its_block_alone(by: str) -> None:
    seen = await answer(Fragment("form.html", "form", title="<x>"), by=by)
    assert (seen.status, seen.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert seen.text == '<input name="title" value="&lt;x&gt;">\n'


async def test_context_processors_links_and_the_request_work_in_fragments(by: str) -> None:
    assert (await answer(Fragment("form.html", "around"), by=by)).text == "http://test/ site of test /"


async def test_context_names_never_collide_with_parameters(by: str) -> None:
    fragment = Fragment("form.html", "count", template_name="t", block_name="b")
    fragment.context["target"] = "x"
    assert (await answer(fragment, by=by)).text == "x t b"


async def test_oob_sends_the_main_fragment_and_the_others_as_partials(by: str) -> None:
    value = OOB(
        Fragment("form.html", "form", title=""),
        Fragment("form.html", "count", template_name="1", block_name=""),
        Fragment("form.html", "count", target='a"b', template_name="2", block_name=""),
    )
    text = (await answer(value, by=by)).text
    assert text.startswith('<input name="title" value="">\n<hx-partial hx-target="#count" hx-swap="innerHTML"> 1 <')
    assert '<hx-partial hx-target="[id=&#34;a\\&#34;b&#34;]"' in text or '[id=&quot;a\\&quot;b&quot;]"' in text


async def test_oob_with_style_oob_sends_an_out_of_band_element(by: str) -> None:
    value = OOB(
        Fragment("form.html", "form", title=""),
        Fragment("form.html", "count", target='a"b', template_name="1", block_name="2"),
        style="oob",
    )
    assert (await answer(value, by=by)).text.endswith('<div id="a&quot;b" hx-swap-oob="innerHTML"> 1 2</div>')


AROUND = """{% block count %}
  <!-- <p id="count"> -->
  <p class="a>b" id="count">{{ n }}</p>{% endblock %}
{% block row %}<tr id="row-{{ n }}"><td>{{ n }}</td></tr>{% endblock %}
{% block text %}{{ n }} <p id="text"></p>{% endblock %}
{% block quoted %}<p id='a"b'>{{ n }}</p>{% endblock %}
{% block upper %}<P ID=upper>{{ n }}</P>{% endblock %}"""


async def others(style: str, *fragments: Fragment, swap: dict[str, str] | None = None) -> str:
    env = Environment(loader=DictLoader({"around.html": AROUND, "main.html": "{% block m %}{% endblock %}"}))
    reactive = Reactive(env, secret=SECRET)

    async def endpoint(request: Request) -> OOB:
        return OOB(Fragment("main.html", "m"), *fragments, style=style, swap=swap)  # type: ignore[arg-type]

    return (await request(Starlette(routes=[Route("/", reactive.html(endpoint))]), "/")).text


@pytest.mark.parametrize(
    ("block", "target", "style"),
    [
        ("count", None, "outerHTML"),
        ("count", "elsewhere", "innerHTML"),
        ("row", "row-1", "outerHTML"),
        ("row", "row-2", "innerHTML"),
        ("text", None, "innerHTML"),
        ("quoted", 'a"b', "outerHTML"),
        ("upper", None, "outerHTML"),
    ],
)
async def test_a_block_around_its_element_replaces_it(block: str, target: str | None, style: str) -> None:
    text = await others("partial", Fragment("around.html", block, target=target, n=1))
    assert f' hx-swap="{style}">' in text


async def test_the_element_of_a_block_around_it_has_the_attribute_of_htmx() -> None:
    text = await others("oob", *(Fragment("around.html", each, n=1) for each in ("count", "upper")))
    comment = '<!-- <p id="count"> -->'
    count, upper = (
        '<p hx-swap-oob="outerHTML" class="a>b" id="count">1</p>',
        '<P hx-swap-oob="outerHTML" ID=upper>1</P>',
    )
    assert text == f"\n  {comment}\n  {count}{upper}"


@pytest.mark.parametrize("style", ["partial", "oob"])
async def test_a_swap_style_counts_more_than_what_the_block_needs(style: str) -> None:
    fragments = (Fragment("around.html", "count", n=1), Fragment("around.html", "text", n=2))
    text = await others(style, *fragments, swap={"count": 'beforeend "scroll:bottom'})
    assert text.count("beforeend &quot;scroll:bottom") == 1
    assert text.count("innerHTML") == 1
    assert "outerHTML" not in text


async def test_an_element_elsewhere_can_be_replaced() -> None:
    text = await others("oob", Fragment("around.html", "row", target="there", n=1), swap={"there": "outerHTML"})
    assert text == '<tr hx-swap-oob="outerHTML:#there" id="row-1"><td>1</td></tr>'
    text = await others("partial", Fragment("around.html", "row", target="there", n=1), swap={"there": "outerHTML"})
    assert text == '<hx-partial hx-target="#there" hx-swap="outerHTML"><tr id="row-1"><td>1</td></tr></hx-partial>'


def test_a_swap_style_of_no_target_or_none_is_refused() -> None:
    main, other = Fragment("a", "main"), Fragment("a", "b", target="t")
    for name in ("main", "b"):
        with pytest.raises(ValueError, match=f"swap has '{name}', which is no target .* they are 't'"):
            OOB(main, other, swap={name: "beforeend"})
    with pytest.raises(ValueError, match="swap has ' ' for 't'"):
        OOB(main, other, swap={"t": " "})


async def test_a_validation_error_answers_422_with_the_form_and_its_errors(by: str) -> None:
    value = ValidationError(
        Fragment("form.html", "form", title="x", errors="overridden"), errors={"title": "too short"}
    )
    seen = await answer(value, by=by)
    assert (seen.status, seen.text) == (422, '<input name="title" value="x">\n<em>title: too short</em>')


async def test_an_action_answers_204_with_a_trigger_or_a_refresh(by: str) -> None:
    seen = await answer(Action("saved"), by=by)
    assert (seen.status, seen.text, seen.headers["hx-trigger"]) == (204, "", "saved")
    seen = await answer(Action({"saved": {"id": 1, "name": "Zoë → ü"}}, headers={"X-More": "1"}), by=by)
    assert json.loads(seen.headers["hx-trigger"]) == {"saved": {"id": 1, "name": "Zoë → ü"}}
    assert seen.headers["x-more"] == "1"
    seen = await answer(Action(refresh=True), by=by)
    assert (seen.headers["hx-refresh"], "hx-trigger" in seen.headers) == ("true", False)


async def test_text_mappings_and_responses(by: str) -> None:
    seen = await answer("<b>x</b>", by=by)
    assert (seen.text, seen.headers["content-type"]) == ("<b>x</b>", "text/html; charset=utf-8")
    seen = await answer({"a": [1]}, by=by)
    assert (json.loads(seen.text), seen.headers["content-type"]) == ({"a": [1]}, "application/json")
    done: list[int] = []
    seen = await answer(PlainTextResponse("x", 418, background=BackgroundTask(done.append, 1)), by=by)
    assert (seen.status, seen.text, done) == (418, "x", [1])


@pytest.mark.parametrize("value", [None, 7, ["a"], object()])
async def test_any_other_value_raises_an_error_that_lists_the_types(value: object, by: str) -> None:
    with pytest.raises(TypeError, match="there is no response for .*: return a Fragment, OOB, Action"):
        await answer(value, by=by)


async def test_an_unknown_block_raises_an_error_that_names_it(by: str) -> None:
    with pytest.raises(BlockNotFoundError, match="'from'"):
        await answer(Fragment("form.html", "from"), by=by)


async def test_asynchronous_environments_work_with_html_and_raise_an_explained_error_with_response() -> None:
    value = Fragment("form.html", "around")
    assert (await answer(value, is_async=True)).text == "http://test/ site of test /"
    with pytest.raises(ReactiveError, match="@reactive.html"):
        await answer(value, is_async=True, by="response")
    assert (await answer("x", is_async=True, by="response")).text == "x"


async def test_an_asynchronous_environment_serves_pages_and_updates() -> None:
    from .support import view

    env = Environment(
        loader=DictLoader({"page.html": '<p id="x">{% block x %}{{ f() }}{% endblock %}</p><i {{ live() }}></i>'}),
        enable_async=True,
    )
    reactive = Reactive(env, secret=SECRET)

    async def awaited() -> str:
        return "awaited"

    @reactive.page("page.html", scope="all")
    async def page() -> dict[str, Any]:
        return {"f": awaited}

    app = Starlette(routes=[*reactive.routes, Route("/", page)])
    async with view(app, "/") as connection:
        await reactive.emit("all", "f")
        assert ">awaited<" in ((await connection.next_update()).data or "")


def form_endpoint(title: str = "") -> Any:
    if len(title) < 3:
        return ValidationError(Fragment("form.html", "form", title=title), errors={"title": "too short"})
    return Action("saved")


async def form_coroutine(title: str = "") -> Any:
    return form_endpoint(title)


@pytest.mark.parametrize("endpoint", [form_endpoint, form_coroutine])
async def test_fastapi_endpoints(endpoint: Callable[..., Any]) -> None:
    app = FastAPI()
    reactive = Reactive(templates(), secret=SECRET)
    app.post("/")(reactive.html(endpoint))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/", params={"title": "x"})).status_code == 422
        assert (await client.post("/", params={"title": "long enough"})).headers["hx-trigger"] == "saved"


def test_values_check_their_arguments() -> None:
    with pytest.raises(TypeError, match="OOB takes Fragments, not str"):
        OOB(Fragment("a", "b"), "x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ValidationError takes a Fragment, not str"):
        ValidationError("x", errors={})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="write 'partial' or 'oob'"):
        OOB(Fragment("a", "b"), style="x")  # type: ignore[arg-type]
