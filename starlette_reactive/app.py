"""Reactive: one object that wires an application."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.templating import Jinja2Templates

from ._answers.responses import respond, respond_async
from ._bus.bus import ReactiveBus, hub_of
from ._checks import AppDescription, DeclaredPage, Issue, check, check_contract_data, find_settings
from ._clients import CLOSE_EVENT, wire_named
from ._core.errors import ReactiveError
from ._core.events import ChangeEvent, ConnectionInfo, Health
from ._index.index import DependencyIndex, index_of_template, register_elements, registry_of, sibling_of
from ._inspector import Allow, Inspector, is_local
from ._pages.endpoints import Call, Decorated, Endpoint
from ._pages.page import SINK_NAMES, VIEWER_NAMES, Page, UserOf
from ._pages.scopes import check_scope_format, format_scope
from ._pages.site import Site, install_template_functions, origin_of
from ._pages.visits import Signer, cursor_parameter
from ._streams.groups import end_streams, finish_renders
from ._streams.live_response import ConnectionCallback
from ._streams.stream import reactive_stream
from ._templates.environments import Templates, environment_of

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["Reactive", "describe_app"]

logger: logging.Logger = logging.getLogger("starlette_reactive")


class Reactive:
    """Makes the pages of an application live.

    With FastAPI, ``app.include_router(reactive.router)``; with Starlette,
    ``Starlette(routes=[*reactive.routes, …], lifespan=reactive.lifespan)``.

    Args:
        templates: Starlette's ``Jinja2Templates``, or a Jinja environment.
        bus: The event bus. Defaults to a new in-memory bus.
        index: Which blocks show what, for :meth:`stream`, and the derived paths of all pages. Defaults to a new one.
        secret: Signs live URLs. Defaults to the environment variable ``REACTIVE_SECRET``, else to a random one, with a
            warning: streams of an older process or another worker then answer 403.
        debug: Whether a block that fails to render shows its error in the page.
        heartbeat: Seconds of silence after which a stream sends a comment.
        prefix: The path prefix of this object's routes.
        viewer_names: Context variables that belong to one viewer, in addition to the usual ones, such as ``user``.
        max_age: Seconds for which a live URL can be used. ``None`` means no limit.
        state_names: The lifespan state that updates of pages see in ``request.state``. They see nothing else there, so
            that middleware determines for each update who the viewer is.
        inspector: Whether to serve a page at ``/_reactive/inspector`` that shows what happens. It requires ``debug``.
            ``True`` answers this machine only; a function or coroutine function of the request decides for itself.

    Raises:
        TypeError: ``templates`` is not an environment.
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
            raise ValueError(
                f"prefix is {prefix!r}: write it with a leading slash and no trailing one, as '/_reactive'"
            )
        if inspector and not debug:
            raise ValueError(
                "inspector shows scopes, users and changes, so it is for development only: pass debug=True as well, "
                "or remove inspector"
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
        self._viewer_names = frozenset(viewer_names)
        self._state_names = frozenset(state_names)
        self._site = Site(Signer(secret, max_age, purpose=prefix), prefix)
        self._decorated = Decorated()
        self._stream_endpoints: list[Endpoint] = []
        self._contract_data: dict[str, Any] = {}
        install_template_functions(self.templates.env, self._site)
        self._inspector = self._make_inspector(is_local if inspector is True else inspector) if inspector else None

    # Wiring

    def _make_inspector(self, allow: Allow) -> Inspector:
        logger.warning(
            "the inspector is on, at %s/inspector: it shows scopes, users and changes to %s; it is for development",
            self._prefix,
            "this machine" if allow is is_local else "those that its function allows",
        )
        return Inspector(
            self.bus,
            self.index,
            functools.partial(describe_app, self),
            live_pages=lambda env, secret: Reactive(env, secret=secret, prefix="/own"),
            allow=allow,
        )

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of this object, for Starlette."""
        inspector = () if self._inspector is None else self._inspector.routes(f"{self._prefix}/inspector")
        return [self._site.route(self._live), *inspector]

    async def _live(self, request: Request) -> Response:
        return await self._site.stream(request)

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
        """Lifespan: check routes, connect, close streams on exit. With FastAPI, :attr:`router` includes it.

        Raises:
            TypeError: An endpoint's decorators are in the wrong order.
        """
        self._decorated.check_order(app)
        self.bus.start()
        try:
            async with nullcontext() if self._inspector is None else self._inspector.lifespan():
                yield
        finally:
            end_streams(hub_of(self.bus))  # first, so that browsers reconnect when the application is back
            self.bus.close()
            await finish_renders(hub_of(self.bus))  # they use what the application is about to close
            await anyio.to_thread.run_sync(self.bus.stop)

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
        """Make an endpoint that returns a context the page and its live updates. Write it below the route decorator.

        A GET renders the page. Each change of the scope runs the endpoint again, as a request through the application,
        and sends the blocks that show the change. In the page, ``<div {{ live() }}></div>`` receives them.

        Args:
            template_name: The page's template.
            scope: The scope whose changes concern the page, with the endpoint's parameters in braces:
                ``"board:{board_id}"``.
            shared: Whether one run per change serves all viewers of a URL. It then has no cookie, no credentials and
                no other header of a viewer, and no live block may read viewer data.
            user: A function or coroutine function of the stream's request that returns the viewer's user id, for
                audience and presence.
            exclude_blocks: Blocks that are not live, such as an editor that the browser manages.
            wire: The client in the page: ``"htmx"``, ``"datastar"`` or ``"turbo"``.
            on_connect: Called once as ``on_connect(scope, connection)`` when a viewer is counted; emit here what shows
                presence. It may be async.
            on_disconnect: Called once as ``on_disconnect(scope, connection)`` when a viewer is no longer counted,
                whatever ends the stream. It may be async.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` is not a block of the template.
            ViewerNameError: A live block of a shared page reads viewer data, or may read it.
            ValueError: ``wire`` is unknown, or ``scope`` is empty.
        """
        known_wire = wire_named(wire)
        check_scope_format(scope, "board:{board_id}")
        index = sibling_of(self.index)
        register_elements(index, self.templates, template_name, exclude_blocks=exclude_blocks, unless_read=SINK_NAMES)

        def decorate(endpoint: Endpoint) -> Endpoint:
            page = Page(
                owner=self._site,
                key=self._site.key_for(endpoint),
                template_name=template_name,
                scope_format=scope,
                shared=shared,
                user=user,
                wire=known_wire,
                index=index,
                registry=registry_of(index),
                hub=hub_of(self.bus),
                templates=self.templates,
                debug=self.debug,
                heartbeat=self._heartbeat,
                state_names=self._state_names,
                on_connect=on_connect,
                on_disconnect=on_disconnect,
            )
            if shared:
                page.refuse_viewer_names(self._viewer_names)
            self._site.add(page)

            return self._wrap(endpoint, page.respond, first=cursor_parameter(hub_of(self.bus)))

        return decorate

    def _wrap(self, endpoint: Endpoint, respond: Callable[[Call], Awaitable[Response]], **options: Any) -> Endpoint:
        return self._decorated.wrap(endpoint, respond, **options)

    # Streams and values

    def stream(self, template_name: str, *, scope: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Make an endpoint that returns a context builder the stream of a template's blocks.

        The blocks are those registered in :attr:`index`. If none of the template is, those with ``sse-swap`` are.

        Args:
            template_name: The template.
            scope: The scope whose changes concern it, with the endpoint's parameters in braces.
            **options: Further arguments of :func:`reactive_stream`.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            ValueError: ``scope`` is empty.
        """
        check_scope_format(scope, "doc:{doc_id}")
        if not any(ref.template_name == template_name for ref in self.index.blocks()):
            self.index.register_from_sse_swaps(self.templates, template_name)
        index = index_of_template(self.index, template_name)

        async def respond_with_stream(call: Call) -> Response:
            builder = await call.run()
            if isinstance(builder, Response):
                return builder
            name = format_scope(scope, call.values, what="the stream", template_name=template_name)
            defaults = {
                "templates": self.templates,
                "debug": self.debug,
                "heartbeat_interval": self._heartbeat,
                "close_event": CLOSE_EVENT,
                "origin": self.origin(call.request),
            }
            return reactive_stream(
                self.bus, **{"scope": name, "index": index, "context_builder": builder, **defaults, **options}
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
        """Notify the viewers of a scope that context paths have new values. Call it after the commit.

        Args:
            scope: The scope.
            *paths: The paths. ``"*"`` means all.
            origin: The mark of the tab that made the change: :meth:`origin` of its request.
            audience: The ids of the users that it is for. ``None`` means everybody.
        """
        await self.bus.emit(ChangeEvent(scope, paths, origin, audience))

    def emit_sync(
        self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[str] | None = None
    ) -> None:
        """Like :meth:`emit`, thread-safe and without blocking."""
        self.bus.emit_sync(ChangeEvent(scope, paths, origin, audience))

    def origin(self, request: Request) -> str | None:
        """Return the mark of the page that sent a request. ``None`` if it carries no mark.

        A mark has 1 to 64 letters, digits, hyphens and underscores. Anything else that a browser sends is none.
        """
        return origin_of(request)

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who is connected to a scope."""
        return self.bus.presence(scope)

    def health(self) -> Health:
        """Return the state of the bus's engine, for a health endpoint."""
        return self.bus.health()

    # Checks

    def check(self) -> list[Issue]:
        """Return what cannot work, or may not: in the templates, the live blocks, and what the application declares.

        Levels of categories are read from ``[tool.starlette-reactive]`` in the ``pyproject.toml`` of the working
        directory or above it.

        Raises:
            ReactiveError: A setting there is unknown.
        """
        return check(describe_app(self), find_settings(Path.cwd()))

    def set_contract_check_data(self, key: str, value: Any) -> None:
        """Declare what :meth:`check` cannot see by itself.

        Args:
            key: ``"reactive_emitted_paths"``: every path that is emitted; ``"reactive_audience_scopes"``: scopes of
                changes with an audience; ``"reactive_connection_scopes"``: scopes whose streams are given a
                :class:`ConnectionInfo`; ``"reactive_index"``: an index of its own.
            value: A set of strings; for ``"reactive_index"`` a :class:`DependencyIndex`.

        Raises:
            ValueError: The key is unknown.
            TypeError: The index is not a :class:`DependencyIndex`.
        """
        check_contract_data(key, value)
        self._contract_data[key] = value


def describe_app(reactive: Reactive) -> AppDescription:
    """Return the description that a check and the inspector read."""
    data = dict(reactive._contract_data)  # noqa: SLF001 - the door for the inner rooms
    declared = data.get("reactive_index")
    return AppDescription(
        environments=[reactive.templates.env],
        indexes=[reactive.index, *([declared] if declared not in (None, reactive.index) else [])],
        pages=[
            DeclaredPage(
                page.template_name, page.scope_format, page.shared, page.wire.name, page.index, page.user is not None
            )
            for page in reactive._site  # noqa: SLF001 - as above
        ],
        viewer_names=VIEWER_NAMES | reactive._viewer_names,  # noqa: SLF001 - as above
        sink_names=SINK_NAMES,
        data=data,
        endpoints=list(reactive._stream_endpoints),  # noqa: SLF001 - as above
    )
