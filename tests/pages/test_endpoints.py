"""Endpoints of every kind that FastAPI and Starlette accept, and mounted applications."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Query
from fastapi import Request as FastRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import BaseRoute, Host, Mount, Route
from starlette.types import ASGIApp

from starlette_reactive import Reactive, ReactiveError
from tests.support import environment

from .support import PAGE, SECRET, quiet, request, stream, view

if TYPE_CHECKING:
    from decimal import Decimal

ENV = environment(page=PAGE)


def colour(colour: str = "red") -> str:
    return colour.upper()


class World:
    """The data of the pages, and their Reactive object."""

    def __init__(self, **options: Any) -> None:
        self.items: list[str] = []
        self.reactive = Reactive(ENV, **{"secret": SECRET, **options})

    def context(self, title: object = "") -> dict[str, Any]:
        return {"title": title, "items": self.items}

    async def add(self, item: str, scope: str) -> None:
        self.items.append(item)
        await self.reactive.emit(scope, "items")


@pytest.fixture
def world() -> World:
    return World()


def fastapi_with(world: World, path: str, endpoint: Callable[..., Any], scope: str) -> FastAPI:
    app = FastAPI()
    app.include_router(world.reactive.router)
    app.get(path)(world.reactive.page("page.html", scope=scope)(endpoint))
    return app


def starlette_with(world: World, path: str, endpoint: Callable[..., Any], scope: str) -> Starlette:
    page = world.reactive.page("page.html", scope=scope)(endpoint)
    return Starlette(routes=[*world.reactive.routes, Route(path, page)], lifespan=world.reactive.lifespan)


async def assert_live(world: World, app: ASGIApp, path: str, scope: str, *, title: str, **options: Any) -> None:
    """Assert that a page shows its title, and that it is updated for changes of its scope and of no other."""
    async with view(app, path, **options) as connection:
        seen = await request(app, path, **options)
        assert f'<h1 id="title">{title}</h1>' in seen.text
        await world.add("other", "another scope")
        await quiet(connection, 0.05)
        await world.add("new", scope)
        frame = await connection.next_update()
        assert frame.data is not None
        assert 'hx-target="#list"' in frame.data
        assert "<li>new</li>" in frame.data
        await world.reactive.emit(scope, "title")
        assert f">{title}</hx-partial>" in ((await connection.next_update()).data or "")


@pytest.fixture(params=[fastapi_with, starlette_with], ids=["fastapi", "starlette"])
def app_with(request: pytest.FixtureRequest) -> Callable[..., ASGIApp]:
    function: Callable[..., ASGIApp] = request.param
    return function


async def test_a_coroutine_function_without_a_request(world: World, app_with: Callable[..., ASGIApp]) -> None:
    async def page() -> dict[str, Any]:
        return world.context("t")

    await assert_live(world, app_with(world, "/", page, "all"), "/", "all", title="t")


async def test_a_plain_function_without_a_request(world: World, app_with: Callable[..., ASGIApp]) -> None:
    def page() -> dict[str, Any]:
        return world.context("t")

    await assert_live(world, app_with(world, "/", page, "all"), "/", "all", title="t")


async def test_a_coroutine_function_with_a_request(world: World, app_with: Callable[..., ASGIApp]) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.path_params["name"])

    await assert_live(world, app_with(world, "/{name}", page, "board:{name}"), "/a", "board:a", title="a")


async def test_a_plain_function_with_a_request(world: World, app_with: Callable[..., ASGIApp]) -> None:
    def page(request: Request) -> dict[str, Any]:
        return world.context(request.path_params["name"])

    await assert_live(world, app_with(world, "/{name}", page, "board:{name}"), "/a", "board:a", title="a")


async def test_a_keyword_only_and_a_positional_only_request(world: World, app_with: Callable[..., ASGIApp]) -> None:
    async def by_keyword(*, request: Request) -> dict[str, Any]:
        return world.context(request.url.path)

    async def by_position(request: Request, /) -> dict[str, Any]:
        return world.context(request.url.path)

    for endpoint in (by_keyword, by_position):
        await assert_live(world, app_with(world, "/x", endpoint, "all"), "/x", "all", title="/x")


async def test_a_request_with_another_name_or_annotated(world: World) -> None:
    async def page(incoming: FastRequest, number: int = 3) -> dict[str, Any]:
        return world.context(f"{incoming.url.path} {number}")

    async def annotated(incoming: Annotated[FastRequest, "metadata"]) -> dict[str, Any]:
        return world.context(incoming.url.path)

    await assert_live(world, fastapi_with(world, "/x", page, "all"), "/x", "all", title="/x 3")
    await assert_live(world, fastapi_with(world, "/x", annotated, "all"), "/x", "all", title="/x")


async def test_a_request_without_an_annotation_under_starlette(world: World) -> None:
    async def page(r):  # type: ignore[no-untyped-def]
        return world.context(r.url.path)

    await assert_live(world, starlette_with(world, "/x", page, "all"), "/x", "all", title="/x")


async def test_the_scope_is_formatted_with_converted_parameters(world: World, app_with: Callable[..., ASGIApp]) -> None:
    if app_with is fastapi_with:

        async def page(number: int) -> dict[str, Any]:
            return world.context(number)

        app = fastapi_with(world, "/{number}", page, "board:{number:03}")
    else:

        async def page_of_request(request: Request) -> dict[str, Any]:
            return world.context(request.path_params["number"])

        app = starlette_with(world, "/{number:int}", page_of_request, "board:{number:03}")  # type: ignore[assignment]
    await assert_live(world, app, "/007", "board:007", title="7")


async def test_parameters_of_every_kind_under_fastapi(world: World) -> None:
    async def page(
        number: Annotated[int, Path(ge=1)],
        /,
        hue: Annotated[str, Depends(colour)],
        words: Annotated[list[str] | None, Query()] = None,
        *,
        size: int = 5,
    ) -> dict[str, Any]:
        return world.context(f"{number} {hue} {words} {size}")

    app = fastapi_with(world, "/{number}", page, "board:{number}:{size}")
    title = "1 BLUE [&#39;a&#39;, &#39;b c&#39;] 6"
    await assert_live(world, app, "/1?colour=blue&words=a&words=b%20c&size=6", "board:1:6", title=title)
    assert (await request(app, "/0")).status == 422


async def test_an_annotation_that_only_type_checkers_can_resolve_does_not_affect_the_others(world: World) -> None:
    async def page(number: Annotated[int, Path()]) -> Decimal:
        return world.context(number + 1)  # type: ignore[return-value]

    await assert_live(world, fastapi_with(world, "/{number}", page, "board:{number}"), "/1", "board:1", title="2")


async def test_a_bound_method(world: World) -> None:
    class Pages:
        async def page(self, number: int) -> dict[str, Any]:
            return world.context(number)

    await assert_live(world, fastapi_with(world, "/{number}", Pages().page, "n:{number}"), "/1", "n:1", title="1")


@pytest.mark.parametrize("path", ["/Z%C3%BCrich%20%26%20more", "/a%2Fb", "/%25"])
async def test_percent_encoded_paths(world: World, app_with: Callable[..., ASGIApp], path: str) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.path_params["name"])

    app = app_with(world, "/{name:path}", page, "all")
    title = {"/Z%C3%BCrich%20%26%20more": "Zürich &amp; more", "/a%2Fb": "a/b", "/%25": "%"}[path]
    await assert_live(world, app, path, "all", title=title)


async def test_an_update_has_the_raw_query_of_the_page(world: World, app_with: Callable[..., ASGIApp]) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.scope["query_string"].decode("latin-1"))

    query = "q=a+b&q=%2B%C3%BC&empty=&;x"
    await assert_live(world, app_with(world, "/", page, "all"), f"/?{query}", "all", title=query.replace("&", "&amp;"))


async def test_a_router_with_a_prefix(world: World) -> None:
    router = APIRouter(prefix="/boards")

    @router.get("/{number}")
    @world.reactive.page("page.html", scope="board:{number}")
    async def page(number: int) -> dict[str, Any]:
        return world.context(number)

    app = FastAPI()
    app.include_router(world.reactive.router, prefix="/of")
    app.include_router(router, prefix="/v1")
    await assert_live(world, app, "/v1/boards/2", "board:2", title="2")
    assert (await request(app, "/v1/boards/2")).url.startswith("/of/_reactive/live?")


async def test_routes_in_a_mount(world: World) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.url_for("boards:page", number=4))

    decorated = world.reactive.page("page.html", scope="board:{number}")(page)
    app = Starlette(
        routes=[
            *world.reactive.routes,
            Mount("/boards", routes=[Route("/{number:int}", decorated, name="page")], name="boards"),
        ]
    )
    await assert_live(world, app, "/boards/3", "board:3", title="http://test/boards/4")


@pytest.mark.parametrize("root_path", ["", "/behind/a/proxy"])
@pytest.mark.parametrize("name", [None, "inner"])
@pytest.mark.parametrize("wired", ["inside", "outside"])
async def test_a_mounted_application(world: World, root_path: str, name: str | None, wired: str) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.url.path)

    inner = FastAPI()
    inner.get("/{number}")(world.reactive.page("page.html", scope="board:{number}")(page))
    outer = Starlette(routes=[Mount("/in/side", inner, name=name)])
    if wired == "inside":
        inner.include_router(world.reactive.router)
        inner.router.routes.reverse()  # else {number} would match the live URL
        world.reactive.app = outer
    else:
        outer.router.routes[:0] = world.reactive.routes
    world.reactive.app = outer
    path = f"{root_path}/in/side/5"
    await assert_live(world, outer, path, "board:5", title=path, root_path=root_path)


@pytest.mark.parametrize("names", [(None, None), ("one", "two")])
async def test_two_mounted_applications_with_the_same_prefix(
    names: tuple[str | None, str | None],
) -> None:
    worlds = World(), World()
    mounts = []
    for number, (world, name) in enumerate(zip(worlds, names, strict=True)):

        async def page(request: Request, world: World = world) -> dict[str, Any]:
            return world.context(request.url.path)

        decorated = world.reactive.page("page.html", scope="all")(page)
        inner = Starlette(routes=[*world.reactive.routes, Route("/", decorated)])
        mounts.append(Mount(f"/{number}", inner, name=name))
    outer = Starlette(routes=mounts)
    for world in worlds:
        world.reactive.app = outer
    for number, world in enumerate(worlds):
        await assert_live(world, outer, f"/{number}/", "all", title=f"/{number}/")


@pytest.mark.parametrize("name", [None, "part"])
async def test_routes_of_the_reactive_object_in_a_mount_that_is_no_application(world: World, name: str | None) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.url.path)

    decorated = world.reactive.page("page.html", scope="all")(page)
    app = Starlette(routes=[Mount("/part", routes=[*world.reactive.routes, Route("/", decorated)], name=name)])
    await assert_live(world, app, "/part/", "all", title="/part/")


async def test_a_root_path_that_a_proxy_strips(world: World) -> None:
    async def page(request: FastRequest, number: int) -> dict[str, Any]:
        return world.context(request.url_for("page", number=number))

    app = fastapi_with(world, "/boards/{number}", page, "board:{number}")
    seen = await request(app, "/boards/5", root_path="/api")
    assert seen.url.startswith("/api/_reactive/live?")
    async with stream(app, seen.url.removeprefix("/api"), root_path="/api") as connection:
        await world.reactive.emit("board:5", "title")
        assert "http://test/api/boards/5" in ((await connection.next_update()).data or "")


async def test_an_update_has_the_host_and_scheme_of_the_page(world: World) -> None:
    async def page(request: Request) -> dict[str, Any]:
        return world.context(request.url_for("page"))

    app = starlette_with(world, "/here", page, "all")
    seen = await request(app, "/here", base="https://a.example:8443")
    async with stream(app, seen.url, host="elsewhere") as connection:
        await world.reactive.emit("all", "title")
        assert "https://a.example:8443/here" in ((await connection.next_update()).data or "")


async def test_a_page_may_return_a_response(world: World, app_with: Callable[..., ASGIApp]) -> None:
    async def page(request: Request) -> Any:
        return RedirectResponse("/login") if request.query_params else PlainTextResponse("plain")

    app = app_with(world, "/", page, "all")
    assert (await request(app, "/")).text == "plain"
    assert (await request(app, "/?x=1")).status == 307


async def test_a_page_that_returns_nothing_raises_an_explained_error(
    world: World, app_with: Callable[..., ASGIApp]
) -> None:
    async def page() -> None:
        return None

    with pytest.raises(TypeError, match=r"page returned NoneType, not a mapping: return a dict of the variables"):
        await request(app_with(world, "/", page, "all"), "/")


async def test_a_scope_with_an_unknown_parameter_raises_an_error_that_lists_them(world: World) -> None:
    async def page(number: int) -> dict[str, Any]:
        return world.context(number)

    app = fastapi_with(world, "/{number}", page, "board:{id}")
    with pytest.raises(Exception, match=r"'board:\{id\}'.*KeyError: 'id'.*there are: number"):
        await request(app, "/1")


async def test_head_requests_work_as_for_any_page(world: World, app_with: Callable[..., ASGIApp]) -> None:
    async def page() -> dict[str, Any]:
        return world.context()

    app = app_with(world, "/", page, "all")
    assert (await request(app, "/", method="HEAD")).status == (405 if app_with is fastapi_with else 200)


async def test_the_openapi_schema_has_the_endpoints_parameters_only(world: World) -> None:
    async def page(number: int, size: str = "m") -> dict[str, Any]:
        """Show a board."""
        return world.context(number)

    schema = fastapi_with(world, "/{number}", page, "all").openapi()
    assert list(schema["paths"]) == ["/{number}"]
    operation = schema["paths"]["/{number}"]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["number", "size"]
    assert (operation["description"], operation["summary"]) == ("Show a board.", "Page")


@pytest.mark.parametrize("kind", ["page", "html", "stream"])
async def test_decorators_in_the_wrong_order_are_rejected_at_startup(world: World, kind: str) -> None:
    app = FastAPI()
    app.include_router(world.reactive.router)
    router = APIRouter()

    @router.get("/wrong")
    async def endpoint() -> dict[str, Any]:
        return {}

    decorators: dict[str, Callable[[Any], Any]] = {
        "page": world.reactive.page("page.html", scope="all"),
        "html": world.reactive.html,
        "stream": world.reactive.stream("page.html", scope="all"),
    }
    decorators[kind](endpoint)
    app.include_router(router, prefix="/x")
    with pytest.raises(TypeError, match=r"'/wrong'.*endpoint.*write the route's decorator above"):
        async with app.router.lifespan_context(app):
            pass


async def test_only_functions_can_be_decorated(world: World) -> None:
    route = Route("/", lambda request: PlainTextResponse())
    with pytest.raises(TypeError, match="is not a function: write the route's decorator above"):
        world.reactive.page("page.html", scope="all")(route)


async def test_without_the_routes_the_error_says_what_to_add(world: World) -> None:
    app = FastAPI()

    @app.get("/")
    @world.reactive.page("page.html", scope="all")
    async def page() -> dict[str, Any]:
        return world.context()

    with pytest.raises(Exception, match=r"app.include_router\(reactive.router\)"):
        await request(app, "/")


async def test_two_reactive_objects_may_share_one_environment(world: World) -> None:
    async def page() -> dict[str, Any]:
        return world.context("t")

    app = fastapi_with(world, "/", page, "all")
    World()  # installs its functions in the same environment
    await assert_live(world, app, "/", "all", title="t")


@pytest.mark.parametrize("options", [{}, {"live_path": "/live"}])
@pytest.mark.parametrize("server", [FastAPI, Starlette])
async def test_two_reactive_objects_with_one_prefix_are_refused_at_startup(
    server: type[Starlette], options: dict[str, Any]
) -> None:
    one, other = World(**options).reactive, World(**options).reactive
    argument = "live_path='/live'" if options else "prefix='/_reactive'"
    if server is FastAPI:
        app: Starlette = FastAPI()
        for each in (one, other):
            app.include_router(each.router)  # type: ignore[attr-defined]
    else:
        app = Starlette(routes=[*one.routes, *other.routes], lifespan=one.lifespan)
    with pytest.raises(ReactiveError, match=f"two Reactive objects of the application have {argument}.*give each its"):
        async with app.router.lifespan_context(app):
            pass


@pytest.mark.parametrize(
    "make",
    [
        lambda one, other, _: [*one.routes, *one.routes],
        lambda one, _, different: [*one.routes, *different.routes],
        lambda one, other, _: [*one.routes, Mount("/sub", Starlette(routes=other.routes))],
        lambda one, other, _: [*one.routes, Mount("/sub", Starlette(routes=other.routes), name="sub")],
        lambda one, other, _: [*one.routes, Mount("/sub", routes=other.routes)],
        lambda one, other, _: [Host("a.test", Starlette(routes=one.routes)), *other.routes],
    ],
    ids=["the same twice", "two prefixes", "mount", "named mount", "mounted routes", "host"],
)
async def test_reactive_objects_whose_paths_differ_may_be_in_one_application(
    make: Callable[[Reactive, Reactive, Reactive], list[BaseRoute]],
) -> None:
    one, other, different = World().reactive, World().reactive, World(prefix="/other").reactive
    routes = make(one, other, different)
    for each in (one, other, different):
        app = Starlette(routes=routes, lifespan=each.lifespan)
        async with app.router.lifespan_context(app):
            pass


async def test_one_object_may_be_included_twice_under_fastapi(world: World) -> None:
    app = FastAPI()
    app.include_router(world.reactive.router)
    app.include_router(world.reactive.router, prefix="/again")
    app.include_router(World().reactive.router, prefix="/other")
    async with app.router.lifespan_context(app):
        pass
