"""Which pages have compressed streams, and what of them is compressed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_reactive import BlockNotFoundError, ConnectionInfo, Fragment, Reactive, ReactiveMiddleware
from starlette_reactive.testing import TestClient
from tests.support import Connection, environment, eventually

from .share_app import LIVE, SINK, Club, shows
from .support import SECRET, request, stream

GZIP = {"Accept-Encoding": "gzip, deflate"}
ROWS = LIVE.format("rows", "{% for row in rows %}<li>{{ row }}</li>{% endfor %}")
TOKEN = LIVE.format("token", "{{ token }}")
TOAST = "{% block toast %}<p>{{ text }}</p>{% endblock %}"


class Board:
    """An application with one page.

    Args:
        page: The template.
        middleware: What is around the application.
        options: Further arguments of the page.
    """

    def __init__(self, page: str = ROWS + TOKEN, *, middleware: list[Middleware] | None = None, **options: Any) -> None:
        self.rows = [f"row no. {number} of this board" for number in range(200)]
        self.token = "none"
        self.reactive = Reactive(environment(page="<!doctype html>" + page + SINK, toast=TOAST), secret=SECRET)
        endpoint = self.reactive.page("page.html", scope="all", **options)(self.context)
        routes = [*self.reactive.routes, Route("/", endpoint)]
        self.app = Starlette(routes=routes, middleware=middleware)
        self.app.add_middleware(ReactiveMiddleware, reactive=self.reactive)

    async def context(self, request: Request) -> dict[str, Any]:
        return {"rows": self.rows, "token": self.token}

    async def url(self) -> str:
        return (await request(self.app, "/")).url

    async def change(self, text: str) -> None:
        self.rows = [text, *self.rows[1:]]
        await self.reactive.emit("all", "rows")

    async def change_token(self, token: str) -> None:
        self.token = token
        await self.reactive.emit("all", "token")


def sent(connection: Connection) -> bytes:
    return b"".join(connection.chunks)


def text(connection: Connection) -> str:
    return "\n".join(frame.data or "" for frame in connection.updates)


async def encoding_of(board: Board, headers: Mapping[str, str] = GZIP) -> str | None:
    async with stream(board.app, await board.url(), headers=headers) as connection:
        return connection.encoding


@pytest.mark.parametrize(
    ("options", "encoding"),
    [
        ({"shared": True}, "gzip"),
        ({"shared": True, "compress": False}, None),
        ({"share": lambda _: "all"}, None),
        ({"share": lambda _: "all", "compress": True}, "gzip"),
        ({}, None),
        ({"compress": True}, "gzip"),
    ],
)
async def test_only_shared_pages_are_compressed_unless_the_page_says_otherwise(
    options: dict[str, Any], encoding: str | None
) -> None:
    board = Board(**options)
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        assert connection.encoding == encoding
        await board.change("new & <fresh>")
        assert "<li>new &amp; &lt;fresh&gt;</li>" in str((await connection.next_update()).data)


@pytest.mark.parametrize("accepted", ["", "br", "identity", "gzip;q=0", "*;q=0"])
async def test_a_client_that_does_not_accept_gzip_gets_plain_frames(accepted: str) -> None:
    board = Board(shared=True)
    async with stream(board.app, await board.url(), headers={"Accept-Encoding": accepted}) as connection:
        assert connection.encoding is None
        assert sent(connection).startswith(b"retry: ")


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_caches_are_told_that_the_encoding_varies(accepted: str) -> None:
    board = Board(shared=True)
    async with stream(board.app, await board.url(), headers={"Accept-Encoding": accepted}) as connection:
        assert dict(connection.start["headers"])[b"vary"] == b"Accept-Encoding"


async def test_the_answer_to_head_has_the_headers_of_the_stream() -> None:
    board = Board(shared=True)
    answer = await request(board.app, await board.url(), method="HEAD", headers=GZIP)
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_all_viewers_see_the_same_with_and_without_compression() -> None:
    board = Board(shared=True)
    async with AsyncExitStack() as stack:
        viewers: list[Connection] = []
        for number in range(6):
            headers = GZIP if number % 2 else {}
            viewers.append(await stack.enter_async_context(stream(board.app, await board.url(), headers=headers)))
            await board.change(f"after viewer {number}")
            await board.change_token(f"token {number}")
            for viewer in viewers:
                await eventually(lambda viewer=viewer, number=number: f"token {number}" in text(viewer))  # type: ignore[misc]
        for plain, compressed in zip(viewers[::2], viewers[1::2], strict=True):
            expected = [frame.data for frame in plain.updates]
            found = [frame.data for frame in compressed.updates]
            assert expected[-len(found) :] == found


async def test_a_changed_row_costs_a_fortieth_of_its_block() -> None:
    board = Board(shared=True)
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        for number in range(3):
            before = len(sent(connection))
            await board.change(f"changed {number}")
            update = await connection.next_update()
        assert (len(sent(connection)) - before) * 40 < len(update.data or "")


async def test_every_kind_of_frame_passes_through_the_compression() -> None:
    board = Board(shared=True)
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        await board.reactive.notify("all", Fragment("toast.html", "toast", target="toasts", text="a toast"))
        assert "<p>a toast</p>" in str((await connection.next_update()).data)
        await board.change("changed")
        assert "<li>changed</li>" in str((await connection.next_update()).data)
        board.reactive.bus.close("all")
        await eventually(lambda: connection.complete)
        assert connection.updates[-1].event == "reactive-close"


async def test_a_restart_comes_compressed_and_so_does_what_follows_it() -> None:
    board = Board(compress=True)
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        await board.change("changed")
        await connection.next_update()
        last = [frame.id for frame in connection.frames if frame.id][-1]
    await board.change("changed meanwhile")
    async with stream(board.app, await board.url(), headers={**GZIP, "Last-Event-ID": str(last)}) as connection:
        assert "<li>changed meanwhile</li>" in str((await connection.next_update()).data)


# Blocks that are sent uncompressed


async def test_a_block_that_is_named_is_sent_as_it_is_and_others_are_compressed() -> None:
    board = Board(compress=True, uncompressed=["token"])
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        for number in range(2):
            await board.change(f"{number} " + "x" * 500)
            await connection.next_update()
            await board.change_token(f"{number} " + "y" * 500)
            await connection.next_update()
            assert board.token.encode() in sent(connection)
        assert b"x" * 500 not in sent(connection)


async def test_a_named_block_is_sent_as_it_is_also_with_what_a_viewer_has_missed() -> None:
    board = Board(compress=True, uncompressed=["token"])
    url = await board.url()
    await board.change_token("y" * 500)
    await board.change("x" * 500)
    async with stream(board.app, url, headers=GZIP) as connection:
        await eventually(lambda: "x" * 500 in text(connection) and "y" * 500 in text(connection))
        assert b"y" * 500 in sent(connection)


@pytest.mark.parametrize("named", ["outer", "inner"])
async def test_blocks_around_and_inside_a_named_block_are_sent_as_they_are_too(named: str) -> None:
    page = LIVE.format("outer", "{{ rows[0] }}" + LIVE.format("inner", "{{ token }}"))
    board = Board(page, compress=True, uncompressed=[named])
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        await board.change("x" * 500)
        await connection.next_update()
        await board.change_token("y" * 500)
        await connection.next_update()
        assert b"x" * 500 in sent(connection)
        assert b"y" * 500 in sent(connection)


async def test_a_personal_block_of_a_page_with_share_is_sent_as_it_is() -> None:
    club = Club(compress=True)
    url = (await request(club.app, "/", headers={"cookie": "name=ada"})).url
    async with stream(club.app, url, headers={"cookie": "name=ada", **GZIP}) as ada:
        await club.add("red", "r" * 500)
        await shows(ada, "r" * 500)
        await club.remind("ada")
        await shows(ada, "ada has 1")
        assert b"ada has 1" in sent(ada)
        assert b"r" * 500 not in sent(ada)


def test_a_name_that_is_no_live_block_is_refused() -> None:
    with pytest.raises(BlockNotFoundError, match="has no live block 'tokens' to send uncompressed: name one of 'rows'"):
        Board(compress=True, uncompressed=["tokens"])
    with pytest.raises(TypeError, match="uncompressed is 'token': write a list"):
        Board(compress=True, uncompressed="token")


# Around the application


class Watching:
    """Middleware that wraps ``send``, as monitoring does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watched(message: Message) -> None:
            await send(message)

        await self.app(scope, receive, watched)


