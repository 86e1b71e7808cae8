"""What an endpoint and its route declare of their response: it counts for a visit, and an update discards it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import OOB, Action, Fragment, Reactive, ValidationError, is_update
from tests.support import environment, eventually

from .support import PAGE, SECRET, request, stream, view

ENV = environment(page=PAGE)
CONTEXT = {"title": "t", "items": ["a"]}


class World:
    """A FastAPI application with a page at ``/``, whose route and endpoint a test declares."""

    def __init__(self) -> None:
        self.reactive = Reactive(ENV, secret=SECRET)
        self.app = FastAPI()
        self.app.include_router(self.reactive.router)

    def page(self, endpoint: Callable[..., Any], **route: Any) -> None:
        self.app.get("/", **route)(self.reactive.page("page.html", scope="all")(endpoint))

    def html(self, endpoint: Callable[..., Any], **route: Any) -> None:
        self.app.get("/", **route)(self.reactive.html(endpoint))


@pytest.fixture
def world() -> World:
    return World()


# Background tasks


async def test_a_visit_runs_background_tasks_and_an_update_neither_runs_nor_waits_for_them(world: World) -> None:
    ran: list[str] = []
    titles = iter("abc")

    async def dependency(tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "dependency")

    async def page(tasks: BackgroundTasks, _: None = Depends(dependency)) -> dict[str, Any]:
        tasks.add_task(ran.append, "endpoint")
        return {**CONTEXT, "title": next(titles, "d")}

    world.page(page)
    async with view(world.app, "/") as connection:
        assert ran == ["dependency", "endpoint"]
        await world.reactive.emit("all", "title")
        await connection.next_update()
        await world.reactive.emit("all", "title")  # it runs once the update before has ended
        await connection.next_update()
    assert ran == ["dependency", "endpoint"]


async def test_an_update_that_another_page_answers_runs_no_tasks_of_that_page(world: World) -> None:
    ran: list[str] = []
    rewritten: list[str] = []

    def dependency(tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "task")

    async def page() -> dict[str, Any]:
        return CONTEXT

    async def other() -> dict[str, Any]:
        raise NotImplementedError

    class Rewriting:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if is_update(scope):
                await self.app({**scope, "path": "/other", "raw_path": b"/other"}, receive, send)
                rewritten.append(scope["path"])
            else:
                await self.app(scope, receive, send)

    world.page(page)
    world.app.get("/other", dependencies=[Depends(dependency)])(world.reactive.page("page.html", scope="other")(other))
    world.app.add_middleware(Rewriting)
    seen = await request(world.app, "/")
    async with stream(world.app, seen.url, wait=False):
        await eventually(lambda: rewritten)
    assert ran == []


REDIRECT = RedirectResponse("/elsewhere")
"""A response that answers several requests."""


@pytest.mark.parametrize("server", [FastAPI, Starlette])
async def test_the_background_task_of_a_response_runs_for_visits_only(server: type[Starlette]) -> None:
    ran: list[bool] = []
    shown: list[bool] = [True]

    async def page(request: Request) -> Any:
        if shown:
            return CONTEXT
        REDIRECT.background = BackgroundTask(ran.append, is_update(request))
        return REDIRECT

    reactive = Reactive(ENV, secret=SECRET)
    decorated = reactive.page("page.html", scope="all")(page)
    app = server(routes=[*reactive.routes, Route("/", decorated)])
    async with view(app, "/") as connection:
        shown.clear()
        await reactive.emit("all", "title")
        await connection.ended.wait()
    assert ran == []
    await request(app, "/")
    assert ran == [False]


async def test_an_update_does_not_take_the_task_of_a_response_that_visits_share(world: World) -> None:
    ran: list[str] = []
    shown: list[bool] = [True]
    shared = RedirectResponse("/elsewhere", background=BackgroundTask(ran.append, "task"))

    async def page() -> Any:
        return CONTEXT if shown else shared

    world.page(page)
    async with view(world.app, "/") as connection:
        shown.clear()
        await world.reactive.emit("all", "title")
        await connection.ended.wait()
    await request(world.app, "/")
    assert ran == ["task"]


# Headers, cookies and status


def set_by_dependency(response: Response) -> None:
    response.headers["X-Dependency"] = "d"
    response.set_cookie("dependency", "1")


async def test_a_visit_has_the_headers_cookies_and_status_of_the_injected_response(world: World) -> None:
    async def page(response: Response, _: None = Depends(set_by_dependency)) -> dict[str, Any]:
        response.set_cookie("endpoint", "2")
        response.headers["X-Endpoint"] = "e"
        response.status_code = 203
        return CONTEXT

    world.page(page, status_code=201)
    seen = await request(world.app, "/")
    assert (seen.status, seen.headers["x-dependency"], seen.headers["x-endpoint"]) == (203, "d", "e")
    names = [cookie.partition("=")[0] for cookie in seen.headers.get_list("set-cookie")]
    assert names == ["dependency", "endpoint", "reactive_session"]
    assert seen.headers["cache-control"] == "no-store"
    assert seen.headers["content-type"] == "text/html; charset=utf-8"
    assert '<h1 id="title">t</h1>' in seen.text


async def test_a_dependency_alone_may_set_headers_and_the_status(world: World) -> None:
    def depends(response: Response) -> None:
        set_by_dependency(response)
        response.status_code = 203

    async def page() -> dict[str, Any]:
        return CONTEXT

    world.page(page, dependencies=[Depends(depends)])
    seen = await request(world.app, "/")
    assert (seen.status, seen.headers["x-dependency"]) == (203, "d")


async def test_a_header_that_the_endpoint_sets_replaces_that_of_the_page(world: World) -> None:
    async def page(response: Response) -> dict[str, Any]:
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["Content-Type"] = "application/xhtml+xml"
        return CONTEXT

    world.page(page)
    seen = await request(world.app, "/")
    assert seen.headers.get_list("cache-control") == ["private, max-age=60"]
    assert seen.headers.get_list("content-type") == ["application/xhtml+xml"]


class Document(HTMLResponse):
    """A response class of an application."""

    media_type = "application/xhtml+xml"

    def render(self, content: Any) -> bytes:
        assert isinstance(content, str)
        return f"<!-- document -->{content}".encode()


async def test_the_class_and_the_status_of_the_route_count_for_a_visit(world: World) -> None:
    async def page() -> dict[str, Any]:
        return CONTEXT

    world.page(page, status_code=201, response_class=Document)
    seen = await request(world.app, "/")
    assert (seen.status, seen.headers["content-type"]) == (201, "application/xhtml+xml")
    assert (seen.text[:17], seen.headers["cache-control"]) == ("<!-- document -->", "no-store")
    async with stream(world.app, seen.url, headers=seen.cookies) as connection:
        await world.reactive.emit("all", "title")
        assert ">t<" in ((await connection.next_update()).data or "")


async def test_a_page_is_html_where_json_is_the_class_of_all_routes() -> None:
    reactive = Reactive(ENV, secret=SECRET)
    app = FastAPI(default_response_class=JSONResponse)
    app.include_router(reactive.router)

    @app.get("/")
    @reactive.page("page.html", scope="all")
    async def page() -> dict[str, Any]:
        return CONTEXT

    assert (await request(app, "/")).headers["content-type"] == "text/html; charset=utf-8"


async def test_a_returned_response_is_sent_as_it_is_as_fastapi_does(world: World) -> None:
    async def page(response: Response) -> Response:
        response.set_cookie("endpoint", "2")
        response.status_code = 203
        return RedirectResponse("/login")

    world.page(page)
    seen = await request(world.app, "/")
    assert (seen.status, seen.headers.get_list("set-cookie")) == (307, [])


@pytest.mark.parametrize("by", ["endpoint", "decorator"])
@pytest.mark.parametrize("status", [301, 401, 403, 404])
async def test_a_page_with_a_status_that_refuses_is_shown_and_not_updated(world: World, status: int, by: str) -> None:
    async def page(response: Response) -> dict[str, Any]:
        if by == "endpoint":
            response.status_code = status
        return CONTEXT

    world.page(page, status_code=status if by == "decorator" else None)
    seen = await request(world.app, "/")
    assert (seen.status, '<h1 id="title">t</h1>' in seen.text) == (status, True)
    async with stream(world.app, seen.url, headers=seen.cookies) as connection:
        await connection.ended.wait()
        assert "hx-partial" not in b"".join(connection.chunks).decode()
        assert world.reactive.presence("all") == frozenset()


async def test_an_update_with_another_status_is_a_failure_and_is_tried_again(world: World) -> None:
    statuses = [503, 200]

    async def page(request: Request, response: Response) -> dict[str, Any]:
        if is_update(request):
            response.status_code = statuses.pop(0) if len(statuses) > 1 else 200
        return {**CONTEXT, "title": "new"}

    world.page(page)
    async with stream(world.app, (await request(world.app, "/")).url, wait=False) as connection:
        await eventually(lambda: statuses == [200])
        await world.reactive.emit("all", "title")
        assert ">new<" in ((await connection.next_update()).data or "")


async def test_an_update_sends_no_header_of_the_injected_response_to_the_browser(world: World) -> None:
    async def page(request: Request, response: Response) -> dict[str, Any]:
        if is_update(request):
            response.headers["X-Update"] = "1"
            response.status_code = 201
        return CONTEXT

    world.page(page)
    async with view(world.app, "/") as connection:
        await world.reactive.emit("all", "title")
        await connection.next_update()
        assert connection.start["status"] == 200
        assert b"x-update" not in dict(connection.start["headers"])


async def test_the_answer_of_an_update_has_the_cookies_of_the_endpoint_for_middleware(world: World) -> None:
    cookies: list[str] = []

    class Middleware:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start" and is_update(scope):
                    cookies.extend(value.decode() for name, value in message["headers"] if name == b"set-cookie")
                await send(message)

            await self.app(scope, receive, sending if scope["type"] == "http" else send)

    async def page(response: Response) -> dict[str, Any]:
        response.set_cookie("endpoint", "2")
        return CONTEXT

    world.page(page)
    world.app.add_middleware(Middleware)
    async with view(world.app, "/"):
        assert [cookie.partition(";")[0] for cookie in cookies] == ["endpoint=2"]


# Values of @reactive.html

FRAGMENT = Fragment("page.html", "title", title="new")
ACTION = Action(trigger="saved")


@pytest.mark.parametrize(
    ("value", "status", "text"),
    [
        ("new", 201, "new"),
        ({"title": "new"}, 201, '{"title":"new"}'),
        (FRAGMENT, 201, "new"),
        (OOB(FRAGMENT), 201, "new"),
        (ACTION, 204, ""),
        (ValidationError(FRAGMENT, errors=[]), 422, "new"),
    ],
)
async def test_the_injected_response_and_the_route_count_for_each_value(
    world: World, value: Any, status: int, text: str
) -> None:
    ran: list[str] = []

    def depends(tasks: BackgroundTasks) -> None:
        tasks.add_task(ran.append, "task")

    async def endpoint(response: Response, _: None = Depends(depends)) -> Any:
        response.set_cookie("endpoint", "2")
        return value

    world.html(endpoint, status_code=201)
    seen = await request(world.app, "/")
    assert (seen.status, seen.text) == (status, text)
    assert seen.headers.get_list("set-cookie")[0].startswith("endpoint=2")
    assert ran == ["task"]


async def test_a_status_that_the_endpoint_sets_counts_more_than_that_of_the_value(world: World) -> None:
    async def endpoint(response: Response) -> ValidationError:
        response.status_code = 400
        return ValidationError(FRAGMENT, errors=[])

    world.html(endpoint)
    assert (await request(world.app, "/")).status == 400


async def test_an_action_that_answers_several_requests_keeps_no_cookie_of_one_of_them(world: World) -> None:
    async def endpoint(request: Request, response: Response) -> Action:
        response.set_cookie("user", request.query_params["user"])
        return ACTION

    world.html(endpoint)
    for user in ("ada", "bob"):
        seen = await request(world.app, f"/?user={user}")
        assert [cookie.partition(";")[0] for cookie in seen.headers.get_list("set-cookie")] == [f"user={user}"]
        assert seen.headers["hx-trigger"] == "saved"
    assert ACTION.headers.getlist("set-cookie") == []


async def test_an_answer_whose_status_has_no_body_is_empty(world: World) -> None:
    async def endpoint() -> str:
        return "text"

    world.html(endpoint, status_code=204)
    seen = await request(world.app, "/")
    assert (seen.status, seen.text, "content-length" in seen.headers) == (204, "", False)


class Shouting(JSONResponse):
    """A response class of an application."""

    def render(self, content: Any) -> bytes:
        return super().render({name: value.upper() for name, value in content.items()})


@pytest.mark.parametrize(
    ("value", "declared", "answer"),
    [
        ("text", PlainTextResponse, (200, "text", "text/plain; charset=utf-8", None)),
        ("text", Shouting, (200, "text", "text/html; charset=utf-8", None)),
        ({"a": "b"}, Shouting, (200, '{"a":"B"}', "application/json", None)),
        ({"a": "b"}, HTMLResponse, (200, '{"a":"b"}', "application/json", None)),
        ("/there", RedirectResponse, (307, "", None, "/there")),
    ],
)
async def test_the_class_of_the_route_counts_for_what_it_can_hold(
    world: World, value: Any, declared: type[Response], answer: tuple[Any, ...]
) -> None:
    async def endpoint() -> Any:
        return value

    world.html(endpoint, response_class=declared)
    seen = await request(world.app, "/")
    assert (seen.status, seen.text, seen.headers.get("content-type"), seen.headers.get("location")) == answer


async def test_values_work_under_starlette_too() -> None:
    reactive = Reactive(ENV, secret=SECRET)

    async def endpoint(request: Request) -> Any:
        return FRAGMENT

    app = Starlette(routes=[Route("/", reactive.html(endpoint))])
    seen = await request(app, "/")
    assert (seen.status, seen.text) == (200, "new")


# Pages that are rendered by hand


@pytest.mark.parametrize("server", [FastAPI, Starlette])
@pytest.mark.parametrize("kind", ["template", "html"])
async def test_a_page_that_is_rendered_by_hand_is_refused_with_the_fix(server: type[Starlette], kind: str) -> None:
    reactive = Reactive(ENV, secret=SECRET)

    async def page(request: Request) -> Response:
        if kind == "html":
            return HTMLResponse("<p>page</p>")
        return reactive.templates.TemplateResponse(request, "page.html", CONTEXT)

    app = server(routes=[*reactive.routes, Route("/", reactive.page("page.html", scope="all")(page))])
    what = {"template": "a TemplateResponse of 'page.html'", "html": "HTMLResponse"}[kind]
    with pytest.raises(
        TypeError, match=f"page returned {what}.*: return the variables of 'page.html' as a dict, without a response"
    ):
        await request(app, "/")


@pytest.mark.parametrize("status", [303, 403, 404])
async def test_another_page_with_a_status_of_its_own_may_be_rendered_by_hand(world: World, status: int) -> None:
    async def page() -> Response:
        return HTMLResponse("<p>no</p>", status)

    world.page(page)
    seen = await request(world.app, "/")
    assert (seen.status, seen.text) == (status, "<p>no</p>")
