"""The live pages of one Reactive object: which there are, what their templates call, and the route of their streams."""

from __future__ import annotations

import html
import inspect
import json
import logging
import re
import secrets
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .._core.errors import ReactiveError
from .._templates import declare_reads
from .endpoints import Endpoint
from .mounts import is_mounted, path_in, root_of
from .page import OWNER, Page
from .visits import Signer, Visit, current_visit

__all__ = ["Site", "install_template_functions", "origin_of"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_ORIGIN_HEADER = "Reactive-Origin"  # carries the mark of a page's own requests


def origin_of(request: Request) -> str | None:
    """Return the mark of the page that sent a request. ``None`` if it has none, or what it has is not like a mark."""
    mark = request.headers.get(_ORIGIN_HEADER, "")
    return mark if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", mark) else None


class Site:
    """The live pages of one Reactive object.

    Args:
        signer: Signs the live URLs.
        prefix: The path prefix of the routes.
    """

    def __init__(self, signer: Signer, prefix: str) -> None:
        self._signer = signer
        self._prefix = prefix
        self._route_name = f"reactive:{prefix}:{secrets.token_hex(4)}"  # an application may have several
        self._pages: dict[str, Page] = {}
        self._warned_of_middleware = False

    # Pages

    def __iter__(self) -> Iterator[Page]:
        return iter(self._pages.values())

    def add(self, page: Page) -> None:
        """Add a page."""
        self._pages[page.key] = page

    def key_for(self, endpoint: Endpoint) -> str:
        """Return a key for the page of an endpoint. It is the same in every process."""
        name = f"{getattr(endpoint, '__module__', '')}.{getattr(endpoint, '__qualname__', repr(endpoint))}"
        number = sum(1 for key in self._pages if key.partition("#")[0] == name)
        return f"{name}#{number}" if number else name

    # The route

    def route(self, endpoint: Endpoint) -> Route:
        """Return the route of the streams.

        Args:
            endpoint: Calls :meth:`stream`. It is a method of the object that the route leads back to, for discovery.
        """
        return Route(f"{self._prefix}/live", endpoint, methods=["GET"], name=self._route_name)

    async def stream(self, request: Request) -> Response:
        """Answer the request of a live URL."""
        visit = self._signer.read(request.query_params.get("page", ""))
        page = None if visit is None else self._pages.get(visit.page)
        if visit is None or page is None:
            text = "This live URL is not valid here, or no longer valid."
            return PlainTextResponse(text, status_code=403, headers={"X-Content-Type-Options": "nosniff"})
        if is_mounted(request):
            self._warn_of_middleware(request)
        return await page.stream(request, visit, root_of(request, self._route_name, visit.root_path))

    def _warn_of_middleware(self, request: Request) -> None:
        if not self._warned_of_middleware:
            self._warned_of_middleware = True
            logger.warning(
                "the routes of Reactive are in an application that is mounted at %r, so updates of its pages skip the "
                "middleware of the applications around it; move the routes to the outermost application if that "
                "middleware decides who may see a page",
                request.scope["root_path"],
            )

    # What templates call

    def sink_attributes(self, context: Context) -> Markup:
        """Return the attributes of the element that receives a page's updates."""
        visit = self._visit(context, "live")
        token = self._signer.sign(visit)
        path = path_in(context["request"], self._route_name)
        if path is None:
            raise ReactiveError(
                "the application does not have the routes of this Reactive object: add "
                "app.include_router(reactive.router), or routes=[*reactive.routes, …] with Starlette",
                template=context.name,
            )
        url = f"{visit.root_path}{path}?page={token}"
        attributes = self._pages[visit.page].wire.sink_attributes(url, visit.origin)
        return Markup(attributes)  # noqa: S704 - escaped by the client's module

    def origin_attributes(self, context: Context) -> Markup:
        """Return the attributes that mark a page's own requests."""
        headers = html.escape(json.dumps({_ORIGIN_HEADER: self._visit(context, "live_origin").origin}))
        # htmx 2 inherits the plain attribute; htmx 4 inherits only the explicit one.
        return Markup(f'hx-headers="{headers}" hx-headers:inherited="{headers}"')  # noqa: S704 - escaped above

    def _visit(self, context: Context, name: str) -> Visit:
        visit = current_visit(context.get("request"))
        if visit is None or visit.page not in self._pages:
            raise ReactiveError(
                f"{name}() is called in {context.name!r}, which is not being rendered by an endpoint under "
                "@reactive.page: decorate the endpoint, or remove the call",
                template=context.name,
            )
        return visit


def install_template_functions(env: Environment, default: Site) -> None:
    """Make ``live()`` and ``live_origin()`` available in templates, and declare what ``url_for`` reads.

    Args:
        env: The environment of the templates.
        default: The site to use where no page is being rendered.
    """

    @declare_reads()
    @pass_context
    def live(context: Context) -> Markup:
        return _owner(context, default).sink_attributes(context)

    @declare_reads()
    @pass_context
    def live_origin(context: Context) -> Markup:
        return _owner(context, default).origin_attributes(context)

    env.globals.update(live=live, live_origin=live_origin)
    url_for = env.globals.get("url_for")
    if inspect.isfunction(url_for):
        declare_reads()(url_for)  # it reads the host and the routes from the request, and nothing of the viewer


def _owner(context: Context, default: Site) -> Site:
    """Return the site that a page belongs to, because several may share one environment."""
    request: Any = context.get("request")
    owner = None if request is None else request.scope.get(OWNER)
    return owner if isinstance(owner, Site) else default
