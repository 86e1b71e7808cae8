"""The live pages of one Reactive object: which there are, their sinks, and the route of their streams."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

from .._bus.bus import ReactiveBus
from .._bus.hub import Hub
from .._clients import CLOSE_EVENT, Client, Sink
from .._clients.htmx import sink_selector
from .._core.callables import name_of
from .._core.errors import ReactiveError
from .._streams.event_ids import EventId
from .._streams.response import EventStream
from .browser_session import BrowserSession
from .endpoint_kinds import PAGE
from .endpoints import Endpoint
from .first_run import FirstRun
from .held_answer import held_answer
from .mounts import is_below_mount, is_mounted, path_in, routes_with_path_of, served_app
from .page import Page
from .page_stream import open_stream
from .scripts import script_routes
from .signer import Signer
from .update import REFUSALS
from .viewer_cookies import SiteCookies
from .visits import Visit, note_beginning

__all__ = ["Site"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_ROUTE_NAME = "reactive:"
_DIGEST_LENGTH = 16  # of a page and path, in characters of 6 bits


class Site:
    """The live pages of one Reactive object.

    Args:
        signer: Signs the live URLs.
        prefix: The path prefix of the routes.
        live_path: The path of a page's stream below the page's own path. ``None`` means that all streams have one path,
            below the prefix.
        sessions: Recognises browsers.
        cookies: What is known of the application's cookies.
        hub: The event bus.

    Raises:
        ValueError: ``prefix`` or ``live_path`` does not begin with a slash, or ends with one.
    """

    def __init__(
        self,
        signer: Signer,
        prefix: str,
        live_path: str | None,
        sessions: BrowserSession,
        cookies: SiteCookies,
        hub: Hub,
    ) -> None:
        for name, path in (("prefix", prefix), ("live_path", live_path)):
            if path is not None and (not path.startswith("/") or path.endswith("/")):
                raise ValueError(f"{name} is {path!r}: write it with a leading slash and no trailing one, as '/live'")
        self.sessions = sessions
        self.cookies = cookies
        self._signer = signer
        self._hub = hub
        self._prefix = prefix
        self._live_path = live_path
        self._route_name = f"{_ROUTE_NAME}{prefix}:{secrets.token_hex(4)}"  # an application may have several
        self._pages: dict[str, Page] = {}
        self._has_looked_for_wrapper = False
        self.app: ASGIApp | None = None
        self.first_run: FirstRun | None = None
        self.stream_scopes: list[str] = []

    # Pages

    def __iter__(self) -> Iterator[Page]:
        return iter(self._pages.values())

    def add(self, page: Page, endpoint: Endpoint) -> None:
        """Add a page and note it at the endpoint that routes have."""
        self._pages[page.key] = page
        vars(endpoint)[PAGE] = page

    def key_for(self, endpoint: Endpoint) -> str:
        """Return a key for the page of an endpoint. It is the same in every process."""
        name = name_of(endpoint)
        number = sum(1 for key in self._pages if key.partition("#")[0] == name)
        return f"{name}#{number}" if number else name

    def scopes(self) -> list[str]:
        """Return the scopes of the pages and streams, with parameters in braces."""
        return [*self.stream_scopes, *(scope for page in self for scope in page.described.scopes)]

    def reporting(self, bus: ReactiveBus) -> AbstractAsyncContextManager[None]:
        """Report what debug mode finds by itself, while the application runs."""
        return nullcontext() if self.first_run is None else self.first_run.lifespan(bus)

    # The route

    def routes(self, endpoint: Endpoint) -> list[Route]:
        """Return the routes of the streams and of the scripts.

        Args:
            endpoint: Calls :meth:`stream`. It is a method of the object that the route leads back to, for discovery.
        """
        paths = [f"{self._prefix}/live"]
        if self._live_path is not None:
            paths = [self._live_path, f"/{{page_path:path}}{self._live_path}"]
        streams = [Route(path, endpoint, methods=["GET"], name=self._route_name) for path in paths]
        findings = () if self.first_run is None else self.first_run.routes()
        return [*streams, *findings, *script_routes(self._prefix)]

    def check_path(self, app: Any) -> None:
        """Check that no other Reactive object of an application has the same path for its streams.

        Raises:
            ReactiveError: One has.
        """
        others = routes_with_path_of(app, self._route_name) - {self._route_name}
        if any(name.startswith(_ROUTE_NAME) for name in others):
            argument = f"prefix={self._prefix!r}" if self._live_path is None else f"live_path={self._live_path!r}"
            raise ReactiveError(
                f"two Reactive objects of the application have {argument}, so one of them would answer 403 to the "
                "streams of the other: use one object for all pages, or give each its own"
            )

    def check_scopes(self) -> None:
        """Check that something updates each page.

        Raises:
            ReactiveError: A page has no scope, and no database is tracked.
        """
        for page in self:
            if not page.scope_formats and not page.is_tracked:
                raise ReactiveError(
                    f"the page {page.key} has no scope=, and no database is tracked, so nothing would update it: give "
                    "it scope=, or call reactive.track(engine)",
                    template=page.template_name,
                )

    async def stream(self, request: Request) -> Response:
        """Answer the request of a live URL.

        Raises:
            ReactiveError: Updates would skip the applications around the one that has the routes.
        """
        if (held := held_answer(request.scope, self.cookies.watch)) is not None:
            held.has_reached_streams = True
        visit, page = self._visited(request)
        if visit is None or page is None:
            text = "This live URL is not valid here, or no longer valid."
            return PlainTextResponse(text, status_code=403, headers={"X-Content-Type-Options": "nosniff"})
        if self.app is None and is_mounted(request):
            raise self._mounted_error(request.scope["root_path"])
        self._look_for_wrapper(request)
        app = self.app or request.app
        try:
            return await open_stream(page, request, visit, app, visit.root_path, self._signer.renewal(visit))
        except HTTPException as refusal:  # from user= of the page
            if refusal.status_code not in REFUSALS:
                raise
            return EventStream([_closing(visit, page.wire.client(request.scope))])

    def note_beginning(self, asgi_scope: Scope) -> None:
        """Record the position in the change log when a request begins."""
        note_beginning(asgi_scope, self._hub)

    def stream_of(self, connection: HTTPConnection) -> tuple[Client, bytes, str] | None:
        """Return the client of a stream, what keeps it from coming back, and the mark of its page.

        ``None`` if the request is not for a stream.
        """
        path: str = connection.scope["path"]
        if not path.endswith(self._live_path or f"{self._prefix}/live"):
            return None
        visit, page = self._visited(connection)
        if visit is None or page is None:
            return None
        client = page.wire.client(connection.scope)
        return client, _closing(visit, client), visit.origin

    def _visited(self, connection: HTTPConnection) -> tuple[Visit | None, Page | None]:
        """Return the visit that the URL of a stream is for, and its page, if the URL is valid."""
        visit = self._signer.read(connection.query_params.get("page", ""), EventId.requested(connection.scope).renewal)
        page = None if visit is None else self._pages.get(visit.page)
        if visit is None or page is None or not self._is_path_of(connection, visit):
            return None, None
        return visit, page

    def _is_path_of(self, connection: HTTPConnection, visit: Visit) -> bool:
        if self._live_path is None:
            return True
        path: str = connection.scope["path"]
        return path == unquote(visit.raw_path).rstrip("/") + self._live_path

    def _look_for_wrapper(self, request: Request) -> None:
        if self.app is not None or self._has_looked_for_wrapper:
            return
        self._has_looked_for_wrapper = True
        served = served_app(request)
        if served is not None and served is not request.app:
            logger.warning(
                "the server calls %s, which wraps the application of the live pages, and updates skip it: set "
                "reactive.app to what the server calls, or to the application itself if the wrapper guards nothing",
                type(served).__qualname__,
            )

    def _mounted_error(self, where: str, template: str | None = None) -> ReactiveError:
        return ReactiveError(
            f"the routes of this Reactive object are in an application that is mounted at {where!r}, so updates would "
            "skip the middleware of the applications around it: set reactive.app to the outermost application, or move "
            "the routes there",
            template=template,
        )

    # The sink

    def sink_attributes(self, visit: Visit, request: Request, template_name: str | None) -> str:
        """Return the attributes of the element that receives a page's updates.

        Args:
            visit: The visit that the page is rendered for.
            request: Its request.
            template_name: The template that asks for them, for error messages.

        Raises:
            ReactiveError: The application lacks the routes, or updates would skip the applications around it.
        """
        token = self._signer.sign(visit)
        path = path_in(request, self._route_name) if self._live_path is None else self._path_below(request, visit)
        if path is None:
            raise ReactiveError(
                "the application does not have the routes of this Reactive object: add "
                "app.include_router(reactive.router), or routes=[*reactive.routes, …] with Starlette",
                template=template_name,
            )
        if self.app is None and is_below_mount(request, self._route_name):
            raise self._mounted_error(request.scope.get("root_path", ""), template_name)
        url = f"{visit.root_path.rstrip('/')}{path}?page={token}"
        page = self._pages[visit.page]
        sink = Sink(url, visit.origin, page.target_ids, page.settings.heartbeat, self._digest_of(visit))
        return page.wire.sink_attributes(sink)

    def _digest_of(self, visit: Visit) -> str:
        """Return what the visits of one page and path have in common, whatever their queries are."""
        path = json.dumps([visit.page, visit.root_path, visit.raw_path])
        return self._signer.digest(f"page {path}")[:_DIGEST_LENGTH]

    def _path_below(self, request: Request, visit: Visit) -> str | None:
        if path_in(request, self._route_name) is None:
            return None
        return visit.raw_path.removeprefix(visit.root_path).rstrip("/") + str(self._live_path)


def _closing(visit: Visit, client: Client) -> bytes:
    """Return what keeps a client from connecting to the stream of a visit again, because it is refused."""
    return client.encode_close(CLOSE_EVENT, sink_selector(visit.origin), "refused")