async def test_middleware_that_compresses_does_not_compress_again() -> None:
    everything = Middleware(GZipMiddleware, minimum_size=0, exclude_content_types=())
    board = Board(shared=True, middleware=[Middleware(Watching), everything])
    async with stream(board.app, await board.url(), headers=GZIP) as connection:
        await board.change("changed")
        assert "<li>changed</li>" in str((await connection.next_update()).data)
        codings = [value for name, value in connection.start["headers"] if name == b"content-encoding"]
        assert codings == [b"gzip"]
        assert zlib.decompressobj(31).decompress(sent(connection)).startswith(b"retry: ")


async def test_the_test_client_decodes_streams() -> None:
    board = Board(shared=True)
    async with TestClient(board.app) as client:
        page = await client.live("/")
        await board.change("changed")
        await page.expect("#rows li", "changed")
        url = await board.url()
        await board.change("changed again")
        result = await client.sse(url, max_events=1)
        assert result.headers["content-encoding"] == "gzip"
        assert "<li>changed again</li>" in result.events[0].data


async def test_a_stream_with_a_context_builder_is_compressed_on_demand() -> None:
    reactive = Reactive(environment(page="<!doctype html>" + ROWS), secret=SECRET)
    reactive.index.register_template(reactive.templates, "page.html", block_names=["rows"])

    @reactive.stream("page.html", scope="all", share="all", connection=ConnectionInfo("a", None, 0.0), compress=True)
    async def rows() -> Any:
        return lambda: {"rows": ["x" * 500]}

    app = Starlette(routes=[Route("/", rows)], lifespan=reactive.lifespan)
    reactive.bus.start()
    async with stream(app, "/", headers=GZIP) as connection:
        assert connection.encoding == "gzip"
        await reactive.emit("all", "rows")
        assert "x" * 500 in str((await connection.next_update()).data)
        assert b"x" * 500 not in sent(connection)
    reactive.bus.close()
