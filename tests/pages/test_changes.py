"""Changes: emitting them, their origin and audience, plain streams, and the shutdown of the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from starlette_reactive import ChangeEvent, ConnectionInfo, Reactive, ReactiveBus
from starlette_reactive._streams import viewer as viewer_module
from tests.support import environment, eventually

from .support import PAGE, SECRET, quiet, request, stream, view

ENV = environment(page=PAGE, doc='<p id="x" sse-swap="x">{% block x %}{{ value }}{% endblock %}</p>')


class Board:
    """A page with a counter, so that each update differs."""

    def __init__(self, **options: Any) -> None:
        self.count = 0
        self.reactive = Reactive(ENV, secret=SECRET)

        async def page() -> dict[str, Any]:
            self.count += 1
            return {"title": self.count, "items": []}

        async def change(request: Request) -> Response:
            await self.reactive.emit("all", "title", origin=self.reactive.origin(request))
            return PlainTextResponse(str(self.reactive.origin(request)))

        decorated = self.reactive.page("page.html", scope="all", **options)(page)
        self.app = Starlette(
            routes=[*self.reactive.routes, Route("/", decorated), Route("/change", change, methods=["POST"])],
            lifespan=self.reactive.lifespan,
        )


async def test_changes_are_emitted_from_the_event_loop_and_from_threads() -> None:
    board = Board()
    async with view(board.app, "/") as connection:
        await board.reactive.emit("all", "title")
        await connection.next_update()
        await to_thread.run_sync(board.reactive.emit_sync, "all", "title")
        await connection.next_update()


async def test_invalid_changes_are_rejected() -> None:
    board = Board()
    with pytest.raises(ValueError, match="path"):
        await board.reactive.emit("all", "a..b")
    with pytest.raises(ValueError, match="path"):
        board.reactive.emit_sync("all")
    with pytest.raises(ValueError, match="scope"):
        await board.reactive.emit("", "a")


@pytest.mark.parametrize("shared", [False, True])
async def test_the_authors_tab_is_told_later_and_the_authors_other_tabs_at_once(
    shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 1.0)
    board = Board(shared=shared)
    cookie = {"Cookie": "session=ada"}
    first = await request(board.app, "/", headers=cookie)
    cookie = {"Cookie": "; ".join(["session=ada", *first.cookies.values()])}
    tabs = [first, await request(board.app, "/", headers=cookie)]
    assert tabs[0].origin != tabs[1].origin
    async with (
        stream(board.app, tabs[0].url, headers=cookie) as author,
        stream(board.app, tabs[1].url, headers=cookie) as other,
    ):
        headers = {**cookie, "Reactive-Origin": tabs[0].origin}
        answer = await request(board.app, "/change", method="POST", headers=headers)
        assert answer.text == tabs[0].origin
        await other.next_update()
        assert author.updates == []
        await author.next_update()
        answer = await request(board.app, "/change", method="POST", headers=cookie)
        assert answer.text == "None"
        await author.next_update()
        await other.next_update()


async def test_an_audience_is_matched_by_the_pages_user() -> None:
    async def user(request: Request) -> str | None:
        return request.cookies.get("user")

    for function in (user, lambda request: request.cookies.get("user")):
        board = Board(user=function)
        async with (
            view(board.app, "/", headers={"Cookie": "user=ada"}) as ada,
            view(board.app, "/", headers={"Cookie": "user=bob"}) as bob,
            view(board.app, "/") as nobody,
        ):
            assert {each.user_id for each in board.reactive.presence("all")} == {"ada", "bob", None}
            await board.reactive.emit("all", "title", audience={"ada"})
            await ada.next_update()
            await quiet(bob, 0.03)
            await quiet(nobody, 0.03)
            board.reactive.bus.close_user("bob")
            assert (await bob.next_update()).event == "reactive-close"
        assert board.reactive.presence("all") == frozenset()


async def test_a_bus_can_be_passed() -> None:
    bus = ReactiveBus()
    reactive = Reactive(ENV, bus=bus, secret=SECRET)
    with bus.subscribe("s") as subscription:
        await reactive.emit("s", "a", "b")
        assert await anext(subscription) == ChangeEvent("s", {"a", "b"})


async def test_shutdown_ends_streams_in_a_way_that_lets_browsers_reconnect() -> None:
    board = Board()
    async with board.app.router.lifespan_context(board.app):
        seen = await request(board.app, "/")
        async with anyio.create_task_group() as tasks:
            ended = anyio.Event()
            sent: list[bytes] = []

            async def browse() -> None:
                async with stream(board.app, seen.url) as connection:
                    await connection.ended.wait()
                    sent.extend(connection.chunks)
                ended.set()

            tasks.start_soon(browse)
            await eventually(lambda: board.reactive.presence("all"))
            async with board.reactive.lifespan(board.app):
                pass
            with anyio.fail_after(20):
                await ended.wait()
    assert b"reactive-close" not in b"".join(sent)
    async with view(board.app, "/") as connection:  # and it can start again
        await board.reactive.emit("all", "title")
        await connection.next_update()


async def test_shutdown_waits_for_the_renders_in_progress() -> None:
    reactive = Reactive(ENV, secret=SECRET)
    events: list[str] = []
    updating = anyio.Event()

    async def page(request: Request) -> dict[str, Any]:
        if "changed" in events:
            updating.set()
            await anyio.sleep(0.1)
            events.append("rendered")
        return {"title": "", "items": []}

    @asynccontextmanager
    async def own(app: Starlette) -> AsyncIterator[None]:
        async with reactive.lifespan(app):
            yield
        events.append("ended")

    decorated = reactive.page("page.html", scope="all")(page)
    app = Starlette(routes=[*reactive.routes, Route("/", decorated)], lifespan=own)
    async with app.router.lifespan_context(app), view(app, "/"):
        events.append("changed")
        await reactive.emit("all", "title")
        await updating.wait()
    assert events == ["changed", "rendered", "ended"]


async def test_the_router_adds_its_lifespan_to_the_one_of_the_fastapi_application() -> None:
    entered: list[str] = []

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        entered.append("own")
        yield {"pool": "x"}

    reactive = Reactive(ENV, secret=SECRET)
    app = FastAPI(lifespan=own)
    app.include_router(reactive.router)
    with reactive.bus.subscribe("s") as subscription:
        async with app.router.lifespan_context(app) as state:
            assert (entered, state) == (["own"], {"pool": "x"})
        with pytest.raises(StopAsyncIteration):
            await anext(subscription)


@pytest.mark.parametrize("kind", ["fastapi", "starlette"])
async def test_a_plain_stream(kind: str) -> None:
    reactive = Reactive(ENV, secret=SECRET)
    value = {"value": "first"}

    async def starlette_doc(request: Request) -> Any:
        return lambda: dict(value)

    def fastapi_doc(doc_id: int) -> Any:
        async def build() -> dict[str, str]:
            return dict(value)

        return build

    decorate = reactive.stream("doc.html", scope="doc:{doc_id}")
    if kind == "fastapi":
        app: Any = FastAPI()
        app.get("/{doc_id}")(decorate(fastapi_doc))
    else:
        app = Starlette(routes=[Route("/{doc_id:int}", decorate(starlette_doc))])
    async with stream(app, "/007") as connection:
        value["value"] = "second"
        await reactive.emit("doc:7", "value")
        frame = await connection.next_update()
        assert (frame.event, frame.data) == ("x", "second")
        await reactive.emit("doc:8", "value")
        await quiet(connection, 0.03)


async def test_a_stream_skips_changes_of_its_own_tab_and_its_endpoint_may_return_a_response() -> None:
    reactive = Reactive(ENV, secret=SECRET)
    count = iter(range(9))

    @reactive.stream("doc.html", scope="doc")
    async def doc(request: Request) -> Any:
        return Response(status_code=404) if request.query_params else lambda: {"value": next(count)}

    @reactive.page("page.html", scope="all")
    async def page() -> dict[str, Any]:
        return {"title": "", "items": []}

    app = Starlette(routes=[*reactive.routes, Route("/", doc), Route("/page", page)])
    assert (await request(app, "/?x=1")).status == 404
    tab = await request(app, "/page")
    async with stream(app, "/", headers={**tab.cookies, "Reactive-Origin": tab.origin}) as connection:
        await reactive.emit("doc", "value", origin=tab.origin)
        await quiet(connection, 0.05)
        await reactive.emit("doc", "value", origin="another")
        await connection.next_update()
    async with stream(app, "/", headers={"Reactive-Origin": "invented"}) as connection:
        await reactive.emit("doc", "value", origin="invented")
        await connection.next_update()


def test_a_stream_needs_a_scope() -> None:
    with pytest.raises(ValueError, match="scope is empty"):
        Reactive(ENV, secret=SECRET).stream("doc.html", scope="")


async def test_on_connect_and_on_disconnect_are_called() -> None:
    reactive = Reactive(environment(page=PAGE), secret=SECRET)
    calls: list[str] = []

    async def connected(scope: str, connection: ConnectionInfo | None) -> None:
        calls.append(f"{scope} connected, {len(reactive.presence(scope))} there")
        await reactive.emit(scope, "title")

    def disconnected(scope: str, connection: ConnectionInfo | None) -> None:
        calls.append(f"{scope} disconnected, {len(reactive.presence(scope))} there")

    @reactive.page("page.html", scope="all", on_connect=connected, on_disconnect=disconnected)
    async def page(request: Request) -> dict[str, Any]:
        return {"title": len(reactive.presence("all")), "items": []}

    app = Starlette(routes=[*reactive.routes, Route("/", page)])
    async with view(app, "/") as connection:
        assert ">1</hx-partial>" in ((await connection.next_update()).data or "")
        assert calls == ["all connected, 1 there"]
    await eventually(lambda: calls == ["all connected, 1 there", "all disconnected, 0 there"])
