"""A declared page: one endpoint is the page and its live updates.

For a visit, the position in the change log is recorded, the endpoint reads its data, and the page is rendered with the
signed URL of its stream. An update runs the same endpoint again (see ``update``) and renders only the affected blocks.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Scope

from .._bus.hub import Hub
from .._clients import CLOSE_EVENT, Wire
from .._clients.htmx import sink_selector
from .._core.blocks import BlockRef
from .._core.errors import StreamEndedError, ViewerNameError
from .._core.events import ConnectionInfo
from .._core.paths import ALL
from .._index.index import DependencyIndex
from .._index.registry import Registry
from .._streams.group import GroupOptions
from .._streams.live_response import ConnectionCallback, LiveStream, ViewerOptions
from .._streams.rendering import Rendered, render_blocks
from .._templates.environments import context_for
from .endpoints import Call
from .scopes import format_scope
from .update import UPDATE, Update, run_update, update_scope
from .visits import Visit, begin_visit

__all__ = ["OWNER", "SINK_NAMES", "VIEWER_NAMES", "Page", "UserOf"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

VIEWER_NAMES = frozenset({"request", "user", "current_user", "session", "csrf_token"})
"""Context variables that belong to one viewer, in every application."""

SINK_NAMES = frozenset({"live", "live_origin"})
"""Functions that a template calls for the page's own connection."""

UserOf = Callable[[Request], Any]
"""A function or coroutine function of the stream's request that returns the viewer's user id."""

OWNER = "starlette_reactive.owner"
"""The key of a page's owner in the ASGI scope of a visit."""
_SEND_TIMEOUT = 30.0  # seconds after which a stalled stream is closed


@dataclass(frozen=True, slots=True)
class Page:
    """One declared page.

    Args:
        owner: The site that it belongs to, for the functions that its template calls.
        key: Identifies it among the pages of the application.
        template_name: Its template.
        scope_format: Its scope, with the endpoint's parameters in braces.
        shared: Whether one update serves all viewers of a URL.
        user: Returns the viewer's user id for a request.
        wire: How its browsers are connected.
        index: Which of its blocks show what.
        registry: The facts behind the index.
        hub: The event bus.
        templates: The templates that it is rendered from.
        debug: Whether a failing block shows its error.
        heartbeat: Seconds between heartbeats.
        state_names: The lifespan state that updates see.
        on_connect: Called when a viewer is counted.
        on_disconnect: Called when a viewer is no longer counted.
    """

    owner: object
    key: str
    template_name: str
    scope_format: str
    shared: bool
    user: UserOf | None
    wire: Wire
    index: DependencyIndex
    registry: Registry
    hub: Hub
    templates: Jinja2Templates
    debug: bool
    heartbeat: float
    state_names: frozenset[str]
    on_connect: ConnectionCallback | None = None
    on_disconnect: ConnectionCallback | None = None

    async def respond(self, call: Call) -> Response:
        """Answer a browser with the page, or an update with its blocks."""
        update: Update | None = call.request.scope.get(UPDATE)
        if update is None:
            call.request.scope[OWNER] = self.owner
            begin_visit(call.request, self.key, self._scope(call), self.hub)
        elif update.page != self.key:
            return PlainTextResponse(f"This is not the page {update.page}.", status_code=409)
        result = await call.run()
        if isinstance(result, Response):
            return result
        if not isinstance(result, Mapping):
            raise TypeError(
                f"the page {self.key} returned {type(result).__name__}, not a mapping: return a dict of the "
                f"variables of {self.template_name!r}, or a Response"
            )
        context = context_for(self.templates, call.request, result)
        if update is None:
            return await self._render_page(context)
        environment = self.templates.env
        return update.response(await render_blocks(update.blocks, context, lambda _: environment))

    def _scope(self, call: Call) -> str:
        return format_scope(
            self.scope_format, call.values, what=f"the page {self.key}", template_name=self.template_name
        )

    async def _render_page(self, context: Mapping[str, Any]) -> Response:
        template = self.templates.env.get_template(self.template_name)
        if self.templates.env.is_async:
            return HTMLResponse(await template.render_async(context))
        return HTMLResponse(template.render(context))

    async def stream(
        self, request: Request, visit: Visit, root_path: str, renewal: Callable[[], str] | None = None
    ) -> LiveStream:
        """Return the stream of a visit.

        Args:
            request: The stream's request.
            visit: The visit.
            root_path: The root path of the application that received the request.
            renewal: Returns what an id adds to its cursor, to renew the visit's URL.
        """
        user = self.user(request) if self.user is not None else None
        if inspect.isawaitable(user):
            user = await user
        asgi_scope = update_scope(
            request.scope,
            raw_path=visit.raw_path,
            query=visit.query,
            root_path=root_path,
            host=visit.host,
            scheme=visit.scheme,
            shared=self.shared,
            state_names=self.state_names,
        )
        group_options = GroupOptions(
            hub=self.hub,
            scope=visit.scope,
            registry=self.registry,
            render=functools.partial(self._update, request.app, asgi_scope),
            heartbeat_interval=self.heartbeat,
            send_timeout=_SEND_TIMEOUT,
            debug=self.debug,
            renewal=renewal,
        )
        options = ViewerOptions(
            # Shared or not, an update sees no context variable of the stream's request, which would be out of date.
            share=(request.app, self.key, *visit.address, root_path) if self.shared else object(),
            after=visit.cursor,
            origin=visit.origin,
            connection=ConnectionInfo(visit.origin, None if user is None else str(user)),
            on_connect=self.on_connect,
            on_disconnect=self.on_disconnect,
            close_event=CLOSE_EVENT,
            sink=sink_selector(visit.origin),
            client=self.wire.client,
        )
        return LiveStream(group_options, options)

    async def _update(
        self,
        app: ASGIApp,
        asgi_scope: Scope,
        paths: frozenset[str],  # noqa: ARG002 - an endpoint reads everything that it shows
        blocks: list[BlockRef],
    ) -> Rendered:
        try:
            return await run_update(app, asgi_scope, self.key, blocks)
        except StreamEndedError as ended:
            if self.shared:
                logger.warning(
                    "closing the streams of the shared page %s: %s to a request without credentials; declare the page "
                    "without shared=True if only some viewers may see it",
                    self.key,
                    ended,
                )
            raise

    def refuse_viewer_names(self, viewer_names: Iterable[str]) -> None:
        """Raise if a shared block reads viewer data, or may read it.

        Raises:
            ViewerNameError: One does, or what it reads is not known.
        """
        private = VIEWER_NAMES | frozenset(viewer_names)
        for ref in self.index.blocks():
            paths = self.index.block_dependencies(ref.template_name, ref.block_name)
            names = sorted({path.partition(".")[0] for path in paths} & (private | {ALL}))
            if names:
                raise self._viewer_name_error(ref, names[0])

    def _viewer_name_error(self, ref: BlockRef, name: str) -> ViewerNameError:
        reads = self.registry.reads(ref)
        what = (
            f"may read anything ({'; '.join(reads.widened)})"
            if name == ALL
            else f"reads {name!r}, which belongs to one viewer"
        )
        return ViewerNameError(
            f"{reads.template}:{reads.line}: the block {ref.block_name!r} of the shared page {self.template_name!r} "
            f"{what}: name it in exclude_blocks=, or declare the page without shared=True",
            template=reads.template,
            block=ref.block_name,
            line=reads.line,
        )
