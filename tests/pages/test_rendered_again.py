"""``live()`` and ``live_origin()`` where no page is rendered, and in a page that a POST renders again."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.responses import HTMLResponse
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from starlette_reactive import Reactive, ReactiveError, ReactiveMiddleware
from tests.support import environment

from .support import SECRET, Seen, quiet, request, stream

LAYOUT = "<body {{ live_origin() }}>{% block body %}{% endblock %}<div {{ live() }}></div>"
BOARD = """{% extends "layout.html" %}
{% block body %}<p id="name">{% block name %}{{ name }}{% endblock %}</p>{{ error }}{% endblock %}"""
ERROR = '{% extends "layout.html" %}{% block body %}{{ error }}{% endblock %}'
COOKIE = {"Cookie": f"reactive_session={'s' * 24}"}


@dataclass
class Boards:
    """Boards whose names a POST changes, or refuses to."""

    options: dict[str, Any] = field(default_factory=dict)
    page_options: dict[str, Any] = field(default_factory=dict)
    scope: str | list[str] = "board:{board_id}"
    name: str = "first"

    def __post_init__(self) -> None:
        env = environment(layout=LAYOUT, board=BOARD, error=ERROR)
        self.reactive = Reactive(env, secret=SECRET, **self.options)
        self.page = self.reactive.page("board.html", scope=self.scope, **self.page_options)

    def context(self) -> dict[str, Any]:
        return {"name": self.name}

    def render(self, request: Request, template: str = "board.html") -> Response:
        values = {**self.context(), "error": "wrong"}
        return self.reactive.templates.TemplateResponse(request, template, values, status_code=422)

    def starlette(self, *routes: Any, middleware: bool = False, path: str = "/board/{board_id:int}") -> Starlette:
        async def get(request: Request) -> dict[str, Any]:
            return self.context()

        async def post(request: Request) -> Response:
            return self.render(request)

        own = [Route(path, self.page(get)), Route(path, post, methods=["POST"])]
        around = [Middleware(ReactiveMiddleware, reactive=self.reactive)] if middleware else []
        return Starlette(
            routes=[*self.reactive.routes, *own, *routes], middleware=around, lifespan=self.reactive.lifespan
        )


async def post(app: Any, path: str, **options: Any) -> Seen:
    seen = await request(app, path, **{"method": "POST", "headers": COOKIE, **options})
    assert seen.status == 422, seen.text
    return seen


async def assert_live(boards: Boards, app: Any, seen: Seen, scope: str, *, root_path: str = "") -> None:
    """Assert that a page gets the updates of a scope, and that its own requests carry its mark."""
    assert f'data-reactive-sink="{seen.origin}"' in seen.text
    async with stream(app, seen.url, headers=COOKIE, root_path=root_path) as connection:
        boards.name = "renamed"
        await boards.reactive.emit(scope, "name")
        while "renamed" not in str((await connection.next_update()).data):
            pass  # what it is sent at once


def assert_off(seen: Seen) -> None:
    assert "sse-connect" not in seen.text
    assert "hx-headers" not in seen.text
    assert "<body >" in seen.text
    assert "<div ></div>" in seen.text


# Where nothing is live


async def test_nothing_is_written_in_a_page_of_a_plain_endpoint() -> None:
    boards = Boards()
    app = boards.starlette(Route("/plain", lambda request: boards.render(request)))
    assert_off(await request(app, "/plain"))


async def test_the_reason_is_written_in_debug_mode() -> None:
    boards = Boards({"debug": True})
    app = boards.starlette(Route("/plain", lambda request: boards.render(request)))
    seen = await request(app, "/plain")
    reason = 'data-reactive-off="no endpoint under @reactive.page renders this page"'
    assert f"<body {reason}>" in seen.text
    assert f"<div {reason}></div>" in seen.text


async def test_nothing_is_written_without_a_request() -> None:
    boards = Boards()
    text = boards.reactive.templates.env.get_template("error.html").render()
    assert_off(Seen(text, 200))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_is_written_outside_of_all_routers(method: str) -> None:
    boards = Boards()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await boards.render(Request(scope))(scope, receive, send)

    assert_off(await request(app, "/board/1", method=method, headers=COOKIE))


@pytest.mark.parametrize("raises", [True, False])
async def test_nothing_is_written_in_the_error_page_of_a_live_page(raises: bool) -> None:
    boards = Boards()

    async def page(request: Request) -> Any:
        if raises:
            raise HTTPException(404)
        return boards.reactive.templates.TemplateResponse(request, "error.html", status_code=404)

    async def not_found(request: Request, error: Exception) -> Response:
        return boards.reactive.templates.TemplateResponse(request, "error.html", status_code=404)

    routes = [*boards.reactive.routes, Route("/{board_id}", boards.page(page))]
    app = Starlette(routes=routes, exception_handlers={404: not_found})
    for path in ("/1", "/there/is/nothing"):
        seen = await request(app, path)
        assert seen.status == 404
        assert_off(seen)


async def test_nothing_is_written_in_the_error_page_of_a_page_that_fails_while_it_is_rendered() -> None:
    boards = Boards()

    async def page(request: Request) -> dict[str, Any]:
        return {"name": Failing()}

    async def failed(request: Request, error: Exception) -> Response:
        return boards.reactive.templates.TemplateResponse(request, "error.html", status_code=409)

    routes = [*boards.reactive.routes, Route("/{board_id}", boards.page(page))]
    app = Starlette(routes=routes, exception_handlers={FileNotFoundError: failed})
    assert_off(await request(app, "/1"))


class Failing:
    def __str__(self) -> str:
        raise FileNotFoundError


async def test_a_live_page_without_the_routes_is_still_an_error() -> None:
    boards = Boards()

    async def page(request: Request) -> dict[str, Any]:
        return boards.context()

    async def again(request: Request) -> Response:
        return boards.render(request)

    app = Starlette(routes=[Route("/{board_id}", boards.page(page)), Route("/{board_id}", again, methods=["POST"])])
    for method in ("GET", "POST"):
        with pytest.raises(ReactiveError, match=r"include_router\(reactive.router\)"):
            await request(app, "/1", method=method, headers=COOKIE)


# A page that is rendered again


@pytest.mark.parametrize("middleware", [False, True])
async def test_a_page_that_a_post_renders_again_is_live(middleware: bool) -> None:
    boards = Boards()
    app = boards.starlette(middleware=middleware)
    await assert_live(boards, app, await post(app, "/board/007"), "board:7")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_other_methods_do_the_same(method: str) -> None:
    boards = Boards()

    async def again(request: Request) -> Response:
        return boards.render(request)

    app = boards.starlette(Route("/board/{board_id:int}", again, methods=[method]))
    await assert_live(boards, app, await post(app, "/board/1", method=method), "board:1")


async def test_its_updates_have_the_query_of_the_post() -> None:
    boards, queries = Boards(), list[str]()

    async def get(request: Request) -> dict[str, Any]:
        queries.append(request.url.query)
        return boards.context()

    async def again(request: Request) -> Response:
        return boards.render(request)

    routes = [Route("/{board_id}", boards.page(get)), Route("/{board_id}", again, methods=["POST"])]
    app = Starlette(routes=[*boards.reactive.routes, *routes])
    await assert_live(boards, app, await post(app, "/1?sort=b"), "board:1")
    assert set(queries) == {"sort=b"}


async def test_a_change_between_the_reading_and_the_rendering_of_a_post_is_not_missed() -> None:
    for middleware in (False, True):
        boards = Boards()

        async def again(request: Request, boards: Boards = boards) -> Response:
            read = boards.context()
            boards.name = "changed"
            await boards.reactive.emit("board:1", "name")
            return boards.reactive.templates.TemplateResponse(request, "board.html", read, status_code=422)

        app = boards.starlette(Route("/board/{board_id:int}", again, methods=["PUT"]), middleware=middleware)
        seen = await post(app, "/board/1", method="PUT")
        assert "first" in seen.text
        async with stream(app, seen.url, headers=COOKIE) as connection:
            assert "changed" in str((await connection.next_update()).data)


async def test_with_the_middleware_nothing_is_sent_that_has_not_changed() -> None:
    boards = Boards()
    app = boards.starlette(middleware=True)
    await boards.reactive.emit("board:1", "name")
    async with stream(app, (await post(app, "/board/1")).url, headers=COOKIE) as connection:
        await quiet(connection)


async def test_what_middleware_inside_reads_for_a_page_is_read_after_its_cursor() -> None:
    boards = Boards()

    def read_first(app: Any) -> Any:
        async def reading(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"] == "/board/1" and scope["method"] == "GET":
                scope["state"] = {"name": boards.name}
                if boards.name == "first":
                    boards.name = "changed"
                    await boards.reactive.emit("board:1", "name")
            await app(scope, receive, send)

        return reading

    async def get(request: Request) -> dict[str, Any]:
        return {"name": request.state.name}

    app = Starlette(
        routes=[*boards.reactive.routes, Route("/board/{board_id}", boards.page(get))],
        middleware=[Middleware(ReactiveMiddleware, reactive=boards.reactive), Middleware(read_first)],
    )
    seen = await request(app, "/board/1", headers=COOKIE)
    assert "first" in seen.text
    async with stream(app, seen.url, headers=COOKIE) as connection:
        assert "changed" in str((await connection.next_update()).data)


@pytest.mark.parametrize(
    "options", [{"shared": True}, {"share": lambda request: "team"}, {"user": lambda request: "u"}]
)
@pytest.mark.parametrize("middleware", [False, True])
async def test_shared_pages_and_those_of_users_stay_live(options: dict[str, Any], middleware: bool) -> None:
    boards = Boards(page_options=options)
    app = boards.starlette(middleware=middleware)
    await assert_live(boards, app, await post(app, "/board/1"), "board:1")


async def test_the_page_and_the_post_may_be_methods_of_one_class() -> None:
    boards = Boards()

    class Board(HTTPEndpoint):
        @boards.page
        async def get(self, request: Request) -> dict[str, Any]:
            return boards.context()

        async def post(self, request: Request) -> Response:
            return boards.render(request)

    app = Starlette(routes=[*boards.reactive.routes, Route("/{board_id}", Board)])
    await assert_live(boards, app, await post(app, "/1"), "board:1")


# Its browser


async def test_the_middleware_gives_a_browser_without_the_cookie_its_session() -> None:
    boards = Boards()
    app = boards.starlette(middleware=True)
    seen = await post(app, "/board/1", headers={})
    assert seen.cookies["Cookie"].startswith("reactive_session=")

    async def sign_out(request: Request) -> Response:
        boards.reactive.end_session(request)
        return Response()

    app.router.routes.append(Route("/sign-out", sign_out, methods=["POST"]))
    async with stream(app, seen.url, headers=seen.cookies) as connection:
        await request(app, "/sign-out", method="POST", headers=seen.cookies)
        await connection.ended.wait()


async def test_without_the_middleware_a_browser_without_the_cookie_gets_no_stream_that_nothing_can_end() -> None:
    app = Boards().starlette()
    assert_off(await post(app, "/board/1", headers={}))
    shared = Boards(page_options={"shared": True})
    shared_app = shared.starlette()
    await assert_live(shared, shared_app, await post(shared_app, "/board/1", headers={}), "board:1")
    unnamed = Boards({"session_cookie": None})
    unnamed_app = unnamed.starlette()
    await assert_live(unnamed, unnamed_app, await post(unnamed_app, "/board/1", headers={}), "board:1")


# What is not the page


async def test_another_template_or_another_path_is_not_live() -> None:
    boards = Boards()
    routes = [
        Route("/board/{board_id:int}", lambda request: boards.render(request, "error.html"), methods=["PUT"]),
        Route("/elsewhere", lambda request: boards.render(request), methods=["POST"]),
    ]
    app = boards.starlette(*routes)
    assert_off(await post(app, "/board/1", method="PUT"))
    assert_off(await post(app, "/elsewhere"))


async def test_the_reason_names_what_is_in_the_way() -> None:
    boards = Boards({"debug": True})
    app = boards.starlette(Route("/elsewhere", lambda request: boards.render(request), methods=["POST"]))
    assert "renders this page, and GET /elsewhere leads to none" in (await post(app, "/elsewhere")).text
    assert "the browser has no cookie yet" in (await post(app, "/board/1", headers={})).text


async def test_a_page_whose_get_is_behind_another_route_is_not_live() -> None:
    boards = Boards()

    async def get(request: Request) -> dict[str, Any]:
        return boards.context()

    async def plain(request: Request) -> Response:
        return boards.render(request)

    routes = [
        Route("/{path}", plain),
        Route("/{board_id}", boards.page(get)),
        Route("/{path}", plain, methods=["POST"]),
    ]
    app = Starlette(routes=[*boards.reactive.routes, *routes])
    assert_off(await post(app, "/1"))


# FastAPI


def fastapi(boards: Boards, get: Callable[..., Any], *, path: str = "/board/{board_id}", **include: Any) -> FastAPI:
    router = APIRouter()
    router.get(path, response_class=HTMLResponse)(boards.page(get))

    @router.post(path)
    async def again(request: Request) -> Response:
        return boards.render(request)

    app = FastAPI()
    app.include_router(boards.reactive.router)
    app.include_router(router, **include)
    return app


async def test_the_scope_has_what_fastapi_converts() -> None:
    boards = Boards(scope="board:{board_id}:{page}:{size}")

    async def get(board_id: int, page: Annotated[int, Query(alias="p")], size: int = 10) -> dict[str, Any]:
        return boards.context()

    app = fastapi(boards, get)
    await assert_live(boards, app, await post(app, "/board/007?p=03"), "board:7:3:10")


@pytest.mark.parametrize("path", ["/board/x", "/board/1?p=x"])
async def test_a_path_or_query_that_the_page_does_not_accept_is_not_live(path: str) -> None:
    boards = Boards()

    async def get(board_id: int, p: int = 0) -> dict[str, Any]:
        return boards.context()

    assert_off(await post(fastapi(boards, get), path))


def real_id(board_id: str) -> str:
    return f"real-{board_id}"


async def test_a_scope_that_only_a_dependency_knows_is_not_guessed() -> None:
    boards = Boards()

    async def get(board_id: Annotated[str, Depends(real_id)]) -> dict[str, Any]:
        return boards.context()

    assert_off(await post(fastapi(boards, get), "/board/1"))


@pytest.mark.parametrize("root_path", ["", "/behind"])
async def test_an_included_router_and_a_mounted_application(root_path: str) -> None:
    boards = Boards()

    async def get(board_id: int) -> dict[str, Any]:
        return boards.context()

    included = fastapi(boards, get, prefix="/of/{team}")
    seen = await post(included, f"{root_path}/of/a/board/01", root_path=root_path)
    await assert_live(boards, included, seen, "board:1", root_path=root_path)

    outer = Starlette(routes=[Mount("/inner", fastapi(boards, get))])
    boards.reactive.app = outer
    seen = await post(outer, f"{root_path}/inner/board/02", root_path=root_path)
    await assert_live(boards, outer, seen, "board:2", root_path=root_path)


async def test_two_reactive_objects_of_one_environment() -> None:
    boards = Boards()
    app = boards.starlette()
    Reactive(boards.reactive.templates, secret="another secret for tests")  # installs its functions, too
    await assert_live(boards, app, await post(app, "/board/1"), "board:1")


# Routes of pages


@pytest.mark.parametrize("methods", [["GET", "POST"], ["PUT"], ["DELETE", "HEAD", "GET"], ["OPTIONS"]])
@pytest.mark.parametrize("framework", ["starlette", "fastapi", "add_api_route"])
async def test_a_page_on_a_route_that_is_not_for_get_alone_is_refused_at_startup(
    framework: str, methods: list[str]
) -> None:
    boards = Boards()

    async def board(request: Request) -> dict[str, Any]:
        return boards.context()

    decorated = boards.page(board)
    app: Starlette
    if framework == "starlette":
        app = Starlette(routes=[Route("/{board_id}", decorated, methods=methods)])
    else:
        app = FastAPI()
        if framework == "fastapi":
            app.api_route("/{board_id}", methods=methods)(decorated)
        else:
            app.add_api_route("/{board_id}", decorated, methods=methods)
    with pytest.raises(
        TypeError, match=r"'/\{board_id\}' of the page .*board answers .*decorate an endpoint"
    ) as raised:
        async with boards.reactive.lifespan(app):
            pass
    assert re.search(r"answers ([A-Z, ]+), but", str(raised.value))


async def test_a_page_as_the_post_of_a_class_is_refused_at_startup() -> None:
    boards = Boards()

    class Board(HTTPEndpoint):
        @boards.page
        async def get(self, request: Request) -> dict[str, Any]:
            return boards.context()

        post = get

    app = Starlette(routes=[Route("/{board_id}", Board)])
    with pytest.raises(TypeError, match=r"Board.get answers POST, but"):
        async with boards.reactive.lifespan(app):
            pass


@pytest.mark.parametrize("methods", [None, ["GET"], ["HEAD", "GET"], ["GET", "OPTIONS"]])
async def test_a_page_for_get_is_accepted_at_startup(methods: list[str] | None) -> None:
    boards = Boards()

    async def board(request: Request) -> dict[str, Any]:
        return boards.context()

    async with boards.reactive.lifespan(Starlette(routes=[Route("/{board_id}", boards.page(board), methods=methods)])):
        pass


# Several scopes


@pytest.mark.parametrize("scope", ["board:7", "user:ada"])
async def test_a_page_with_several_scopes_is_live_in_each_of_them(scope: str) -> None:
    boards = Boards(scope=["board:{board_id}", "user:{request.query_params[user]}"])
    app = boards.starlette()
    await assert_live(boards, app, await post(app, "/board/7?user=ada"), scope)


async def test_a_page_is_not_live_if_one_of_its_scopes_cannot_be_made() -> None:
    boards = Boards({"debug": True}, scope=["board:{board_id}", "user:{me}"])
    seen = await post(boards.starlette(), "/board/7")
    assert "sse-connect" not in seen.text
    reason = "the path and the query of /board/7 do not make the scopes 'board:{board_id}' and 'user:{me}'"
    assert f'<body data-reactive-off="{reason}">' in html.unescape(seen.text)
