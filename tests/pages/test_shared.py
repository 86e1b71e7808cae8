"""Shared pages: one update for all viewers of a URL, without any viewer's data."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from starlette_reactive import BlockNotFoundError, Reactive, ViewerNameError
from tests.support import environment

from .support import PAGE, SECRET, request, stream

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


def nothing() -> dict[str, Any]:
    return {}


def application(endpoint: Callable[..., Any], env: Environment, **options: Any) -> tuple[Reactive, Starlette]:
    reactive = Reactive(env, secret=SECRET)
    page = reactive.page("page.html", scope="all", shared=True)(endpoint)
    return reactive, Starlette(routes=[*reactive.routes, Route("/{name}", page, name="page")], **options)


async def test_one_update_per_change_and_url_serves_all_viewers() -> None:
    runs: list[str] = []

    async def page(request: Request) -> dict[str, Any]:
        runs.append(str(request.url))
        return {"title": request.url.path, "items": [len(runs)]}

    reactive, app = application(page, environment(page=PAGE))
    async with AsyncExitStack() as stack:
        connections = {}
        for number in range(10):
            path = f"/{number % 2}?q={number // 2 % 2}"
            url = (await request(app, path)).url
            connections[number] = await stack.enter_async_context(stream(app, url))
        runs.clear()
        await reactive.emit("all", "items")
        for connection in connections.values():
            await connection.next_update()
        assert sorted(runs) == [f"http://test/{path}?q={query}" for path in (0, 1) for query in (0, 1)]


async def test_no_name_cookie_or_header_of_a_viewer_reaches_the_update_or_another_viewer() -> None:
    seen: list[dict[str, Any]] = []
    names = ["Ada-7f3", "Bob-9c1", "Cyd-2e8"]

    async def recognise(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if name := request.cookies.get("who"):
            request.state.name = name
            request.session["name"] = name
            WHO.set(name)
        return await call_next(request)

    async def page(request: Request) -> dict[str, Any]:
        name = getattr(request.state, "name", request.session.get("name", request.cookies.get("who", WHO.get())))
        seen.append({"client": request.client, "session": dict(request.session), **request.headers})
        return {"title": name, "items": [name, request.headers.get("authorization"), len(seen)]}

    reactive, app = application(
        page,
        environment(page=PAGE),
        middleware=[
            Middleware(SessionMiddleware, secret_key="s"),
            Middleware(BaseHTTPMiddleware, dispatch=recognise),
        ],
    )
    async with AsyncExitStack() as stack:
        connections = []
        for name in names:
            headers = {"Cookie": f"who={name}", "Authorization": f"Bearer {name}", "X-Name": name, "User-Agent": name}
            page_seen = await request(app, "/board", headers=headers)
            assert f'<h1 id="title">{name}</h1>' in page_seen.text  # the page itself is rendered for its viewer
            connections.append(await stack.enter_async_context(stream(app, page_seen.url, headers=headers)))
        seen.clear()
        await reactive.emit("all", "title", "items")
        for connection in connections:
            await connection.next_update()
            await connection.next_update()
    assert seen == [{"client": None, "session": {}, "host": "test", "accept": "text/html"}]
    for connection in connections:
        sent = b"".join(connection.chunks).decode()
        assert ">nobody<" in sent
        assert not any(name in sent for name in names)


LIVE = '<div id="{0}">{{% block {0} %}}{1}{{% endblock %}}</div>'


def declare(body: str, *, viewer_names: tuple[str, ...] = (), **options: Any) -> Reactive:
    reactive = Reactive(environment(page="<html>\n" + body), secret=SECRET, viewer_names=viewer_names)
    reactive.page("page.html", scope="all", **{"shared": True, **options})(nothing)
    return reactive


@pytest.mark.parametrize(
    "expression",
    [
        "{{ user.name }}",
        "{{ current_user }}",
        "{% if session.cart %}x{% endif %}",
        "{{ csrf_token }}",
        "{{ request.user.name }}",
        "{{ request.cookies['a'] }}",
        "{% set u = user %}{{ u }}",
        "{% with x = request %}{{ x.url }}{% endwith %}",
        "{{ tenant.name }}",
    ],
)
def test_a_live_block_that_reads_viewer_data_is_rejected_with_its_location(expression: str) -> None:
    with pytest.raises(
        ViewerNameError, match=r"page.html:3: the block 'own' of the shared page 'page.html' reads"
    ) as e:
        declare("<p>\n" + LIVE.format("own", expression), viewer_names=("tenant",))
    assert (e.value.template, e.value.block, e.value.line) == ("page.html", "own", 3)
    assert "exclude_blocks=, or declare the page without shared=True" in str(e.value)
    declare("<p>\n" + LIVE.format("own", expression), viewer_names=("tenant",), shared=False)


def test_a_block_that_may_read_anything_is_rejected_with_the_reason() -> None:
    with pytest.raises(ViewerNameError, match=r"the block 'any' .* may read anything \(.*include.*\): name it"):
        declare(LIVE.format("any", "{% include which %}"))


def test_a_nested_block_without_an_element_counts_as_part_of_the_block_around_it() -> None:
    with pytest.raises(ViewerNameError, match="the block 'around'"):
        declare(LIVE.format("around", "{% block bare %}{{ user }}{% endblock %}"))


def test_excluded_blocks_may_read_viewer_data() -> None:
    declare(LIVE.format("own", "{{ user }}") + LIVE.format("all", "{{ items }}"), exclude_blocks=["own"])
    declare(LIVE.format("around", "{{ items }}" + LIVE.format("own", "{{ user }}")), exclude_blocks=["own", "around"])


def test_a_block_around_an_excluded_block_that_reads_viewer_data_is_rejected() -> None:
    with pytest.raises(ViewerNameError, match="the block 'around' .* contains the block 'own', which reads 'user'"):
        declare(LIVE.format("around", "{{ items }}" + LIVE.format("own", "{{ user }}")), exclude_blocks=["own"])


def test_the_page_outside_live_blocks_may_read_viewer_data() -> None:
    declare("{{ user }}{% block bare %}{{ user }}{% endblock %}" + LIVE.format("all", "{{ items }}"))


def test_an_unknown_block_cannot_be_excluded() -> None:
    with pytest.raises(BlockNotFoundError, match="did you mean 'own'"):
        declare(LIVE.format("own", "x"), exclude_blocks=["ovn"])


async def test_url_for_is_not_viewer_data() -> None:
    async def page(request: Request) -> dict[str, Any]:
        return {"title": "t", "items": []}

    env = environment(page=PAGE + LIVE.format("link", "{{ url_for('page', name=title) }}"))
    reactive, app = application(page, env)
    async with stream(app, (await request(app, "/a")).url) as connection:
        await reactive.emit("all", "title")
        await connection.next_update()
        assert "http://test/t" in ((await connection.next_update()).data or "")
