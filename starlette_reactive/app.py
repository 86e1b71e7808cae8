"""Reactive: one object that wires an application."""

from __future__ import annotations

import html
import inspect
import json
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.templating import Jinja2Templates

from ._answers.responses import respond, respond_async
from ._bus.bus import ReactiveBus, hub_of
from ._checks import CONTRACT_KEYS, DeclaredPage, Issue, Subject, check, find_settings
from ._clients import CLOSE_EVENT, wire_named
from ._core.errors import ReactiveError
from ._core.events import ChangeEvent, ConnectionInfo, Health
from ._index.index import DependencyIndex, index_of_template, register_elements, sibling_of
from ._inspector import Allow, Inspector, is_local
from ._pages.endpoints import Call, Endpoint, wrap_endpoint
from ._pages.mounts import is_mounted, path_in, root_of, routes_of
from ._pages.page import SINK_NAMES, VIEWER_NAMES, Page, UserOf, current_visit, forget_cursor, note_cursor
from ._pages.visits import PageVisit, Signer
from ._streams.groups import end_streams, finish_renders
from ._streams.live_response import ConnectionCallback
from ._streams.stream import reactive_stream
from ._templates import declare_reads
from ._templates.environments import Templates, environment_of

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["Reactive"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_ORIGIN_HEADER = "Reactive-Origin"
_OWNER = "starlette_reactive.owner"


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
        state_names: What a lifespan puts into ``request.state``, for the updates of pages to have it too. They get
            nothing else from there, so middleware finds out afresh for each update who the viewer is.
        inspector: Whether there is a page at ``/_reactive/inspector`` that shows what happens; only with ``debug``. It
            answers this machine alone; or whom a function of the request, which may be a coroutine function, lets in.

    Raises:
        TypeError: ``templates`` is no environment.
        ValueError: ``prefix`` does not begin with a slash, or ends with one; or ``inspector`` without ``debug``.
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
        state_names: Iterable[str] = (),
        inspector: bool | Allow = False,
    ) -> None:
        if not prefix.startswith("/") or prefix.endswith("/"):
            raise ValueError(f"prefix is {prefix!r}: write it with a slash before and none after, as '/_reactive'")
        if inspector and not debug:
            raise ValueError(
                "inspector shows scopes, users and changes, so it is for development only: pass debug=True as well, "
                "or leave inspector out"
            )
        env = environment_of(templates)
        self.templates: Jinja2Templates = (
            templates if isinstance(templates, Jinja2Templates) else Jinja2Templates(env=env)
        )
        self.bus: ReactiveBus = ReactiveBus() if bus is None else bus
        self.index: DependencyIndex = DependencyIndex(env) if index is None else index
        self.debug = debug
        self._heartbeat = heartbeat
        self._prefix = prefix
        self._route_name = f"reactive:{prefix}:{secrets.token_hex(4)}"  # several may be in one application
        self._viewer_names = frozenset(viewer_names)
        self._state_names = frozenset(state_names)
        self._signer = Signer(secret, max_age, purpose=prefix)
        self._pages: dict[str, Page] = {}
        self._stream_endpoints: list[Endpoint] = []
        self._contract_data: dict[str, Any] = {}
        self._undecorated: dict[Endpoint, Endpoint] = {}
        self._warned_of_middleware = False
        self._install_globals()
        self._inspector = self._inspected_by(is_local if inspector is True else inspector) if inspector else None

    # Wiring

    def _inspected_by(self, allow: Allow) -> Inspector:
        logger.warning(
            "the inspector is on, at %s/inspector: it shows scopes, users and changes to %s; it is for development",
            self._prefix,
            "this machine" if allow is is_local else "whom its function lets in",
        )
        return Inspector(
            self.bus,
            self.index,
            self.subject,
            live_pages=lambda env, secret: Reactive(env, secret=secret, prefix="/own"),
            allow=allow,
        )

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of this object, for Starlette."""
        live = Route(f"{self._prefix}/live", self._live, methods=["GET"], name=self._route_name)
        return [live, *(() if self._inspector is None else self._inspector.routes(f"{self._prefix}/inspector"))]

    @property
    def router(self) -> APIRouter:
        """The routes of this object, for FastAPI's ``include_router``.

        Raises:
            ReactiveError: FastAPI is not installed.
        """
        try:
            from ._pages.fastapi import router_of  # noqa: PLC0415 - FastAPI is optional
        except ModuleNotFoundError as error:
            raise ReactiveError(
                "reactive.router needs FastAPI, which is not installed: install starlette-reactive[fastapi], or use "
                "reactive.routes with Starlette"
            ) from error
        return router_of(self.routes, self.lifespan)

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """Look at the wiring and connect to the engine when the application starts, and end all streams when it ends.

        With FastAPI, :attr:`router` brings it along.

        Raises:
            TypeError: An endpoint's decorators are in the wrong order.
        """
        self._check_order_of_decorators(app)
        self.bus.start()
        try:
            async with nullcontext() if self._inspector is None else self._inspector.lifespan():
                yield
        finally:
            end_streams(hub_of(self.bus))  # first, so that browsers come back when the application does
            self.bus.close()
            await finish_renders(hub_of(self.bus))  # they use what the application is about to close
            await anyio.to_thread.run_sync(self.bus.stop)

    def _check_order_of_decorators(self, app: Any) -> None:
        for route in routes_of(app):
            endpoint = getattr(route, "endpoint", None)
            if inspect.isroutine(endpoint) and endpoint in self._undecorated:
                raise TypeError(
                    f"the route {getattr(route, 'path', '')!r} has the endpoint {endpoint.__qualname__} without what "
                    "makes it live: write the route's decorator above the one of the Reactive object, not below it"
                )

    def _install_globals(self) -> None:
        @declare_reads()
        @pass_context
        def live(context: Context) -> Markup:
            return _owner(context, self).sink(context)

        @declare_reads()
        @pass_context
        def live_origin(context: Context) -> Markup:
            return _owner(context, self).origin_mark(context)

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
        on_connect: ConnectionCallback | None = None,
        on_disconnect: ConnectionCallback | None = None,
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
            on_connect: Called once as ``on_connect(scope, connection)`` when a viewer is counted in, for presence that
                is live: emit there what shows it. It may be async.
            on_disconnect: Called once as ``on_disconnect(scope, connection)`` when a viewer is counted out, whatever
                ends the stream; it may be async.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
            ViewerNameError: A live block of a shared page shows what belongs to a viewer, or may.
            ValueError: ``wire`` is unknown, or ``scope`` is empty.
        """
        wire_named(wire)
        if not scope:
            raise ValueError("scope is empty: it must name something, such as 'board:{board_id}'")
        index = sibling_of(self.index)
        register_elements(index, self.templates, template_name, exclude_blocks=exclude_blocks, unless_read=SINK_NAMES)

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
                state_names=self._state_names,
                on_connect=on_connect,
                on_disconnect=on_disconnect,
            )
            if shared:
                page.refuse_viewer_names(self._viewer_names)
            self._pages[page.key] = page

            async def respond_with_page(call: Call) -> Response:
                call.request.scope[_OWNER] = self
                return await page.respond(call)

            return self._wrap(endpoint, respond_with_page, first=self._cursor_parameter())

        return decorate

    def _key_of(self, endpoint: Endpoint) -> str:
        name = f"{getattr(endpoint, '__module__', '')}.{getattr(endpoint, '__qualname__', repr(endpoint))}"
        number = sum(1 for key in self._pages if key.partition("#")[0] == name)
        return f"{name}#{number}" if number else name

    def _cursor_parameter(self) -> dict[str, inspect.Parameter]:
        # FastAPI resolves parameters in order, so this one notes the cursor before dependencies read any data.
        if "fastapi" not in sys.modules:
            return {}
        from ._pages.fastapi import dependency, has_dependencies_before  # noqa: PLC0415 - FastAPI is optional

        def note(request: Request) -> None:
            if has_dependencies_before(request):
                forget_cursor(request)
            else:
                note_cursor(request, self.bus)

        name = "reactive_cursor"
        return {name: dependency(name, note)}

    def _wrap(self, endpoint: Endpoint, respond: Callable[[Call], Awaitable[Response]], **options: Any) -> Endpoint:
        wrapped = wrap_endpoint(endpoint, respond, **options)
        self._undecorated[endpoint] = wrapped
        return wrapped

    async def _live(self, request: Request) -> Response:
        visit = self._signer.read(request.query_params.get("page", ""))
        page = None if visit is None else self._pages.get(visit.page)
        if visit is None or page is None:
            return PlainTextResponse("This live URL is not valid here, or not any more.", status_code=403)
        if is_mounted(request):
            self._warn_of_middleware(request)
        return await page.stream(request, visit, root_of(request, self._route_name, visit.root_path))

    def _warn_of_middleware(self, request: Request) -> None:
        if not self._warned_of_middleware:
            self._warned_of_middleware = True
            logger.warning(
                "the routes of Reactive are in an application that is mounted at %r, so updates of its pages do not "
                "run the middleware of the applications around it; put the routes into the outermost application if "
                "that middleware decides who may see a page",
                request.scope["root_path"],
            )

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
        index = index_of_template(self.index, template_name)

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

        def decorate(endpoint: Endpoint) -> Endpoint:
            self._stream_endpoints.append(endpoint)
            return self._wrap(endpoint, respond_with_stream)

        return decorate

    def html(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint return a ``Fragment``, ``OOB``, ``Action``, ``ValidationError``, ``str`` or ``dict``."""

        async def respond_with_html(call: Call) -> Response:
            return await respond_async(self.templates, call.request, await call.run())

        return self._wrap(endpoint, respond_with_html)

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

    def health(self) -> Health:
        """Return how things stand with the bus's engine; of use to a health endpoint."""
        return self.bus.health()

    # Checks

    def check(self) -> list[Issue]:
        """Return what can't work, or may not: in the templates, the live blocks, and what the application declares.

        Levels of categories are read from ``[tool.starlette-reactive]`` in the ``pyproject.toml`` of the working
        directory or above it.

        Raises:
            ReactiveError: A setting there is unknown.
        """
        return check(self.subject(), find_settings(Path.cwd()))

    def set_contract_check_data(self, key: str, value: Any) -> None:
        """Tell :meth:`check` what it cannot see by itself.

        Args:
            key: ``"reactive_emitted_paths"``: every path that is emitted; ``"reactive_audience_scopes"``: scopes of
                changes with an audience; ``"reactive_connection_scopes"``: scopes whose streams are given a
                :class:`ConnectionInfo`; ``"reactive_index"``: an index of its own.
            value: A set of strings; for ``"reactive_index"`` a :class:`DependencyIndex`.

        Raises:
            ValueError: The key is unknown.
            TypeError: The index is none.
        """
        if key not in CONTRACT_KEYS:
            raise ValueError(
                f"there is no contract check data {key!r}: write one of {', '.join(sorted(CONTRACT_KEYS))}"
            )
        if key == "reactive_index" and not isinstance(value, DependencyIndex):
            raise TypeError(f"reactive_index is a DependencyIndex, not {type(value).__name__}")
        self._contract_data[key] = value

    def subject(self) -> Subject:
        """Return what :meth:`check` looks at."""
        declared = self._contract_data.get("reactive_index")
        return Subject(
            environments=[self.templates.env],
            indexes=[self.index, *([declared] if declared not in (None, self.index) else [])],
            pages=[
                DeclaredPage(
                    page.template_name, page.scope_format, page.shared, page.wire, page.index, page.user is not None
                )
                for page in self._pages.values()
            ],
            viewer_names=VIEWER_NAMES | self._viewer_names,
            sink_names=SINK_NAMES,
            data=dict(self._contract_data),
            endpoints=list(self._stream_endpoints),
        )

    # What templates call

    def sink(self, context: Context) -> Markup:
        """Return the attributes of the element that receives a page's updates: ``live()`` in templates."""
        visit = self._visit(context, "live")
        page = self._pages[visit.page]
        path = path_in(context["request"], self._route_name)
        if path is None:
            raise ReactiveError(
                "the application does not have the routes of this Reactive object: add "
                "app.include_router(reactive.router), or routes=[*reactive.routes, …] with Starlette",
                template=context.name,
            )
        url = html.escape(f"{visit.root_path}{path}?page={self._signer.sign(visit)}")
        return Markup(wire_named(page.wire).sink_attributes(url, visit.origin))  # noqa: S704 - the URL is escaped

    def origin_mark(self, context: Context) -> Markup:
        """Return the attributes that mark a page's own requests: ``live_origin()`` in templates."""
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


def _owner(context: Context, default: Reactive) -> Reactive:
    """Return the object that a page belongs to, for several may share one environment."""
    request = context.get("request")
    owner = None if request is None else request.scope.get(_OWNER)
    return owner if isinstance(owner, Reactive) else default
