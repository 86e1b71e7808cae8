"""An update runs the endpoint again, with its dependencies, middleware and authorisation. Nothing is held between."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi import Request as FastRequest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, ReactiveError
from starlette_reactive._bus.hub import Hub
from starlette_reactive._streams import backoff as backoff_module
from tests.support import Connection, environment, eventually

from .support import PAGE, SECRET, quiet, request, stream, view

ENV = environment(page=PAGE)


@pytest.fixture
def reactive() -> Reactive:
    return Reactive(ENV, secret=SECRET)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff_module, "FIRST_RETRY", 0.02)


def starlette(reactive: Reactive, endpoint: Callable[..., Any], **options: Any) -> Starlette:
    page = reactive.page("page.html", scope="all")(endpoint)
    return Starlette(routes=[*reactive.routes, Route("/", page)], **options)


# Dependencies


async def test_dependencies_open_and_close_for_each_update_and_none_is_held_in_between(reactive: Reactive) -> None:
    events: list[str] = []

    async def database() -> AsyncIterator[str]:
        events.append("open")
        try:
            yield "rows"
        finally:
            events.append("close")

    def plain() -> Iterator[int]:
        events.append("open too")
        yield 1
        events.append("close too")

    app = FastAPI()
    app.include_router(reactive.router)

    async def page(rows: str = Depends(database), number: int = Depends(plain)) -> dict[str, Any]:
        events.append("read")
        return {"title": number, "items": [rows, len(events)]}

    app.get("/")(reactive.page("page.html", scope="all")(page))
    once = ["open", "open too", "read", "close too", "close"]
    async with view(app, "/") as connection:
        assert events == once * 2  # the visit, and the update that authorises the stream
        for count in (3, 4):
            await reactive.emit("all", "items")
            await connection.next_update()
            assert events == once * count
        await quiet(connection)
    assert events == once * 4


async def test_an_update_takes_no_cursor(reactive: Reactive, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    latest_cursor = Hub.latest_cursor

    def counted(hub: Hub) -> str:
        taken.append("cursor")
        return latest_cursor(hub)

    monkeypatch.setattr(Hub, "latest_cursor", counted)
    app = FastAPI()
    app.include_router(reactive.router)

    async def page() -> dict[str, Any]:
        return {"title": "", "items": []}

    app.get("/")(reactive.page("page.html", scope="all")(page))
    async with view(app, "/") as connection:
        assert taken == ["cursor"]
        await reactive.emit("all", "items")
        await connection.next_update()
    assert taken == ["cursor"]


async def test_blocks_are_rendered_while_dependencies_are_open(reactive: Reactive) -> None:
    class Session:
        closed = False

        def items(self) -> Iterator[str]:
            assert not self.closed
            yield "lazy"

    async def opened() -> AsyncIterator[Session]:
        session = Session()
        yield session
        session.closed = True

    app = FastAPI()
    app.include_router(reactive.router)

    async def page(session: Any = Depends(opened)) -> dict[str, Any]:  # noqa: B008 - as FastAPI wants it
        return {"title": "", "items": session.items()}

    app.get("/")(reactive.page("page.html", scope="all")(page))
    async with view(app, "/") as connection:
        await reactive.emit("all", "items")
        assert "lazy" in ((await connection.next_update()).data or "")


@pytest.mark.parametrize("place", ["parameter", "route", "router", "include", "application"])
async def test_a_change_while_a_dependency_reads_is_sent_on_connect(reactive: Reactive, place: str) -> None:
    data = {"value": "old"}

    async def read(request: FastRequest) -> str:
        value = data["value"]
        if data["value"] == "old":
            data["value"] = "new"
            await reactive.emit("all", "title")
        return value

    dependencies = [Depends(read)]
    app = FastAPI(dependencies=dependencies if place == "application" else None)
    app.include_router(reactive.router)
    router = APIRouter(dependencies=dependencies if place == "router" else None)

    async def page(value: Annotated[str, Depends(read)]) -> dict[str, Any]:
        return {"title": value, "items": []}

    page.__annotations__["value"] = Annotated[str, Depends(read)]  # as it would be outside a function
    router.get("/", dependencies=dependencies if place == "route" else None)(
        reactive.page("page.html", scope="all")(page)
    )
    if place == "include":
        app.include_router(router, prefix="/x", dependencies=dependencies)
    else:
        app.include_router(router, prefix="/x")
    seen = await request(app, "/x/")
    assert '<h1 id="title">old</h1>' in seen.text
    async with stream(app, seen.url) as connection:
        frame = await connection.next_update()
        assert 'hx-target="#title" hx-swap="innerHTML transition:false">new<' in (frame.data or "")


async def test_nothing_is_sent_on_connect_without_changes(reactive: Reactive) -> None:
    async def page() -> dict[str, Any]:
        return {"title": "", "items": []}

    async with view(starlette(reactive, page), "/") as connection:
        await quiet(connection)


# Middleware


class Pure:
    """Plain ASGI middleware that records paths."""

    def __init__(self, app: ASGIApp, seen: list[str]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.seen.append(scope["path"])
        await self.app(scope, receive, send)


async def test_middleware_of_both_kinds_runs_for_each_update(reactive: Reactive) -> None:
    base: list[str] = []
    pure: list[str] = []

    async def note(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        base.append(request.url.path)
        return await call_next(request)

    async def page() -> dict[str, Any]:
        return {"title": "", "items": list(pure)}

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=note), Middleware(Pure, seen=pure)]
    app = starlette(reactive, page, middleware=middleware)
    async with view(app, "/") as connection:
        for _ in range(2):
            await reactive.emit("all", "items")
            await connection.next_update()
    assert base == pure == ["/", "/_reactive/live", "/", "/", "/"]


async def test_updates_have_the_viewers_session(reactive: Reactive) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return {"title": request.session.get("name", "nobody"), "items": []}

    async def sign_in(request: Request) -> Response:
        request.session["name"] = request.query_params["name"]
        return PlainTextResponse()

    decorated = reactive.page("page.html", scope="all")(page)
    app = Starlette(
        routes=[*reactive.routes, Route("/", decorated), Route("/sign-in", sign_in)],
        middleware=[Middleware(SessionMiddleware, secret_key="s")],
    )
    cookies = {}
    for name in ("Ada", "Bob"):
        answer = await request(app, f"/sign-in?name={name}")
        cookies[name] = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    async with view(app, "/", headers=cookies["Ada"]) as ada, view(app, "/", headers=cookies["Bob"]) as bob:
        await reactive.emit("all", "title")
        assert ">Ada<" in ((await ada.next_update()).data or "")
        assert ">Bob<" in ((await bob.next_update()).data or "")


async def test_updates_see_nothing_that_middleware_set_for_the_stream(reactive: Reactive) -> None:
    people = {"1": "Ada"}
    current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nobody")

    class Recognise:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            name = people.get(Request(scope).cookies.get("id", "")) if scope["type"] == "http" else None
            if name:  # otherwise nothing is set, as in much middleware
                scope.setdefault("state", {})["name"] = name
                current.set(name)
            await self.app(scope, receive, send)

    async def page(request: Request) -> dict[str, Any]:
        return {"title": f"{getattr(request.state, 'name', 'nobody')} {current.get()}", "items": []}

    app = starlette(reactive, page, middleware=[Middleware(Recognise)])
    async with view(app, "/", headers={"Cookie": "id=1"}) as connection:
        await reactive.emit("all", "title")
        assert ">Ada Ada<" in ((await connection.next_update()).data or "")
        people.clear()
        await reactive.emit("all", "title")
        assert ">nobody nobody<" in ((await connection.next_update()).data or "")


async def test_updates_see_the_named_lifespan_state() -> None:
    reactive = Reactive(ENV, secret=SECRET, state_names=["pool"])

    async def page(request: Request) -> dict[str, Any]:
        return {"title": request.state.pool, "items": []}

    app = starlette(reactive, page)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:  # as a server does after the lifespan
        await app({**scope, "state": {"pool": "the pool", "more": 1}}, receive, send)

    async with view(served, "/") as connection:
        await reactive.emit("all", "title")
        assert ">the pool<" in ((await connection.next_update()).data or "")


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("server", [FastAPI, Starlette])
@pytest.mark.parametrize("reads", ["attribute", "item", "dependency"])
async def test_a_name_that_is_missing_in_state_names_is_named_in_the_log(
    server: type[Starlette], reads: str, shared: bool, caplog: pytest.LogCaptureFixture
) -> None:
    reactive = Reactive(ENV, secret=SECRET)

    def pool(request: Request) -> str:
        found: str = request.state["pool"] if reads == "item" else request.state.pool
        return found

    async def page(request: Request) -> dict[str, Any]:
        assert not hasattr(request.state, "other")
        return {"title": pool(request), "items": []}

    async def page_of_dependency(title: str = Depends(pool)) -> dict[str, Any]:
        return {"title": title, "items": []}

    app = server(routes=reactive.routes)
    decorate = reactive.page("page.html", scope="all", shared=shared)
    if isinstance(app, FastAPI):
        app.get("/")(decorate(page_of_dependency if reads == "dependency" else page))
    else:
        app.routes.append(Route("/", decorate(page)))

    async def served(scope: Scope, receive: Receive, send: Send) -> None:  # as a server does after the lifespan
        await app({**scope, "state": {"pool": "the pool"}}, receive, send)

    seen = await request(served, "/")
    async with stream(served, seen.url, headers=seen.cookies, wait=False):
        await eventually(lambda: "which updates do not see" in caplog.text)
    assert "request.state.pool is missing when the page tests.pages.test_updates" in caplog.text
    assert "if the lifespan sets it, write Reactive(state_names=['pool'])" in caplog.text


async def test_an_error_after_a_name_that_was_looked_for_in_the_state_is_logged_as_it_is(
    reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    async def page(request: Request) -> dict[str, Any]:
        try:
            return {"title": request.state.pool, "items": []}
        except AttributeError:
            raise ValueError("another fault")  # noqa: B904 - as careless code does

    app = starlette(reactive, page)

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"pool": "the pool"}}, receive, send)

    async with stream(served, (await request(served, "/")).url, wait=False):
        await eventually(lambda: "another fault" in caplog.text)
    assert "which updates do not see" not in caplog.text


@pytest.mark.parametrize("server", [FastAPI, Starlette])
async def test_a_lasting_failure_of_the_updates_of_many_viewers_is_logged_with_one_traceback(
    server: type[Starlette], reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[str] = []
    broken: list[str] = []

    async def page(request: Request) -> dict[str, Any]:
        runs.append(request.url.path)
        if broken:
            raise ZeroDivisionError(request.url.path)
        return {"title": len(runs), "items": []}

    decorated = reactive.page("page.html", scope="all")(page)
    app = server(routes=[*reactive.routes, Route("/{number}", decorated)])
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(view(app, f"/{number}")) for number in range(10)]
        broken.append("broken")
        for _ in range(3):
            runs.clear()
            await reactive.emit("all", "title")
            await eventually(lambda: len(set(runs)) == 10)
        broken.clear()
        await reactive.emit("all", "title")
        for connection in connections:
            await connection.next_update()
        await eventually(lambda: "works again" in caplog.text)
    assert caplog.text.count("Traceback") == 1
    assert caplog.text.count("works again") == 1


async def test_a_lasting_failure_of_a_block_is_logged_with_one_traceback_for_each_block(
    reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    broken: list[str] = []
    runs: list[int] = []

    async def page() -> dict[str, Any]:
        runs.append(len(runs))
        return {"title": len(runs), "items": 7 if broken else [len(runs)]}

    app = starlette(reactive, page)
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(view(app, "/")) for _ in range(5)]
        broken.append("broken")
        for _ in range(3):
            await reactive.emit("all", "title", "items")
            for connection in connections:
                assert "#title" in ((await connection.next_update()).data or "")
        broken.clear()
        await reactive.emit("all", "title")
        await eventually(lambda: "works again" in caplog.text)
    assert caplog.text.count("Traceback") == 1
    assert caplog.text.count("rendering the block 'list' of 'page.html' works again") == 1


async def test_a_lasting_failure_of_a_connection_callback_is_logged_with_one_traceback(
    reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    async def on_connect(scope: str, _: object) -> None:
        calls.append(scope)
        if len(calls) < 5:
            raise ZeroDivisionError

    async def page() -> dict[str, Any]:
        return {"title": "", "items": []}

    decorated = reactive.page("page.html", scope="all", on_connect=on_connect)(page)
    app = Starlette(routes=[*reactive.routes, Route("/", decorated)])
    for _ in range(5):
        async with view(app, "/"):
            pass
    assert caplog.text.count("Traceback") == 1
    assert "a connection callback of scope 'all' works again, after 4 failures" in caplog.text


async def test_an_update_is_a_plain_get_with_the_viewers_headers(reactive: Reactive) -> None:
    seen: list[dict[str, str]] = []

    async def page(request: Request) -> dict[str, Any]:
        seen.append(
            {"method": request.method, "client": request.client.host if request.client else "", **request.headers}
        )
        return {"title": "", "items": []}

    headers = {
        "Accept": "text/event-stream",
        "Accept-Language": "de",
        "Authorization": "Bearer x",
        "Cookie": "a=b",
        "HX-Request": "true",
        "HX-Request-Type": "partial",
        "If-None-Match": "x",
    }
    app = starlette(reactive, page)
    async with stream(app, (await request(app, "/")).url, headers=headers) as connection:
        await reactive.emit("all", "title")
        await connection.next_update()
    assert seen[1] == {
        "method": "GET",
        "client": "viewer",
        "host": "test",
        "accept-language": "de",
        "authorization": "Bearer x",
        "cookie": "a=b",
        "accept": "text/html",
    }


# Endings


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 403, 404])
async def test_a_redirect_or_denial_ends_the_stream_and_is_not_sent(reactive: Reactive, status: int) -> None:
    over = False

    async def page() -> Any:
        if over:
            return Response("secret error page", status_code=status, headers={"Location": "/login"})
        return {"title": "", "items": []}

    async with view(starlette(reactive, page), "/") as connection:
        over = True
        await reactive.emit("all", "items")
        second = await connection.closed_for_good()
    assert second.updates[-1].data == "close"
    assert b"secret" not in b"".join(connection.chunks + second.chunks)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_an_http_exception_ends_the_stream_and_is_not_sent(reactive: Reactive, status: int) -> None:
    over = False

    def allowed() -> None:
        if over:
            raise HTTPException(status, "secret reason")

    app = FastAPI()
    app.include_router(reactive.router)

    async def page(_: None = Depends(allowed)) -> dict[str, Any]:
        return {"title": "", "items": []}

    app.get("/")(reactive.page("page.html", scope="all")(page))
    async with view(app, "/") as connection:
        over = True
        await reactive.emit("all", "items")
        second = await connection.closed_for_good()
    assert b"secret" not in b"".join(connection.chunks + second.chunks)


async def test_middleware_that_denies_after_the_endpoint_has_run_ends_the_stream(reactive: Reactive) -> None:
    over = False

    async def deny(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        return RedirectResponse("/login") if over else response

    async def page() -> dict[str, Any]:
        return {"title": "", "items": ["confidential"] if over else []}

    app = starlette(reactive, page, middleware=[Middleware(BaseHTTPMiddleware, dispatch=deny)])
    async with view(app, "/") as connection:
        over = True
        await reactive.emit("all", "items")
        second = await connection.closed_for_good()
    assert b"confidential" not in b"".join(connection.chunks + second.chunks)


@pytest.mark.parametrize("fault", ["exception", "500", "503", "another answer", "teardown"])
async def test_after_a_failure_the_stream_stays_open_and_the_update_is_retried(
    reactive: Reactive, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    failing: list[str] = []

    async def dependency() -> AsyncIterator[None]:
        yield
        if failing and fault == "teardown":
            raise RuntimeError("the commit failed")

    async def page(_: None = Depends(dependency)) -> Any:
        if failing and fault != "teardown":
            if fault == "exception":
                raise RuntimeError("secret")
            return PlainTextResponse("secret", status_code=200 if fault == "another answer" else int(fault))
        return {"title": "", "items": ["written"]}

    app = FastAPI()
    app.include_router(reactive.router)
    app.get("/")(reactive.page("page.html", scope="all")(page))
    async with view(app, "/") as connection:
        failing.append("")
        await reactive.emit("all", "items")
        await eventually(lambda: "rendering the blocks of scope" in caplog.text)
        assert connection.updates == []
        failing.clear()
        assert "<li>written</li>" in ((await connection.next_update()).data or "")
    assert b"secret" not in b"".join(connection.chunks)


async def test_a_viewer_whose_session_is_revoked_gets_nothing_more_and_others_do(reactive: Reactive) -> None:
    sessions = {"a", "b"}
    items = ["first"]

    async def page(request: Request) -> Any:
        if request.cookies.get("session") not in sessions:
            return RedirectResponse("/login")
        return {"title": "", "items": items}

    app = starlette(reactive, page)
    headers = [{"Cookie": f"session={name}"} for name in ("a", "b")]
    async with view(app, "/", headers=headers[0]) as a, view(app, "/", headers=headers[1]) as b:
        await reactive.emit("all", "items")
        await a.next_update()
        await b.next_update()
        sessions.discard("a")
        items.append("after")
        await reactive.emit("all", "items")
        await a.closed_for_good()
        assert "after" in ((await b.next_update()).data or "")
    assert b"after" not in b"".join(a.chunks)


async def test_a_shared_page_that_requires_credentials_ends_with_an_explanation_in_the_log(
    reactive: Reactive, caplog: pytest.LogCaptureFixture
) -> None:
    async def page(request: Request) -> Any:
        return {"title": "", "items": []} if request.cookies else Response(status_code=401)

    decorated = reactive.page("page.html", scope="all", shared=True)(page)
    app = Starlette(routes=[*reactive.routes, Route("/", decorated)])
    with caplog.at_level(logging.WARNING):
        async with view(app, "/", headers={"Cookie": "a=b"}) as connection:
            await reactive.emit("all", "items")
            assert (await connection.next_update()).event == "reactive-close"
    assert "answered 401 to a request without credentials; declare the page without shared=True" in caplog.text


@pytest.mark.parametrize(
    ("pages", "addresses", "user", "limit"),
    [
        (1, 50, None, 8),  # of one page
        (50, 1, None, 8),  # of one address
        (50, 50, "ada", 4),  # of one user
        (50, 50, None, 16),  # in all
    ],
)
async def test_the_number_of_concurrent_updates_is_limited(
    reactive: Reactive, pages: int, addresses: int, user: str | None, limit: int
) -> None:
    running = most = 0
    items: list[str] = []
    may_end = anyio.Event()

    async def page() -> dict[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if items:
            await may_end.wait()
        running -= 1
        return {"title": "", "items": items}

    decorate = reactive.page("page.html", scope="all", user=lambda _: user)
    routes = [Route(f"/{number}", decorate(page)) for number in range(pages)]
    app = Starlette(routes=[*reactive.routes, *routes])
    urls = [(await request(app, f"/{number}")).url for number in range(pages)]
    done = anyio.Event()
    connections: list[Connection] = []

    async def browse(number: int) -> None:
        address = f"viewer {number % addresses}"
        async with stream(app, urls[number % pages], address=address) as connection:
            connections.append(connection)
            await done.wait()

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(browse, number)
        await eventually(lambda: len(connections) == 50)
        most = 0  # of the updates that authorised the streams
        items.append("new")
        await reactive.emit("all", "items")
        await eventually(lambda: running == limit)
        await anyio.wait_all_tasks_blocked()
        may_end.set()
        await eventually(lambda: all(len(each.chunks) > 1 for each in connections))
        done.set()
    assert most == limit


class Mounted:
    """A page in an application that is mounted in another one.

    Args:
        reactive: Its Reactive object.
        wired: Which of the two has the routes of the Reactive object: ``"inside"`` or ``"outside"``.
        name: The name of the mount.
    """

    def __init__(self, reactive: Reactive, wired: str, name: str | None = None) -> None:
        async def page() -> dict[str, Any]:
            return {"title": "", "items": ["x"]}

        self.inner_runs: list[str] = []
        self.outer_runs: list[str] = []
        decorated = reactive.page("page.html", scope="all")(page)
        routes = {"inside": [], "outside": [], wired: reactive.routes}
        inner, outer = (Middleware(Pure, seen=seen) for seen in (self.inner_runs, self.outer_runs))
        self.inner = Starlette(routes=[*routes["inside"], Route("/", decorated)], middleware=[inner])
        mount = Mount("/in", self.inner, name=name)
        self.outer = Starlette(routes=[*routes["outside"], mount], middleware=[outer])


@pytest.mark.parametrize("wired", ["inside", "outside"])
async def test_updates_of_a_mounted_page_run_in_the_outermost_application(reactive: Reactive, wired: str) -> None:
    mounted = Mounted(reactive, wired)
    if wired == "inside":
        reactive.app = mounted.outer
    seen = await request(mounted.outer, "/in/")
    mounted.outer_runs.clear()
    mounted.inner_runs.clear()
    async with stream(mounted.outer, seen.url) as connection:
        await reactive.emit("all", "items")
        await connection.next_update()
    live = [seen.url.partition("?")[0]]
    updates = ["/in/", "/in/"]  # the first one authorises the stream
    assert mounted.outer_runs == live + updates
    assert mounted.inner_runs == (live if wired == "inside" else []) + updates


@pytest.mark.parametrize("name", [None, "inner"])
async def test_updates_that_would_skip_the_applications_around_are_refused(
    reactive: Reactive, name: str | None
) -> None:
    mounted = Mounted(reactive, "inside", name)
    with pytest.raises(ReactiveError, match=r"mounted at '/in'.*would skip the middleware.*set reactive\.app"):
        await request(mounted.outer, "/in/")
    url = (await request(mounted.inner, "/")).url  # an application that is served by itself has nothing around it
    with pytest.raises(ReactiveError, match=r"mounted at '/in'.*would skip the middleware.*set reactive\.app"):
        await request(mounted.outer, f"/in{url}")
