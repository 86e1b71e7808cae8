"""The inspector as an ASGI application: a live page of this package, with its own bus.

A route of the inspected application serves it, and it treats the route's address as its root path. So its updates run
only through itself, and not through the middleware of the inspected application. It observes that application's events
and renders, and never emits there. Its own bus is not traced.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._bus.bus import ReactiveBus, hub_of
from .._checks import AppDescription
from .._core.events import ChangeEvent
from .._index.index import DependencyIndex, registry_of
from .._pages.scripts import VENDOR
from .._streams.servers import Server
from .._streams.timer import timer
from .._streams.trace import add_tracer
from .access import Allow, is_allowed, is_local
from .recorder import Recorder
from .view import View

__all__ = ["Inspector", "LivePages"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

SCOPE = "inspector"
"""The scope of the page, on the inspector's own bus."""

_PARTS = {
    part: f"view.{part}"
    for part in ("newest", "older", "graph", "presence", "counters", "engine", "differences", "reads")
}
_REFRESH = 2.0  # seconds between updates of facts that nothing reports, such as viewers in other processes
_LINGER = 5.0  # seconds to wait for a page that is being opened
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LivePages(Protocol):
    """What makes the inspector's page live: its own ``Reactive`` object."""

    bus: ReactiveBus
    app: ASGIApp | None

    @property
    def routes(self) -> list[BaseRoute]:
        """Its routes."""

    def lifespan(self, app: Any) -> AbstractAsyncContextManager[None]:
        """End the streams with the application."""

    def page(self, template_name: str, *, scope: str, shared: bool = False) -> Callable[[Any], Any]:
        """Make an endpoint a live page."""


class Inspector:
    """Shows the work of a bus and its groups. The inspector is the ASGI application of its own routes.

    Args:
        bus: The bus to inspect.
        index: The application's index, for derived paths.
        describe: Returns the description of the application.
        live_pages: Makes the inspector's page live, given its templates and a random secret.
        allow: Returns whether a request may see the inspector.
        path: Where it is.
    """

    def __init__(
        self,
        bus: ReactiveBus,
        index: DependencyIndex,
        describe: Callable[[], AppDescription],
        *,
        live_pages: Callable[[Environment, str], LivePages],
        allow: Allow,
        path: str,
    ) -> None:
        logger.warning(
            "the inspector is on, at %s: it shows scopes, users and changes to %s; it is for development",
            path,
            "this machine" if allow is is_local else "those that its function allows",
        )
        self._path = path
        self._recorder = Recorder(registry_of(index).expand, lambda scope: len(bus.presence(scope)))
        self._view = View(self._recorder, bus, describe)
        self._allow = allow
        env = Environment(
            loader=PackageLoader("starlette_reactive._inspector"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._live = live_pages(env, secrets.token_urlsafe(32))
        self._app = self._live.app = self._build()
        self._wanted_until = 0.0
        self._refresh_at = 0.0
        add_tracer(hub_of(bus), self._recorder)
        bus.observe(self._recorder.observe)

    def _build(self) -> Starlette:
        async def page(request: Request) -> dict[str, Any]:
            return {"view": self._view, "base": request.scope["root_path"]}

        static = StaticFiles(directory=Path(__file__).parent / "static")
        endpoint = self._live.page("inspector.html", scope=SCOPE, shared=True)(page)
        vendor = StaticFiles(directory=VENDOR)
        return Starlette(
            routes=[Route("/", endpoint), *self._live.routes, Mount("/static", static), Mount("/vendor", vendor)]
        )

    def routes(self) -> list[BaseRoute]:
        """Return the routes for the inspected application."""
        return [Route(self._path, self, name="reactive-inspector"), Route(f"{self._path}/{{rest:path}}", self)]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """End the streams with the application."""
        async with self._live.lifespan(self._app):
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            HTTPException: The request may not see the inspector (404).
        """
        request = Request(scope)
        if request.method not in ("GET", "HEAD") or not await is_allowed(request, self._allow):
            raise HTTPException(404)
        self._watch()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(_own_asgi_scope(scope), receive, send_with_headers)

    # Updates

    def _watch(self) -> None:
        self._wanted_until = time.monotonic() + _LINGER
        timer().add(self)

    def on_tick(self, now: float, stopping: Collection[Server]) -> None:
        """Update the open pages, at most a few times a second."""
        if self._live.bus.presence(SCOPE):
            self._wanted_until = now + _LINGER
        elif stopping or now >= self._wanted_until:
            timer().remove(self)
            return
        changed = self._recorder.take_changed_parts()
        if now >= self._refresh_at:
            self._refresh_at = now + _REFRESH
            changed |= {"counters", "engine", "presence"}
        if changed & {"newest", "presence"}:
            changed.add("graph")  # which pages are in use
        if changed:
            self._live.bus.emit_sync(ChangeEvent(SCOPE, {_PARTS[part] for part in changed}))


def _own_asgi_scope(asgi_scope: Scope) -> Scope:
    """Return the ASGI scope of a request with the inspector's address as its root path."""
    path, root, rest = asgi_scope["path"], asgi_scope.get("root_path", ""), asgi_scope["path_params"].get("rest", "")
    base = path.removesuffix(rest).rstrip("/")
    outer = asgi_scope.get("app_root_path", root)  # the part of it that is around mounts, which may end with a slash
    inner = base.removeprefix(root) if base.startswith(f"{root}/") else base
    base = outer.rstrip("/") + root.removeprefix(outer) + inner
    inherited = {
        name: asgi_scope[name]
        for name in ("asgi", "client", "extensions", "headers", "http_version", "query_string", "scheme", "server")
        if name in asgi_scope
    }
    own_path = f"{base}/{rest}"
    return {
        **inherited,
        "type": "http",
        "method": asgi_scope["method"],
        "path": own_path,
        "raw_path": quote(own_path).encode("ascii"),
        "root_path": base,
        "state": {},
    }
