"""Reactive: one object that wires an application."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

from ._bus.bus import ReactiveBus, hub_of
from ._checks import AppDescription, Issue, check, check_contract_data, find_settings
from ._core.errors import ReactiveError
from ._index.index import DependencyIndex
from ._inspector import Allow, Inspector, is_local
from ._pages.browser_session import BrowserSession
from ._pages.cookie_watch import CookieWatch
from ._pages.declaration import declare_page
from ._pages.endpoints import Decorated, Endpoint, is_method
from ._pages.first_run import FirstRun
from ._pages.other_endpoints import OtherEndpoints
from ._pages.page import SINK_NAMES, VIEWER_NAMES, PageSettings, UserOf
from ._pages.share import KeyOf
from ._pages.signer import Signer
from ._pages.site import Site
from ._pages.template_functions import install_template_functions
from ._pages.viewer_cookies import SiteCookies
from ._pages.visits import cursor_parameter
from ._streams.groups import end_streams, finish_renders
from ._streams.limits import StreamLimits
from ._streams.live_response import ConnectionCallback
from ._streams.presence import flush_presence
from ._templates.environments import Templates, jinja2_templates

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["Reactive", "describe_app"]


class Reactive(OtherEndpoints):
    """Makes the pages of an application live.

    With FastAPI, ``app.include_router(reactive.router)``; with Starlette,
    ``Starlette(routes=[*reactive.routes, …], lifespan=reactive.lifespan)``.

    Args:
        templates: Starlette's ``Jinja2Templates``, or a Jinja environment.
        bus: The event bus. Defaults to a new in-memory bus.
        index: Which blocks show what, for :meth:`stream`, and the derived paths of all pages. Defaults to a new one.
        secret: Signs live URLs: at least 16 characters, or several such secrets, of which the first signs and all
            verify. Defaults to the environment variable ``REACTIVE_SECRET``, which holds one, else to a random one,
            with a warning unless ``debug`` keeps it: streams of an older process or another worker then answer 403.
        debug: For development: a block that fails shows its error in the page, findings of the check appear in the log
            and in the browser's console, and a secret is kept in the folder ``.reactive`` if none is set.
        heartbeat: Seconds of silence after which a stream sends a heartbeat.
        prefix: The path prefix of this object's routes.
        viewer_names: Context variables that belong to one viewer, in addition to the usual ones, such as ``user``.
        parents: Templates that a value may name: ``{"layout": ["a.html"]}``. See :func:`~.templates.declare_parents`.
        max_age: Seconds for which a live URL can be used. A page that is open renews its own: it can come back for as
            long, or for 30 days if that is more, after the last id that its stream sent. ``None`` means no limit.
        state_names: The lifespan state that updates of pages see in ``request.state``. They see nothing else there, so
            that middleware determines for each update who the viewer is.
        app_name: The application's name. Live URLs of applications with another name are not valid, even if they have
            the same secret, as those of a staging system may.
        app: What the server calls, if that is not the Starlette or FastAPI application that has the routes: a wrapper
            around it, or an application that it is mounted in. Updates run through it. It can also be set later, as
            ``reactive.app``.
        live_path: The path of a page's stream below the page's own path, such as ``"/live"``, so that rules for paths
            cover both. Include the routes before any route that matches every path. Defaults to one path for all.
        update_timeout: Seconds that an update may take, and seconds that it may wait until others have ended.
        max_streams: How many streams of pages may be open in this process; more are answered 503. ``None``: no limit.
        max_streams_per_user: How many of one user, as ``user=`` of the page returns it.
        max_streams_per_address: How many of one client address. Behind a proxy, let the server read the client's
            address from its headers first.
        session_cookie: The name of the cookie by which :meth:`end_session` recognises a browser. ``None`` sets none.
        one_time_cookies: The names of cookies that can be used once, such as refresh tokens. Updates do not carry them,
            except for the one that admits a viewer, whose cookies reach the browser.
        inspector: Whether to serve a page at ``/_reactive/inspector`` that shows what happens. It requires ``debug``.
            ``True`` answers this machine only; a function or coroutine function of the request decides for itself.

    Raises:
        TypeError: ``templates`` is not an environment, or a secret is not a string.
        ValueError: ``prefix`` or ``live_path`` does not begin with a slash, or ends with one; a secret is too short;
            ``max_age``, ``update_timeout`` or a limit is not positive; or ``inspector`` without ``debug``.
    """

    def __init__(
        self,
        templates: Templates,
        *,
        bus: ReactiveBus | None = None,
        index: DependencyIndex | None = None,
        secret: str | Sequence[str] | None = None,
        debug: bool = False,
        heartbeat: float = 15.0,
        prefix: str = "/_reactive",
        viewer_names: Iterable[str] = (),
        parents: Mapping[str, Iterable[str]] | None = None,
        max_age: int | None = 86_400,
        state_names: Iterable[str] = (),
        app_name: str | None = None,
        app: ASGIApp | None = None,
        live_path: str | None = None,
        update_timeout: float = 30.0,
        max_streams: int | None = 10_000,
        max_streams_per_user: int | None = 100,
        max_streams_per_address: int | None = None,
        session_cookie: str | None = "reactive_session",
        one_time_cookies: Iterable[str] = (),
        inspector: bool | Allow = False,
    ) -> None:
        if inspector and not debug:
            raise ValueError(
                "inspector shows scopes, users and changes, so it is for development only: pass debug=True as well, "
                "or remove inspector"
            )
        signer = Signer(secret, max_age, purpose=prefix, app_name=app_name, keep_in=Path.cwd() if debug else None)
        super().__init__(ReactiveBus() if bus is None else bus, BrowserSession(signer, session_cookie))
        self.templates: Jinja2Templates = jinja2_templates(templates, parents)
        self.index: DependencyIndex = DependencyIndex(self.templates.env) if index is None else index
        self.debug = debug
        self._heartbeat = heartbeat
        self._prefix = prefix
        self._viewer_names = frozenset(viewer_names)
        cookies = SiteCookies(CookieWatch(hub_of(self.bus)), session_cookie, one_time_cookies)
        self._site = Site(signer, prefix, live_path, self._sessions, cookies, hub_of(self.bus))
        self._site.app = app
        self._site.first_run = FirstRun(prefix, self.check, self._site.scopes) if debug else None
        self._page_settings = PageSettings(
            hub=hub_of(self.bus),
            templates=self.templates,
            debug=debug,
            heartbeat=heartbeat,
            state_names=frozenset(state_names),
            update_timeout=update_timeout,
            limits=StreamLimits(max_streams, max_streams_per_user, max_streams_per_address),
            sessions=self._sessions,
            cookies=self._site.cookies,
            databases=self._databases,
        )
        self._decorated = Decorated()
        self._stream_endpoints: list[Endpoint] = []
        self._contract_data: dict[str, Any] = {}
        install_template_functions(self.templates.env, debug=debug)
        self._inspector = self._make_inspector(is_local if inspector is True else inspector) if inspector else None

    # Wiring

    def _make_inspector(self, allow: Allow) -> Inspector:
        return Inspector(
            self.bus,
            self.index,
            functools.partial(describe_app, self),
            live_pages=lambda env, secret: Reactive(env, secret=secret, prefix="/own"),
            allow=allow,
            path=f"{self._prefix}/inspector",
        )

    @property
    def app(self) -> ASGIApp | None:
        """What the server calls. ``None`` means the application that has the routes."""
        return self._site.app

    @app.setter
    def app(self, app: ASGIApp | None) -> None:
        self._site.app = app

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of this object, for Starlette."""
        inspector = () if self._inspector is None else self._inspector.routes()
        return [*self._site.routes(self._live), *inspector]

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
            TypeError: An endpoint's decorators are in the wrong order, FastAPI cannot find out its parameters, or the
                route of a page is not for GET alone.
            ReactiveError: Another Reactive object of the application has the same path for its streams, or nothing
                updates a page: it has no scope, and no database is tracked.
        """
        self._site.check_scopes()
        self._decorated.check_routes(app)
        self._site.check_path(app)
        self.bus.start()
        inspecting = nullcontext() if self._inspector is None else self._inspector.lifespan()
        try:
            async with self._site.reporting(self.bus), inspecting:
                yield
        finally:
            end_streams(hub_of(self.bus))  # first, so that browsers reconnect when the application is back
            self.bus.close()
            flush_presence(hub_of(self.bus))
            await finish_renders(hub_of(self.bus))  # they use what the application is about to close
            await anyio.to_thread.run_sync(self.bus.stop)

    # Pages

    def page(
        self,
        template_name: str,
        *,
        scope: str | Sequence[str] | None = None,
        tracked: bool = True,
        shared: bool = False,
        share: KeyOf | None = None,
        recheck: float | None = None,
        share_audit: float | None = None,
        user: UserOf | None = None,
        exclude_blocks: Iterable[str] = (),
        wire: str = "htmx",
        on_connect: ConnectionCallback | None = None,
        on_disconnect: ConnectionCallback | None = None,
        compress: bool | None = None,
        uncompressed: Iterable[str] = (),
        deferred: Iterable[str] = (),
    ) -> Callable[[Endpoint], Endpoint]:
        """Make an endpoint that returns a context the page and its live updates. Write it below the route decorator.

        A GET renders the page. Each change of a scope, and each commit that changes what the page has read from a
        database that is tracked, runs the endpoint again, as a request through the application,
        and sends the blocks that show the change. In the page, ``<div {{ live() }}></div>`` receives them.

        Args:
            template_name: The page's template.
            scope: The scope whose changes concern the page, with parameters of the endpoint or ``request`` in braces:
                ``"board:{board_id}"``. Or a list of scopes. Not needed for what the page reads from a database that
                :meth:`track` tracks.
            tracked: Whether the page is live because of what it reads from these databases.
            shared: Whether one run per change serves all viewers of a URL. It then has no cookie, no credentials and
                no other header of a viewer, and no live block may read viewer data.
            share: A function or coroutine function of a viewer's request that returns a hashable key, such as a role or
                a tuple of a tenant and a language. Viewers of one URL with an equal key share one run and one render
                per change, of all blocks that read no viewer data. ``None`` as the key, or an ``HTTPException``,
                ends the stream. It is called when a stream connects and again before it is sent anything.
            recheck: Seconds for which a key stays valid. Defaults to 0, or 10 if ``share`` is a coroutine function.
            share_audit: The part of the updates, from 0 to 1, that also run for a second viewer of the same key to
                compare what they render. Defaults to 0.01, or 1 in debug mode.
            user: A function or coroutine function of a request that returns the viewer's user id, for audience and
                presence. It is called when a stream connects and, unless the page is shared, at each update.
            exclude_blocks: Blocks that are not live, such as an editor that the browser manages.
            wire: The client in the page: ``"htmx"``, ``"datastar"`` or ``"turbo"``.
            on_connect: Called once for each scope as ``on_connect(scope, connection)`` when a viewer is counted; emit
                here what shows presence. It may be async.
            on_disconnect: Called once for each scope as ``on_disconnect(scope, connection)`` when a viewer is no longer
                counted, whatever ends the stream. It may be async.
            compress: Whether streams are compressed, for browsers that accept gzip. Defaults to ``shared``. Where a
                block shows a secret beside what others have written, its length tells something about the secret.
            uncompressed: Live blocks that are sent as they are, even in a compressed stream.
            deferred: Variables for which the endpoint returns a function, perhaps asynchronous, that takes long. The
                page does not wait for it: ``{% if NAME is deferred %}`` is true there, and the stream brings the
                blocks that show the value that the function returns.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: A name in ``exclude_blocks`` or ``uncompressed`` is not such a block of the template.
            ViewerNameError: A live block of a shared page reads viewer data, or may read it.
            TypeError: An argument has the wrong type, or what is decorated cannot be an endpoint, such as a class.
            ValueError: ``wire`` is unknown, ``scope`` is empty, no live block shows a value in ``deferred``, or
                arguments contradict each other.
        """
        declare = declare_page(
            self._site,
            self._page_settings,
            self.index,
            self._viewer_names,
            template_name,
            scope=scope,
            tracked=tracked,
            shared=shared,
            share=share,
            recheck=recheck,
            share_audit=share_audit,
            user=user,
            exclude_blocks=exclude_blocks,
            wire=wire,
            on_connect=on_connect,
            on_disconnect=on_disconnect,
            compress=compress,
            uncompressed=uncompressed,
            deferred=deferred,
        )

        def decorate(endpoint: Endpoint) -> Endpoint:
            page = declare(endpoint)
            first = cursor_parameter(hub_of(self.bus), is_first=not is_method(endpoint))
            wrapped = self._decorated.wrap(endpoint, page.respond, first=first)
            self._site.add(page, wrapped)
            return wrapped

        return decorate

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
            key: ``"reactive_emitted_paths"``, ``"reactive_emitted_scopes"``: all that are emitted;
                ``"reactive_audience_scopes"``: scopes of changes with an audience; ``"reactive_connection_scopes"``:
                scopes whose streams are given a :class:`ConnectionInfo`; ``"reactive_index"``: an index of its own.
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
        pages=[page.described for page in reactive._site],  # noqa: SLF001 - as above
        viewer_names=VIEWER_NAMES | reactive._viewer_names,  # noqa: SLF001 - as above
        sink_names=SINK_NAMES,
        data=data,
        endpoints=list(reactive._stream_endpoints),  # noqa: SLF001 - as above
        context_processors=reactive.templates.context_processors,
    )
