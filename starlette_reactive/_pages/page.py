"""A page that is live: one endpoint is the page and its live updates.

A visit goes: the place in the change log is noted, the endpoint reads its data, the page is rendered with a signed
address of its stream in it. An update goes through the same endpoint again (see ``replay``), and only the affected
blocks are rendered.
"""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Scope

from .._bus.bus import ReactiveBus, hub_of
from .._clients import CLOSE_EVENT, wire_named
from .._clients.htmx import sink_selector
from .._core.blocks import BlockRef
from .._core.errors import ReactiveError, StreamEndedError, ViewerNameError
from .._core.events import ConnectionInfo
from .._core.paths import ALL
from .._index.index import DependencyIndex, registry_of
from .._streams.group import GroupOptions
from .._streams.live_response import ConnectionCallback, LiveStream, ViewerOptions
from .._streams.rendering import Rendered, render_blocks
from .._templates.environments import context_for
from .endpoints import Call
from .replay import replay_of, replayed_scope, run_again
from .visits import PageVisit

__all__ = [
    "SINK_NAMES",
    "VIEWER_NAMES",
    "Page",
    "UserOf",
    "current_visit",
    "forget_cursor",
    "note_cursor",
]

logger: logging.Logger = logging.getLogger("starlette_reactive")

VIEWER_NAMES = frozenset({"request", "user", "current_user", "session", "csrf_token"})
"""Context variables that belong to one viewer, in every application."""

SINK_NAMES = frozenset({"live", "live_origin"})
"""What a template calls for the page's own connection."""

UserOf = Callable[[Request], Any]

_VISIT = "starlette_reactive.visit"
_CURSOR = "starlette_reactive.cursor"
_UNKNOWN_CURSOR = "unknown"  # a stream that begins here brings every block up to date


