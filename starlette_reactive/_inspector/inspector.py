"""The inspector's own small application: a live page of this package, on a bus of its own.

It is an ASGI application within a route of the one that it looks at, and sees itself as one that lies at that route's
address. So its updates run through itself alone, and not through the middleware of the application that is looked at.
What it looks at tells it of events and renders; it never emits there, and its own bus is traced by nobody.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
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
from starlette.types import Message, Receive, Scope, Send

from .._bus.bus import ReactiveBus, hub_of
from .._checks import Subject
from .._core.events import ChangeEvent
from .._index.index import DependencyIndex, registry_of
from .._streams.timer import timer
from .._streams.trace import add_tracer
from .guard import Allow, is_allowed
from .journal import Journal
from .view import View

__all__ = ["Inspector", "LivePages"]

SCOPE = "inspector"
"""The scope of the page, on the inspector's own bus."""

_PARTS = {part: f"view.{part}" for part in ("newest", "older", "picture", "presence", "counters", "engine")}
_REFRESH = 2.0  # seconds after which is shown what nobody tells of, such as viewers of other processes
_LINGER = 5.0  # seconds for which a page that is being opened is waited for
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
    """What makes the inspector's page live: a ``Reactive`` object of its own."""

    bus: ReactiveBus

    @property
    def routes(self) -> list[BaseRoute]:
        """Its routes."""

    def lifespan(self, app: Any) -> AbstractAsyncContextManager[None]:
        """End its streams with the application."""

    def page(self, template_name: str, *, scope: str, shared: bool = False) -> Callable[[Any], Any]:
        """Make an endpoint a live page."""


class Inspector:
    """Shows what a bus and its groups do. It is the ASGI application of its routes.

    Args:
        bus: What it looks at.
        index: Knows the paths that are derived from others.
        subject: Gives the pages and indexes of the application.
        live_pages: Makes its own page live, from the templates that it is given and with a random secret.
        allow: Who may see it.
    """

    def __init__(
        self,
        bus: ReactiveBus,
        index: DependencyIndex,
        subject: Callable[[], Subject],
        *,
        live_pages: Callable[[Environment, str], LivePages],
        allow: Allow,
    ) -> None:
        self._journal = Journal(registry_of(index).expand, lambda scope: len(bus.presence(scope)))
        self._view = View(self._journal, bus, subject)
        self._allow = allow
        env = Environment(
            loader=PackageLoader("starlette_reactive._inspector"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        self._live = live_pages(env, secrets.token_urlsafe(32))
        self._app = self._build()
        self._wanted_until = 0.0
        self._refresh_at = 0.0
        add_tracer(hub_of(bus), self._journal)
        bus.observe(self._journal.observe)

    def _build(self) -> Starlette:
        async def page(request: Request) -> dict[str, Any]:
            return {"view": self._view, "base": request.scope["root_path"]}

        static = StaticFiles(directory=Path(__file__).parent / "static")
        endpoint = self._live.page("inspector.html", scope=SCOPE, shared=True)(page)
        return Starlette(routes=[Route("/", endpoint), *self._live.routes, Mount("/static", static)])

    def routes(self, path: str) -> list[BaseRoute]:
        """Return its routes, for the application that it looks at."""
        return [Route(path, self, name="reactive-inspector"), Route(f"{path}/{{rest:path}}", self)]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """End its streams with the application."""
        async with self._live.lifespan(self._app):
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or tell that there is nothing here.

        Raises:
            HTTPException: 404: the request may not see the inspector.
        """
        request = Request(scope)
        if request.method not in ("GET", "HEAD") or not await is_allowed(request, self._allow):
            raise HTTPException(404)
        self._watch()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(_own_scope(scope), receive, send_with_headers)

    # Updates

    def _watch(self) -> None:
        self._wanted_until = time.monotonic() + _LINGER
        timer().add(self)

    def on_tick(self, now: float, *, stopping: bool) -> None:
        """Tell the open pages what is new; a few times a second, however much happens."""
        if self._live.bus.presence(SCOPE):
            self._wanted_until = now + _LINGER
        elif stopping or now >= self._wanted_until:
            timer().remove(self)
            return
        touched = self._journal.take_touched()
        if now >= self._refresh_at:
            self._refresh_at = now + _REFRESH
            touched |= {"counters", "engine", "presence"}
        if touched:
            self._live.bus.emit_sync(ChangeEvent(SCOPE, {_PARTS[part] for part in touched}))


def _own_scope(scope: Scope) -> Scope:
    """Return the scope of a request as the inspector's application sees it: it lies at its own address."""
    path, root, rest = scope["path"], scope.get("root_path", ""), scope["path_params"].get("rest", "")
    base = path.removesuffix(rest).rstrip("/")
    if not base.startswith(f"{root}/"):
        base = root + base
    carried = {
        name: scope[name]
        for name in ("asgi", "client", "extensions", "headers", "http_version", "query_string", "scheme", "server")
        if name in scope
    }
    own_path = f"{base}/{rest}"
    return {
        **carried,
        "type": "http",
        "method": scope["method"],
        "path": own_path,
        "raw_path": quote(own_path).encode("ascii"),
        "root_path": base,
        "state": {},
    }
