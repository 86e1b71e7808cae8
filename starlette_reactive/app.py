"""Reactive: one object that wires an application."""

from __future__ import annotations

import html
import inspect
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, NoMatchFound, Route
from starlette.templating import Jinja2Templates

from .bus import ReactiveBus
from .endpoints import Call, Endpoint, wrap_endpoint
from .errors import ReactiveError
from .events import ChangeEvent, ConnectionInfo
from .index import DependencyIndex
from .jinja import declare_reads
from .jinja.environments import Templates, environment_of
from .live.stream import reactive_stream
from .live.wire import CLOSE_EVENT, SINK_ID
from .pages import SINK_NAMES, WIRES, Page, UserOf, current_visit, note_cursor
from .rendering import respond, respond_async
from .tokens import PageVisit, Signer

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["Reactive"]

_ORIGIN_HEADER = "Reactive-Origin"


class Reactive:
    """Makes the pages of an application live.

    With FastAPI, ``app.include_router(reactive.router)``; with Starlette,
    ``Starlette(routes=[*reactive.routes, …], lifespan=reactive.lifespan)``.

    Args:
        templates: Starlette's ``Jinja2Templates``, or a Jinja environment.
        bus: Who tells of changes; ``None``: a bus of its own.
        index: Which blocks show what, for :meth:`stream`, and the derived paths of all pages; ``None``: a new one.
        secret: Signs live URLs; ``None``: the environment variable ``REACTIVE_SECRET``, else a random one, with a
            warning: streams of an older process or another worker then answer 403.
        debug: Whether a block that fails to render shows its error in the page.
        heartbeat: Seconds of silence after which a stream sends a comment.
        prefix: Where the routes of this object lie.
        viewer_names: Context variables that belong to one viewer, beside the usual ones, such as ``user``.
        max_age: How long a live URL can be used, in seconds; ``None``: for ever.

    Raises:
        TypeError: ``templates`` is no environment.
        ValueError: ``prefix`` does not begin with a slash, or ends with one.
    """

    def __init__(
        self,
        templates: Templates,
        *,
        bus: ReactiveBus | None = None,
        index: DependencyIndex | None = None,
        secret: str | None = None,
        debug: bool = False,
        heartbeat: float = 15.0,
        prefix: str = "/_reactive",
        viewer_names: Iterable[str] = (),
        max_age: int | None = None,
    ) -> None:
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise ValueError(f"prefix is {prefix!r}: write it with a slash before and none after, as '/_reactive'")
        env = environment_of(templates)
        self.templates = templates if isinstance(templates, Jinja2Templates) else Jinja2Templates(env=env)
        self.bus = ReactiveBus() if bus is None else bus
        self.index = DependencyIndex(env) if index is None else index
        self.debug = debug
        self._heartbeat = heartbeat
        self._prefix = prefix
        self._route_name = f"reactive:{prefix}"
        self._viewer_names = frozenset(viewer_names)
        self._signer = Signer(secret, max_age)
        self._pages: dict[str, Page] = {}
        self._install_globals()

    # Wiring

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of this object, for Starlette."""
        return [Route(f"{self._prefix}/live", self._live, methods=["GET"], name=self._route_name)]

    @property
    def router(self) -> APIRouter:
        """The routes of this object, for FastAPI's ``include_router``.

        Raises:
            ReactiveError: FastAPI is not installed.
        """
        try:
            from .fastapi import router_of  # noqa: PLC0415 - FastAPI is optional
        except ModuleNotFoundError as error:
            raise ReactiveError(
                "reactive.router needs FastAPI, which is not installed: install starlette-reactive[fastapi], or use "
                "reactive.routes with Starlette"
            ) from error
        return router_of(self.routes)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:  # noqa: ARG002 - Starlette passes the application
        """End all streams when the application ends."""
        try:
            yield
        finally:
            self.bus.close()

    def _install_globals(self) -> None:
        @declare_reads()
        @pass_context
        def live(context: Context) -> Markup:
            return self._live_attributes(context)

        @declare_reads()
        @pass_context
        def live_origin(context: Context) -> Markup:
            return self._origin_attributes(context)

        env = self.templates.env
        env.globals.update(live=live, live_origin=live_origin)
        url_for = env.globals.get("url_for")
        if inspect.isfunction(url_for):
            declare_reads()(url_for)  # it takes the host and the routes from the request, and nothing of the viewer

    # Pages

    def page(
        self,
        template_name: str,
        *,
        scope: str,
        shared: bool = False,
        user: UserOf | None = None,
        exclude_blocks: Iterable[str] = (),
        wire: str = "htmx",
    ) -> Callable[[Endpoint], Endpoint]:
        """Make an endpoint that returns a context the page and its live updates; write it below the route decorator.

        A GET renders the page. Each change of the scope runs the endpoint again, as a request through the application,
        and sends the blocks that show the change. In the page, ``<div {{ live() }}></div>`` receives them.

        Args:
            template_name: The page's template.
            scope: Whose changes concern the page, with the endpoint's parameters in braces: ``"board:{board_id}"``.
            shared: Whether one run per change serves all viewers of a URL. It then has no cookie, no credentials and
                no other header of a viewer, and no live block may show what belongs to one.
            user: A function, or coroutine function, of the stream's request that gives the viewer's id, for audience
                and presence.
            exclude_blocks: Blocks that are not live, such as an editor that the browser manages.
            wire: What the page's client understands: ``"htmx"``, ``"datastar"`` or ``"turbo"``.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
            ViewerNameError: A live block of a shared page shows what belongs to a viewer, or may.
            ValueError: ``wire`` is unknown, or ``scope`` is empty.
        """
        if wire not in WIRES:
            raise ValueError(f"wire is {wire!r}: write one of {', '.join(map(repr, WIRES))}")
        if not scope:
            raise ValueError("scope is empty: it must name something, such as 'board:{board_id}'")
        index = self.index.sibling()
        index.register_elements(self.templates, template_name, exclude_blocks=exclude_blocks, unless_read=SINK_NAMES)

        def decorate(endpoint: Endpoint) -> Endpoint:
            page = Page(
                key=self._key_of(endpoint),
                template_name=template_name,
                scope_format=scope,
                shared=shared,
                user=user,
                wire=wire,
                index=index,
                bus=self.bus,
                templates=self.templates,
                debug=self.debug,
                heartbeat=self._heartbeat,
            )
            if shared:
                page.refuse_viewer_names(self._viewer_names)
            self._pages[page.key] = page
            return wrap_endpoint(endpoint, page.respond, first=self._cursor_parameter())

        return decorate

    def _key_of(self, endpoint: Endpoint) -> str:
        name = f"{getattr(endpoint, '__module__', '')}.{getattr(endpoint, '__qualname__', repr(endpoint))}"
        number = sum(1 for key in self._pages if key.partition("#")[0] == name)
        return f"{name}#{number}" if number else name

    def _cursor_parameter(self) -> dict[str, inspect.Parameter]:
        # FastAPI resolves parameters in order, so this one notes the cursor before dependencies read any data.
        if "fastapi" not in sys.modules:
            return {}
        from .fastapi import dependency  # noqa: PLC0415 - FastAPI is optional

        name = "reactive_cursor"
        return {name: dependency(name, lambda request: note_cursor(request, self.bus))}

    async def _live(self, request: Request) -> Response:
        visit = self._signer.read(request.query_params.get("page", ""))
        page = None if visit is None else self._pages.get(visit.page)
        if visit is None or page is None:
            return PlainTextResponse("This live URL is not valid here, or not any more.", status_code=403)
        return await page.stream(request, visit)

    # Streams and values

    def stream(self, template_name: str, *, scope: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Make an endpoint that returns a context builder the stream of a template's blocks.

        The blocks are those registered in :attr:`index`; if none of the template's is, those with ``sse-swap`` are.

        Args:
            template_name: The template.
            scope: Whose changes concern it, with the endpoint's parameters in braces.
            **options: Further arguments of :func:`reactive_stream`.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            ValueError: ``scope`` is empty.
        """
        if not scope:
            raise ValueError("scope is empty: it must name something, such as 'doc:{doc_id}'")
        if not any(ref.template_name == template_name for ref in self.index.blocks()):
            self.index.register_from_sse_swaps(self.templates, template_name)
        index = self.index.only(template_name)

        async def respond_with_stream(call: Call) -> Response:
            builder = await call.run()
            if isinstance(builder, Response):
                return builder
            try:
                name = scope.format_map(call.values)
            except KeyError as error:
                raise ReactiveError(
                    f"the scope {scope!r} names {error}, which is no parameter of the endpoint"
                ) from error
            return reactive_stream(
                self.bus,
                **{
                    "scope": name,
                    "index": index,
                    "context_builder": builder,
                    "templates": self.templates,
                    "debug": self.debug,
                    "heartbeat_interval": self._heartbeat,
                    "close_event": CLOSE_EVENT,
                    "origin": self.origin(call.request),
                    **options,
                },
            )

        return lambda endpoint: wrap_endpoint(endpoint, respond_with_stream)

    def html(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint return a ``Fragment``, ``OOB``, ``Action``, ``ValidationError``, ``str`` or ``dict``."""

        async def respond_with_html(call: Call) -> Response:
            return await respond_async(self.templates, call.request, await call.run())

        return wrap_endpoint(endpoint, respond_with_html)

    def response(self, request: Request, value: Any) -> Response:
        """Return the response for what an endpoint under :meth:`html` may return.

        Raises:
            ReactiveError: The environment is asynchronous; use :meth:`html` there.
            TypeError: There is no response for such a value.
        """
        return respond(self.templates, request, value)

    # Changes

    async def emit(
        self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[str] | None = None
    ) -> None:
        """Tell the viewers of a scope that context paths have new values; call it after the commit.

        Args:
            scope: The scope.
            *paths: The paths; ``"*"``: all.
            origin: Whose own change it is: :meth:`origin` of the request that made it.
            audience: Ids of the users whom it is for; ``None``: everybody.
        """
        await self.bus.emit(ChangeEvent(scope, paths, origin, audience))

    def emit_sync(
        self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[str] | None = None
    ) -> None:
        """Do as :meth:`emit` does, from any thread, without blocking."""
        self.bus.emit_sync(ChangeEvent(scope, paths, origin, audience))

    def origin(self, request: Request) -> str | None:
        """Return what marks the requests of the page that sent this one; ``None`` if it carries no mark."""
        return request.headers.get(_ORIGIN_HEADER) or None

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who is connected to a scope."""
        return self.bus.presence(scope)

    # What templates call

    def _live_attributes(self, context: Context) -> Markup:
        visit = self._visit(context, "live")
        page = self._pages[visit.page]
        request: Request = context["request"]
        try:
            path = request.app.url_path_for(self._route_name)
        except NoMatchFound as error:
            raise ReactiveError(
                "the application does not have the routes of this Reactive object: add "
                "app.include_router(reactive.router), or routes=[*reactive.routes, …] with Starlette",
                template=context.name,
            ) from error
        return _SINKS[page.wire](html.escape(f"{visit.root_path}{path}?page={self._signer.sign(visit)}"))

    def _origin_attributes(self, context: Context) -> Markup:
        headers = html.escape(json.dumps({_ORIGIN_HEADER: self._visit(context, "live_origin").origin}))
        # htmx 2 inherits the plain attribute; htmx 4 inherits only what says so.
        return Markup(f'hx-headers="{headers}" hx-headers:inherited="{headers}"')  # noqa: S704 - escaped above

    def _visit(self, context: Context, name: str) -> PageVisit:
        visit = current_visit(context.get("request"))
        if visit is None or visit.page not in self._pages:
            raise ReactiveError(
                f"{name}() is called in {context.name!r}, which is not being rendered by an endpoint under "
                "@reactive.page: decorate the endpoint, or leave the call out",
                template=context.name,
            )
        return visit


def _htmx_sink(url: str) -> Markup:
    return Markup(  # noqa: S704 - the URL is escaped
        f'hx-sse:connect="{url}" hx-sse:close="{CLOSE_EVENT}" hx-ext="sse" sse-connect="{url}" sse-swap="message" '
        f'sse-close="{CLOSE_EVENT}" hx-target="this" hx-swap="none" hx-trigger="load, every 10s" hx-sync="this:drop"'
    )


def _datastar_sink(url: str) -> Markup:
    return Markup(f"data-init=\"@get('{url}')\"")  # noqa: S704 - the URL is escaped


def _turbo_sink(url: str) -> Markup:
    return Markup(f'id="{SINK_ID}" src="{url}"')  # noqa: S704 - the URL is escaped


_SINKS = {"htmx": _htmx_sink, "datastar": _datastar_sink, "turbo": _turbo_sink}