@dataclass(frozen=True, slots=True)
class Page:
    """One declared page.

    Args:
        key: What tells it from the other pages of the application.
        template_name: Its template.
        scope_format: Its scope, with the endpoint's parameters in braces.
        shared: Whether one update serves all viewers of a URL.
        user: Tells the viewer's id from a request.
        wire: ``htmx``, ``datastar`` or ``turbo``.
        index: Which of its blocks show what.
        bus: Who tells of changes.
        templates: Where it is rendered from.
        debug: Whether a failing block shows its error.
        heartbeat: Seconds between heartbeats.
        state_names: What a lifespan put into the state of requests.
        on_connect: Called when a viewer is counted in.
        on_disconnect: Called when a viewer is counted out.
    """

    key: str
    template_name: str
    scope_format: str
    shared: bool
    user: UserOf | None
    wire: str
    index: DependencyIndex
    bus: ReactiveBus
    templates: Jinja2Templates
    debug: bool
    heartbeat: float
    state_names: frozenset[str]
    on_connect: ConnectionCallback | None = None
    on_disconnect: ConnectionCallback | None = None

    async def respond(self, call: Call) -> Response:
        """Answer a browser with the page, or an update with its blocks."""
        update = replay_of(call.request)
        if update is None:
            self._begin_visit(call)
        result = await call.run()
        if isinstance(result, Response):
            return result
        if not isinstance(result, Mapping):
            raise TypeError(
                f"the page {self.key} returned {type(result).__name__}, not a mapping: return a dict of the "
                f"variables of {self.template_name!r}, or a Response"
            )
        if update is None:
            return await self._render_page(call.request, result)
        environment = self.templates.env
        update.rendered = await render_blocks(update.blocks, self._context(call.request, result), lambda _: environment)
        return Response(status_code=204)

    def _begin_visit(self, call: Call) -> None:
        request = call.request
        cursor = request.scope.get(_CURSOR) or hub_of(self.bus).latest_cursor()
        path = request.scope.get("raw_path") or quote(request.scope["path"]).encode("ascii")
        request.scope[_VISIT] = PageVisit(
            page=self.key,
            raw_path=path.split(b"?", 1)[0].decode("latin-1"),
            query=request.scope["query_string"].decode("latin-1"),
            root_path=request.scope.get("app_root_path", request.scope.get("root_path", "")),
            host=request.headers.get("host", ""),
            scheme=request.scope.get("scheme", "http"),
            scope=self.scope_of(call.values),
            origin=secrets.token_urlsafe(9),
            cursor=cursor,
        )

    def scope_of(self, values: Mapping[str, Any]) -> str:
        """Return the scope for the endpoint's arguments.

        Raises:
            ReactiveError: The scope names something that the endpoint has no parameter for.
        """
        try:
            return self.scope_format.format_map(values)
        except (KeyError, AttributeError, IndexError) as error:
            known = ", ".join(values) or "none"
            raise ReactiveError(
                f"the scope {self.scope_format!r} of the page {self.key} names {error}, which is no parameter of the "
                f"endpoint or its path; there are: {known}",
                template=self.template_name,
            ) from error

    async def _render_page(self, request: Request, values: Mapping[str, Any]) -> Response:
        template = self.templates.env.get_template(self.template_name)
        context = self._context(request, values)
        if self.templates.env.is_async:
            content = await template.render_async(context)
        else:
            content = template.render(context)
        return HTMLResponse(content)

    def _context(self, request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
        return context_for(self.templates, request, values)

    async def stream(self, request: Request, visit: PageVisit, root_path: str) -> LiveStream:
        """Return the stream of a visit.

        Args:
            request: The stream's request.
            visit: What was visited.
            root_path: Where the application that received the request lies.
        """
        user = self.user(request) if self.user is not None else None
        if inspect.isawaitable(user):
            user = await user
        scope = replayed_scope(
            request.scope,
            raw_path=visit.raw_path,
            query=visit.query,
            root_path=root_path,
            host=visit.host,
            scheme=visit.scheme,
            shared=self.shared,
            state_names=self.state_names,
        )
        options = GroupOptions(
            hub=hub_of(self.bus),
            scope=visit.scope,
            registry=registry_of(self.index),
            render=functools.partial(self._update, request.app, scope),
            heartbeat_interval=self.heartbeat,
            send_timeout=30.0,
            debug=self.debug,
        )
        return LiveStream(
            options,
            ViewerOptions(
                # Shared or not, an update sees no context variable of the stream's request: they would be stale.
                share=(self.key, *_address(visit), root_path) if self.shared else object(),
                after=visit.cursor,
                origin=visit.origin,
                connection=ConnectionInfo(visit.origin, None if user is None else str(user)),
                on_connect=self.on_connect,
                on_disconnect=self.on_disconnect,
                close_event=CLOSE_EVENT,
                sink=sink_selector(visit.origin),
                client=wire_named(self.wire).client,
            ),
        )

    async def _update(
        self,
        app: ASGIApp,
        scope: Scope,
        paths: frozenset[str],  # noqa: ARG002 - an endpoint reads all that it shows
        blocks: list[BlockRef],
    ) -> Rendered:
        try:
            return await run_again(app, scope, blocks)
        except StreamEndedError as ended:
            if self.shared:
                logger.warning(
                    "the streams of the shared page %s end: %s to a request without credentials; declare the page "
                    "without shared=True if it is for some viewers only",
                    self.key,
                    ended,
                )
            raise

    def refuse_viewer_names(self, viewer_names: Iterable[str]) -> None:
        """See to it that no live block of a shared page shows what belongs to one viewer.

        Raises:
            ViewerNameError: One does, or it cannot be known.
        """
        private = VIEWER_NAMES | frozenset(viewer_names)
        for ref in self.index.blocks():
            paths = self.index.block_dependencies(ref.template_name, ref.block_name)
            names = sorted({path.partition(".")[0] for path in paths} & (private | {ALL}))
            if names:
                raise self._viewer_name_error(ref, names[0])

    def _viewer_name_error(self, ref: BlockRef, name: str) -> ViewerNameError:
        reads = registry_of(self.index).reads(ref)
        template, line, reasons = reads.template, reads.line, reads.widened
        what = (
            f"may read anything ({'; '.join(reasons)})" if name == ALL else f"reads {name!r}, which is a viewer's own"
        )
        return ViewerNameError(
            f"{template}:{line}: the block {ref.block_name!r} of the shared page {self.template_name!r} {what}: name "
            "it in exclude_blocks=, or declare the page without shared=True",
            template=template,
            block=ref.block_name,
            line=line,
        )


def note_cursor(request: Request, bus: ReactiveBus) -> None:
    """Take the cursor of a page before any of its data is read. An update needs none."""
    if replay_of(request) is None:
        request.scope[_CURSOR] = hub_of(bus).latest_cursor()


def forget_cursor(request: Request) -> None:
    """Note that the place in the change log is not known, for something may have been read for the page already."""
    request.scope[_CURSOR] = _UNKNOWN_CURSOR


def _address(visit: PageVisit) -> tuple[str, ...]:
    return visit.scheme, visit.host, visit.raw_path, visit.query


def current_visit(request: Request | None) -> PageVisit | None:
    """Return the visit that a page is being rendered for."""
    found = None if request is None else request.scope.get(_VISIT)
    return found if isinstance(found, PageVisit) else None
