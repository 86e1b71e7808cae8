"""Deferred values: the page does not wait for them, and its stream brings the blocks that show them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from starlette_reactive import Reactive
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._streams.groups import end_streams
from starlette_reactive.testing import TestClient
from tests.support import Connection, environment, eventually

from .share_app import LIVE, SINK, last_id, shows, text
from .support import SECRET, quiet, request, stream

REVENUE = LIVE.format(
    "revenue",
    "{% if revenue is deferred %}Wait. <noscript><a href='{{ complete_url() }}'>Show it</a></noscript>"
    "{% else %}Sum: {{ revenue.total }}{% endif %}",
)
PAGE = "<!doctype html>" + LIVE.format("title", "Title: {{ title }}") + REVENUE


class Shop:
    """An application with one page, whose revenue takes long.

    Args:
        page: The template.
        deferred: The names of deferred values.
        options: Further arguments of the page.
    """

    def __init__(self, page: str = PAGE, *, deferred: Any = ("revenue",), **options: Any) -> None:
        self.total = 1
        self.title = "one"
        self.queries = 0
        self.ready = anyio.Event()
        self.fails = False
        self.value: Callable[[], Any] = self.revenue
        self.reactive = Reactive(environment(page=page + SINK), secret=SECRET)
        endpoint = self.reactive.page("page.html", scope="all", deferred=deferred, **options)(self.context)
        self.templates: Jinja2Templates = self.reactive.templates
        routes = [*self.reactive.routes, Route("/", endpoint), Route("/", self.again, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def revenue(self) -> dict[str, int]:
        self.queries += 1
        await self.ready.wait()
        if self.fails:
            raise RuntimeError("the query fails")
        return {"total": self.total}

    async def context(self, request: Request) -> dict[str, Any]:
        return {"title": self.title, "revenue": self.value}

    async def again(self, request: Request) -> Response:
        return self.templates.TemplateResponse(request, "page.html", await self.context(request))

    async def url(self) -> str:
        return (await request(self.app, "/")).url

    async def change_title(self, title: str) -> None:
        self.title = title
        await self.reactive.emit("all", "title")

    async def change_total(self, total: int) -> None:
        self.total = total
        await self.reactive.emit("all", "revenue.total")


def ids(connection: Connection) -> list[str]:
    return [frame.id for frame in connection.frames if frame.id is not None]


each_kind = pytest.mark.parametrize("options", [{}, {"shared": True}, {"share": lambda _: "all"}])


@each_kind
async def test_a_page_does_not_wait_for_a_deferred_value_and_the_stream_brings_it(options: dict[str, Any]) -> None:
    shop = Shop(**options)
    page = await request(shop.app, "/")
    assert "Title: one" in page.text
    assert "Wait." in page.text
    assert "Sum:" not in page.text
    assert shop.queries == 0
    async with stream(shop.app, page.url, wait=False) as connection:
        await eventually(lambda: shop.queries)
        shop.ready.set()
        await shows(connection, "Sum: 1")
        assert "Wait." not in text(connection)
        await shop.change_total(2)
        await shows(connection, "Sum: 2")


@each_kind
async def test_an_update_of_other_blocks_does_not_compute_the_value(options: dict[str, Any]) -> None:
    shop = Shop(**options)
    shop.ready.set()
    async with stream(shop.app, await shop.url()) as connection:
        await shows(connection, "Sum: 1")
        computed = shop.queries
        await shop.change_title("two")
        await shows(connection, "Title: two")
        assert shop.queries == computed


async def test_viewers_of_a_shared_page_share_the_value() -> None:
    shop = Shop(shared=True)
    shop.ready.set()
    async with AsyncExitStack() as stack:
        for _ in range(5):
            connection = await stack.enter_async_context(stream(shop.app, await shop.url()))
            await shows(connection, "Sum: 1")
        assert shop.queries == 1


def plain(shop: Shop) -> Callable[[], Any]:
    def compute() -> dict[str, int]:
        assert threading.current_thread() is not threading.main_thread()
        return {"total": shop.total}

    return compute


@pytest.mark.parametrize(
    "value_of",
    [
        plain,
        lambda shop: functools.partial(shop.revenue),
        lambda shop: lambda: shop.revenue(),
        lambda shop: lambda: {"total": shop.total},
    ],
)
async def test_the_value_may_come_from_functions_of_all_kinds(value_of: Callable[[Shop], Callable[[], Any]]) -> None:
    shop = Shop()
    shop.ready.set()
    shop.value = value_of(shop)
    async with stream(shop.app, await shop.url()) as connection:
        await shows(connection, "Sum: 1")


# Connections that break


@each_kind
async def test_a_viewer_whose_connection_breaks_before_the_value_comes_gets_it_after_the_reconnect(
    options: dict[str, Any],
) -> None:
    shop = Shop(**options)
    url = await shop.url()
    async with stream(shop.app, url, wait=False) as connection:
        await eventually(lambda: shop.queries)
        assert ids(connection) == []
        shop.ready.set()  # else the server would wait for the query
    async with stream(shop.app, url) as connection:
        await shows(connection, "Sum: 1")


@each_kind
async def test_a_viewer_who_comes_back_with_the_value_is_not_sent_it_again(options: dict[str, Any]) -> None:
    shop = Shop(**options)
    shop.ready.set()
    url = await shop.url()
    async with stream(shop.app, url) as connection:
        await shows(connection, "Sum: 1")
        await eventually(lambda: ids(connection))
    computed = shop.queries
    async with stream(shop.app, url, headers={"Last-Event-ID": last_id(connection)}) as connection:
        await quiet(connection)
    assert shop.queries == computed


async def test_a_stream_that_restarts_before_the_value_comes_brings_it_the_next_time() -> None:
    shop = Shop(shared=True)
    shop.ready.set()
    shop.fails = True
    url = await shop.url()
    async with stream(shop.app, url) as connection:
        await eventually(lambda: shop.queries)
        end_streams(hub_of(shop.reactive.bus))
        await eventually(lambda: connection.complete)
    shop.fails = False
    headers = {"Last-Event-ID": last_id(connection)} if ids(connection) else {}
    async with stream(shop.app, url, headers=headers) as connection:
        await shows(connection, "Sum: 1")


@pytest.mark.parametrize("options", [{}, {"share": lambda _: "all"}])
async def test_a_stream_that_restarts_for_another_user_before_the_value_comes_brings_it_the_next_time(
    options: dict[str, Any],
) -> None:
    users = ["ann"]
    shop = Shop(user=lambda _: users[0], **options)
    shop.ready.set()
    shop.fails = True
    url = await shop.url()
    async with stream(shop.app, url) as connection:
        await shop.change_title("two")
        await shows(connection, "Title: two")
        users[0] = "ben"
        await shop.change_title("three")
        await eventually(lambda: connection.complete)
        assert connection.updates[-1].event == "reactive-restart"
    shop.fails = False
    headers = {"Last-Event-ID": last_id(connection)} if ids(connection) else {}
    async with stream(shop.app, url, headers=headers) as connection:
        await shows(connection, "Sum: 1", "Title: three")


@each_kind
async def test_a_value_that_cannot_be_computed_keeps_only_its_own_block_back(options: dict[str, Any]) -> None:
    shop = Shop(**options)
    shop.ready.set()
    shop.fails = True
    async with stream(shop.app, await shop.url()) as connection:
        await shop.change_title("two")
        await shows(connection, "Title: two")
        assert "Sum:" not in text(connection)
        shop.fails = False
        await shop.change_title("three")
        await shows(connection, "Sum: 1")


# Without a stream


async def test_a_link_shows_the_page_at_once_and_as_a_whole() -> None:
    shop = Shop()
    shop.ready.set()
    page = await request(shop.app, "/?a=1&b=%26&reactive-complete=0")
    assert "<a href='?a=1&amp;b=%26&amp;reactive-complete=1'>Show it</a>" not in page.text  # it is complete
    page = await request(shop.app, "/?a=1&b=%26")
    assert "<a href='?a=1&amp;b=%26&amp;reactive-complete=1'>Show it</a>" in page.text
    page = await request(shop.app, "/?a=1&b=%26&reactive-complete=1")
    assert "Sum: 1" in page.text
    assert "Wait." not in page.text
    async with stream(shop.app, page.url) as connection:
        await quiet(connection)
        await shop.change_total(2)
        await shows(connection, "Sum: 2")


async def test_a_page_that_a_post_renders_again_has_the_placeholder_and_its_stream_brings_the_value() -> None:
    shop = Shop(shared=True)
    shop.ready.set()
    page = await request(shop.app, "/", method="POST")
    assert "Wait." in page.text
    async with stream(shop.app, page.url) as connection:
        await shows(connection, "Sum: 1")


async def test_a_placeholder_is_rendered_as_an_empty_text() -> None:
    shop = Shop(
        "<!doctype html>" + LIVE.format("revenue", "[{{ revenue.total }}{% for row in revenue %}x{% endfor %}]")
    )
    assert '<div id="revenue">[]</div>' in (await request(shop.app, "/")).text


async def test_a_live_page_of_the_test_client_shows_the_placeholder_and_then_the_value() -> None:
    shop = Shop()
    async with TestClient(shop.app) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(eventually, lambda: shop.queries)
            tasks.start_soon(_release, shop)
            page = await client.live("/")
        await page.expect("#revenue", "Sum: 1")


async def _release(shop: Shop) -> None:
    await eventually(lambda: shop.queries)
    shop.ready.set()


# Declarations


def test_a_name_that_no_live_block_shows_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"no live block of 'page.html' shows 'revenues', .* \(did you mean 'revenue'\?\)"
    ):
        Shop(deferred=["revenues"])
    with pytest.raises(TypeError, match=r"deferred is 'revenue': write a list of names, as deferred=\['revenue'\]"):
        Shop(deferred="revenue")


async def test_a_value_that_is_no_function_is_refused() -> None:
    shop = Shop()
    shop.value = {"total": 1}  # type: ignore[assignment]
    with pytest.raises(TypeError, match="returned dict for 'revenue', which deferred= names: return a function"):
        await request(shop.app, "/")


LINE_2 = "<!doctype html>\n"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (PAGE, None),
        (LINE_2 + LIVE.format("revenue", "{{ revenue.total|default('Wait.') }}"), None),
        (LINE_2 + LIVE.format("revenue", "{{ 'Wait.' if revenue is not deferred else revenue.total }}"), None),
        (LINE_2 + LIVE.format("revenue", "{{ revenue.total }}"), "the live block 'revenue' shows the deferred value"),
        (
            PAGE + "<p>{% block foot %}{{ revenue.total }}{% endblock %}</p>",
            "the block 'foot', which is not live, shows",
        ),
        (PAGE + "<p>{{ revenue.total }}</p>", "the page outside its blocks shows the deferred value 'revenue', which"),
    ],
)
def test_the_check_reports_values_without_a_placeholder_and_values_that_never_come(
    page: str, message: str | None
) -> None:
    found = [issue for issue in Shop(page).reactive.check() if issue.category == "deferred_value"]
    assert [message in issue.message for issue in found if message] == ([] if message is None else [True])
    assert bool(found) == (message is not None)
