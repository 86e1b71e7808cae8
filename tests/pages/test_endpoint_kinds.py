"""Endpoints that are no plain functions: they work, or are refused with the reason and the fix."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from classy_fastapi import Routable, get
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive
from tests.support import environment

from .support import PAGE, SECRET, request, stream

ENV = environment(page=PAGE)
reactive = Reactive(ENV, secret=SECRET)
page = reactive.page("page.html", scope="all")


def context(title: object) -> dict[str, Any]:
    return {"title": title, "items": []}


def starlette(endpoint: Any) -> Starlette:
    return Starlette(routes=[*reactive.routes, Route("/{name}", endpoint)], lifespan=reactive.lifespan)


def fastapi(endpoint: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(reactive.router)
    app.get("/{name}")(endpoint)
    return app


async def assert_live(app: Starlette, path: str = "/a", title: str = "a") -> None:
    """Assert that a page is shown, and that an update renders the same."""
    async with app.router.lifespan_context(app):
        seen = await request(app, path)
        assert f'<h1 id="title">{title}</h1>' in seen.text
        async with stream(app, seen.url, headers=seen.cookies) as connection:
            await reactive.emit("all", "title")
            assert f">{title}</hx-partial>" in ((await connection.next_update()).data or "")


# Methods of classes


class Home(HTTPEndpoint):
    @page
    async def get(self, request: Request) -> dict[str, Any]:
        return context(request.path_params["name"])


class PlainHome(HTTPEndpoint):
    @page
    def get(self, request):  # type: ignore[no-untyped-def]
        return context(request.path_params["name"])


class HomeWithoutRequest(HTTPEndpoint):
    @reactive.page("page.html", scope="all")
    async def get(self) -> dict[str, Any]:
        return context(self.scope["path_params"]["name"])


@pytest.mark.parametrize("endpoint", [Home, PlainHome])
@pytest.mark.parametrize("server", [Starlette, FastAPI])
async def test_the_method_of_an_http_endpoint(endpoint: type[HTTPEndpoint], server: type[Starlette]) -> None:
    await assert_live(server(routes=[*reactive.routes, Route("/{name}", endpoint)], lifespan=reactive.lifespan))


async def test_the_method_of_an_http_endpoint_without_a_request() -> None:
    await assert_live(starlette(HomeWithoutRequest))


async def test_the_method_of_an_http_endpoint_that_returns_a_value() -> None:
    class Saved(HTTPEndpoint):
        @reactive.html
        async def post(self, request: Request) -> str:
            return str(request.path_params["name"])

    assert (await request(starlette(Saved), "/a", method="POST")).text == "a"


async def test_the_scope_of_a_method_has_the_parameters_of_its_path() -> None:
    class Board(HTTPEndpoint):
        @reactive.page("page.html", scope="board:{name}")
        async def get(self, request: Request) -> dict[str, Any]:
            return context("t")

    app = starlette(Board)
    seen = await request(app, "/a")
    async with stream(app, seen.url, headers=seen.cookies) as connection:
        await reactive.emit("board:a", "title")
        await connection.next_update()


class Pages:
    def __init__(self, suffix: str) -> None:
        self.suffix = suffix

    @page
    async def decorated(self, name: str) -> dict[str, Any]:
        return context(name + self.suffix)

    @page
    def decorated_for_starlette(self, request: Request) -> dict[str, Any]:
        return context(request.path_params["name"] + self.suffix)

    async def bound(self, name: str) -> dict[str, Any]:
        return context(name + self.suffix)

    def bound_with_request(self, request: Request) -> dict[str, Any]:
        return context(request.path_params["name"] + self.suffix)

    @page
    @staticmethod
    async def static(request: Request) -> dict[str, Any]:
        return context(request.path_params["name"])

    @staticmethod
    @page
    async def outer_static(request: Request) -> dict[str, Any]:
        return context(request.path_params["name"])

    @classmethod
    @page
    def of_class(cls, request: Request) -> dict[str, Any]:
        return context(request.path_params["name"])

    @classmethod
    def bound_of_class(cls, request: Request) -> dict[str, Any]:
        return context(request.path_params["name"])


async def test_bound_methods() -> None:
    pages = Pages("!")
    await assert_live(fastapi(pages.decorated), title="a!")
    await assert_live(fastapi(page(pages.bound)), title="a!")
    for make in (fastapi, starlette):
        await assert_live(make(pages.decorated_for_starlette), title="a!")
        await assert_live(make(page(pages.bound_with_request)), title="a!")


@pytest.mark.parametrize("make", [fastapi, starlette])
async def test_static_and_class_methods(make: Callable[[Any], Starlette]) -> None:
    for endpoint in (Pages.static, Pages.outer_static, Pages.of_class, page(Pages.bound_of_class)):
        await assert_live(make(endpoint))


# Class-based views of FastAPI


def dependency() -> str:
    return "d"


async def test_a_class_of_classy_fastapi() -> None:
    class Views(Routable):
        def __init__(self, suffix: str) -> None:
            super().__init__()
            self.suffix = suffix

        @get("/{name}")
        @page
        async def show(self, name: str, of: Annotated[str, Depends(dependency)]) -> dict[str, Any]:
            return context(name + of + self.suffix)

    app = FastAPI()
    app.include_router(reactive.router)
    app.include_router(Views("!").router)
    await assert_live(app, title="ad!")


def cbv(router: APIRouter) -> Callable[[type], type]:
    """Make a class a view, as fastapi-utils and fastapi-restful do: its instance is a dependency of each method."""

    def decorate(cls: type) -> type:
        methods = {function for _, function in inspect.getmembers(cls, inspect.isfunction)}
        views = APIRouter()
        for route in [each for each in router.routes if isinstance(each, APIRoute) and each.endpoint in methods]:
            router.routes.remove(route)
            first, *others = inspect.signature(route.endpoint).parameters.values()
            parameters = [
                first.replace(default=Depends(cls)),
                *(each.replace(kind=each.KEYWORD_ONLY) for each in others),
            ]
            route.endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
            views.routes.append(route)
        router.include_router(views)
        return cls

    return decorate


async def test_a_class_based_view_whose_instance_is_a_dependency() -> None:
    router = APIRouter()

    @cbv(router)
    class Views:
        def __init__(self, of: Annotated[str, Depends(dependency)]) -> None:
            self.of = of

        @router.get("/{name}")
        @page
        async def show(self, name: str) -> dict[str, Any]:
            return context(name + self.of)

        @router.get("/plain/{name}")
        @page
        def show_in_thread(self, name: str, request: Request) -> dict[str, Any]:
            return context(request.url.path + name + self.of)

        @router.get("/value/{name}")
        @reactive.html
        async def value(self, name: str) -> str:
            return name + self.of

    app = FastAPI()
    app.include_router(reactive.router)
    app.include_router(router)
    await assert_live(app, title="ad")
    await assert_live(app, "/plain/a", "/plain/aad")
    assert (await request(app, "/value/a")).text == "ad"


async def test_what_changes_while_the_instance_of_a_view_reads_its_data_is_sent() -> None:
    router = APIRouter()
    titles = ["old"]

    async def read() -> str:
        title = titles[-1]
        if title == "old":
            titles.append("new")
            await reactive.emit("all", "title")
        return title

    @cbv(router)
    class Views:
        def __init__(self, title: str = Depends(read)) -> None:
            self.title = title

        @router.get("/")
        @page
        async def show(self) -> dict[str, Any]:
            return context(self.title)

    app = FastAPI()
    app.include_router(reactive.router)
    app.include_router(router)
    seen = await request(app, "/")
    assert ">old<" in seen.text
    async with stream(app, seen.url, headers=seen.cookies) as connection:
        assert ">new<" in ((await connection.next_update()).data or "")


# Partials and objects that can be called


async def board(kind: str, request: Request) -> dict[str, Any]:
    return context(f"{kind} {request.path_params['name']}")


def plain_board(request: Request, kind: str) -> dict[str, Any]:
    return context(f"{kind} {request.path_params['name']}")


@pytest.mark.parametrize("make", [fastapi, starlette])
@pytest.mark.parametrize(
    "endpoint",
    [
        functools.partial(board, "x"),
        functools.partial(board, kind="x"),
        functools.partial(plain_board, kind="x"),
        functools.partial(functools.partial(plain_board), kind="x"),
    ],
)
async def test_a_partial(make: Callable[[Any], Starlette], endpoint: Callable[..., Any]) -> None:
    await assert_live(make(page(endpoint)), title="x a")


@dataclass  # so it has no hash
class Board:
    """A board."""

    kind: str

    async def __call__(self, request: Request) -> dict[str, Any]:
        return context(f"{self.kind} {request.path_params['name']}")


@dataclass
class PlainBoard:
    kind: str

    def __call__(self, request: Request) -> dict[str, Any]:
        return context(f"{self.kind} {request.path_params['name']}")


class BoardByName:
    async def __call__(self, name: str, of: Annotated[str, Depends(dependency)]) -> dict[str, Any]:
        return context(name + of)


@pytest.mark.parametrize("make", [fastapi, starlette])
@pytest.mark.parametrize(
    "endpoint", [Board("x"), PlainBoard("x"), functools.partial(Board("x")), functools.partial(PlainBoard("x"))]
)
async def test_an_object_that_can_be_called(make: Callable[[Any], Starlette], endpoint: Callable[..., Any]) -> None:
    await assert_live(make(page(endpoint)), title="x a")


async def test_an_object_that_can_be_called_has_the_parameters_of_its_method() -> None:
    await assert_live(fastapi(page(BoardByName())), title="ad")


def test_the_key_of_a_page_is_the_same_in_every_process() -> None:
    site = Reactive(ENV, secret=SECRET)
    for endpoint in (functools.partial(board, "x"), functools.partial(board, "y"), Board("x"), Pages("").bound):
        site.page("page.html", scope="all")(endpoint)
    names = ["board", "board#1", "Board", "Pages.bound"]
    assert [each.key for each in site._site] == [f"{__name__}.{name}" for name in names]


def test_a_route_has_the_name_of_what_was_decorated() -> None:
    names: dict[str, Callable[..., Any]] = {
        "board": functools.partial(board, "x"),
        "Board": Board("x"),
        "bound": Pages("").bound,
    }
    for name, endpoint in names.items():
        assert Route("/", page(endpoint)).name == name


# Decorators around an endpoint


def with_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    return wrapper


def plain_with_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def by_keywords(function: Callable[..., Any]) -> Callable[..., Any]:
    """Look at keywords, as decorators for FastAPI do, because it calls endpoints with nothing else."""

    @functools.wraps(function)
    async def wrapper(**kwargs: Any) -> Any:
        assert isinstance(kwargs["request"], Request)
        return await function(**kwargs)

    return wrapper


def without_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


async def of_request(request: Request) -> dict[str, Any]:
    return context(request.path_params["name"])


def plain_of_request(request: Request) -> dict[str, Any]:
    return context(request.path_params["name"])


@pytest.mark.parametrize("make", [fastapi, starlette])
@pytest.mark.parametrize("decorator", [with_wraps, plain_with_wraps])
@pytest.mark.parametrize("function", [of_request, plain_of_request])
async def test_a_decorator_with_wraps(
    make: Callable[[Any], Starlette], decorator: Callable[[Any], Any], function: Callable[..., Any]
) -> None:
    await assert_live(make(page(decorator(function))))


@pytest.mark.parametrize("make", [fastapi, starlette])
async def test_a_decorator_above_that_of_the_page(make: Callable[[Any], Starlette]) -> None:
    await assert_live(make(with_wraps(page(of_request))))
    await assert_live(make(with_wraps(page(plain_of_request))))


async def test_a_decorator_that_looks_at_the_keywords_of_fastapi() -> None:
    await assert_live(fastapi(page(by_keywords(of_request))))


async def test_a_decorated_method() -> None:
    class Home(HTTPEndpoint):
        @page
        @with_wraps
        async def get(self, request: Request) -> dict[str, Any]:
            return context(request.path_params["name"])

    await assert_live(starlette(Home))


async def test_a_decorator_without_wraps_works_under_starlette() -> None:
    await assert_live(starlette(page(without_wraps(of_request))))


async def test_a_decorator_without_wraps_is_refused_under_fastapi_at_startup_and_at_a_visit() -> None:
    app = fastapi(page(without_wraps(of_request)))
    message = (
        r"without_wraps.<locals>.wrapper takes \*args or \*\*kwargs only.*write @functools.wraps in that decorator"
    )
    with pytest.raises(TypeError, match=message):
        async with app.router.lifespan_context(app):
            pass
    with pytest.raises(TypeError, match=message):
        await request(app, "/a")


async def test_further_keywords_are_no_parameters_of_the_query() -> None:
    async def endpoint(name: str, **further: Any) -> dict[str, Any]:
        return context(f"{name} {further}")

    await assert_live(fastapi(page(endpoint)), title="a {}")


@pytest.mark.parametrize("make", [fastapi, starlette])
async def test_a_lambda(make: Callable[[Any], Starlette]) -> None:
    await assert_live(make(page(lambda request: context(request.path_params["name"]))))
    await assert_live(make(page(lambda request: of_request(request))))


# What is refused


def generator(request: Request) -> Iterator[dict[str, Any]]:
    yield context("t")


async def async_generator(request: Request) -> AsyncIterator[dict[str, Any]]:
    yield context("t")


class GeneratorBoard:
    def __call__(self) -> Iterator[dict[str, Any]]:
        yield context("t")


class Both(HTTPEndpoint):
    @classmethod
    async def get(cls, request: Request) -> dict[str, Any]:
        return context("t")


class Middleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("t")(scope, receive, send)


REFUSED = [
    (generator, r"generator is a generator.*write return in place of yield"),
    (async_generator, r"async_generator is a generator"),
    (functools.partial(generator), r"generator is a generator"),
    (GeneratorBoard(), r"GeneratorBoard is a generator"),
    (Both.__dict__["get"], r"Both.get is a class method.*write @classmethod above.*add the route with Both.get"),
    (Home, r"Home is a class.*above get in it"),
    (Pages, r"Pages is a class.*above the method that answers in it"),
    (Middleware(asgi), r"Middleware is an ASGI application.*decorate a function"),
    (asgi, r"asgi is an ASGI application"),
    (Route("/", of_request), r"Route.* is not a function: write the route's decorator above"),
    ("page", r"'page' is not a function"),
    (functools.partial(dict), r"parameters of dict cannot be found out: call it in a function of your own"),
]


@pytest.mark.parametrize(("endpoint", "message"), REFUSED, ids=[message for _, message in REFUSED])
@pytest.mark.parametrize("kind", ["page", "html", "stream"])
def test_what_cannot_be_an_endpoint_is_refused_when_it_is_declared(endpoint: Any, message: str, kind: str) -> None:
    site = Reactive(ENV, secret=SECRET)
    decorators: dict[str, Callable[[Any], Any]] = {
        "page": site.page("page.html", scope="all"),
        "html": site.html,
        "stream": site.stream("page.html", scope="all"),
    }
    with pytest.raises(TypeError, match=message):
        decorators[kind](endpoint)
    assert list(site._site) == []


@pytest.mark.parametrize("endpoint", [functools.partial(board, "x"), Board("x"), Pages("").bound])
async def test_decorators_in_the_wrong_order_are_noticed_for_every_kind(endpoint: Callable[..., Any]) -> None:
    app = FastAPI()
    app.include_router(reactive.router)
    page(app.get("/wrong")(endpoint))
    with pytest.raises(TypeError, match="'/wrong'.*write the route's decorator above"):
        async with app.router.lifespan_context(app):
            pass
