"""A declared page: one endpoint is the page and its live updates.

For a visit, the position in the change log is recorded, the endpoint reads its data, and the page is rendered with the
signed URL of its stream. An update runs the same endpoint again (see ``update``) and renders only the affected blocks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.templating import Jinja2Templates

from .._bus.hub import Hub
from .._checks import DeclaredPage
from .._clients import Wire
from .._core.blocks import BlockRef
from .._core.errors import ReactiveError, ViewerNameError
from .._core.events import as_user_id
from .._core.paths import ALL
from .._index.index import DependencyIndex
from .._index.personal import personal_blocks
from .._index.registry import Registry
from .._streams.limits import StreamLimits
from .._streams.live_response import ConnectionCallback
from .._streams.rendering import render_blocks
from .._templates.environments import context_for
from .browser_session import BrowserSession
from .declared_response import as_declared, response_to_update, without_tasks
from .deferred import Deferred, is_complete
from .endpoints import Call
from .scopes import format_scopes, scope_of_address
from .share import Key, Share
from .tracking import Databases
from .update import update_of
from .viewer_cookies import SiteCookies
from .visits import Visit, cursor_to_begin, make_visit, rendering

__all__ = ["SINK_NAMES", "VIEWER_NAMES", "Page", "PageSettings", "UserOf"]

VIEWER_NAMES = frozenset({"request", "user", "current_user", "session", "csrf_token"})
"""Context variables that belong to one viewer, in every application."""

SINK_NAMES = frozenset({"live", "live_origin"})
"""Functions that a template calls for the page's own connection."""

UserOf = Callable[[Request], Any]
"""A function or coroutine function of a request that returns the user id of its sender."""

_DIGEST_LENGTH = 16  # of a key, in characters of 6 bits


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What all pages of one Reactive object have in common.

    Args:
        hub: The event bus.
        templates: The templates that pages are rendered from.
        debug: Whether a failing block shows its error.
        heartbeat: Seconds between heartbeats.
        state_names: The lifespan state that updates see.
        update_timeout: Seconds that an update may take.
        limits: How many streams may be open.
        sessions: Recognises browsers.
        cookies: What is known of the application's cookies.
        databases: The databases that are tracked.
    """

    hub: Hub
    templates: Jinja2Templates
    debug: bool
    heartbeat: float
    state_names: frozenset[str]
    update_timeout: float
    limits: StreamLimits
    sessions: BrowserSession
    cookies: SiteCookies
    databases: Databases

    def __post_init__(self) -> None:
        if self.update_timeout <= 0:
            raise ValueError(f"update_timeout is {self.update_timeout}: write how many seconds an update may take")


@dataclass(frozen=True, slots=True)
class Page:
    """One declared page.

    Args:
        owner: The site that it belongs to, for the functions that its template calls.
        settings: What it has in common with the other pages of the site.
        key: Identifies it among the pages of the application.
        template_name: Its template.
        scope_formats: Its scopes, with the endpoint's parameters in braces. Empty if it is live only because of what it
            reads.
        shared: Whether one update serves all viewers of a URL.
        share: Which viewers see the same. ``None`` if none do, or all.
        user: Returns the viewer's user id for a request.
        wire: How its browsers are connected.
        index: Which of its blocks show what.
        registry: The facts behind the index.
        on_connect: Called when a viewer is counted.
        on_disconnect: Called when a viewer is no longer counted.
        may_be_tracked: Whether it is live because of what it reads from tracked databases.
        compress: Whether its streams are compressed.
        uncompressed: The names of blocks that are sent as they are, even in a compressed stream.
        deferred: The values that a visit does without.
    """

    owner: object
    settings: PageSettings
    key: str
    template_name: str
    scope_formats: tuple[str, ...]
    shared: bool
    share: Share | None
    user: UserOf | None
    wire: Wire
    index: DependencyIndex
    registry: Registry
    on_connect: ConnectionCallback | None = None
    on_disconnect: ConnectionCallback | None = None
    may_be_tracked: bool = True
    compress: bool = False
    uncompressed: frozenset[str] = frozenset()
    deferred: Deferred | None = None

    @property
    def is_tracked(self) -> bool:
        """Whether it is live because of what it reads from a database."""
        return self.may_be_tracked and self.settings.databases.are_tracked

    @property
    def described(self) -> DeclaredPage:
        """The page as checks and the inspector see it."""
        return DeclaredPage(
            self.template_name,
            self.scope_formats,
            self.shared,
            self.wire.name,
            self.index,
            knows_user=self.user is not None,
            share=self.share is not None,
            differing=frozenset() if self.share is None else self.share.differing,
            deferred=frozenset(() if self.deferred is None else self.deferred.blocks),
            is_tracked=self.is_tracked,
        )

    @property
    def target_ids(self) -> list[str]:
        """The ids of the elements that its updates go to."""
        return [ref.target_id for ref in self.registry.blocks()]

    @property
    def outermost_blocks(self) -> tuple[BlockRef, ...]:
        """Its live blocks that are not inside another one, in template order."""
        return tuple(block.ref for block in self.registry.plan(frozenset((ALL,))).affected)

    async def respond(self, call: Call) -> Response:
        """Answer a browser with the page, or an update with its blocks."""
        update = update_of(call.request)
        if update is None:
            return await self._respond_to_visit(call)
        if update.page != self.key:
            return without_tasks(PlainTextResponse(f"This is not the page {update.page}.", status_code=409))
        if not self.shared:
            update.user = await self.user_id(call.request)
        if self.share is not None:
            update.key, update.request = await self.share.key(call.request), call.request
            if update.key is None:
                return without_tasks(PlainTextResponse("This page is not for you.", status_code=403))
        result = await call.run()
        if isinstance(result, Response):
            return without_tasks(self._accepted(result))
        environment, context = self.settings.templates.env, self._context(call, result)
        failed = {} if self.deferred is None else await self.deferred.complete_for(update.blocks, context)
        blocks = [ref for ref in update.blocks if ref not in failed]
        with nullcontext() if update.varying is None else update.varying.rendering():
            rendered = await render_blocks(blocks, context, lambda _: environment)
        rendered.update((ref.key, error) for ref, error in failed.items())
        if self.share is not None and await self.share.key(call.request) != update.key:
            update.key = None  # what was rendered may belong to either
        return response_to_update(call.request, update.response(rendered))

    async def _respond_to_visit(self, call: Call) -> Response:
        request, sessions = call.request, self.settings.sessions
        session = None if self.shared and self.user is None else sessions.begin(request)
        cursor = cursor_to_begin(request, self.settings.hub)
        mark, key = sessions.new_mark(session), await self._key_digest(request)
        scopes = self._scopes_or_why_not(request, call.values)  # an object may not be readable after the run
        result = await call.run()
        if isinstance(result, Response):
            return self._accepted(result)
        if isinstance(scopes, ReactiveError):
            raise scopes
        if key and await self._key_digest(request) != key:  # what it has read may belong to either
            key = ""
        visit = make_visit(request, self.key, scopes, mark, cursor, key)
        context = self._context(call, result)
        if self.deferred is not None and is_complete(visit.query):
            await self.deferred.complete(context)
        elif self.deferred is not None:
            self.deferred.hold_back(context)
        html = await self._html(request, visit, context)
        # A second tab from a cache would have the mark of the first.
        page = HTMLResponse(html, headers={"Cache-Control": "no-store"})
        response = as_declared(request, html, page)
        sessions.keep(response, request, session)
        return response

    def _accepted(self, response: Response) -> Response:
        """Return a response of the endpoint's own, unless it is the page itself, rendered by hand."""
        if not isinstance(response, HTMLResponse) or not 200 <= response.status_code < 300:
            return response
        template = getattr(getattr(response, "template", None), "name", None)
        what = type(response).__name__ if template is None else f"a TemplateResponse of {template!r}"
        raise TypeError(
            f"the page {self.key} returned {what}, from which no update can be rendered: return the variables of "
            f"{self.template_name!r} as a dict, without a response, and @reactive.page renders the template. Another "
            "page needs a route of its own, or a status outside 200 to 299"
        )

    def _context(self, call: Call, result: object) -> dict[str, Any]:
        if not isinstance(result, Mapping):
            raise TypeError(
                f"the page {self.key} returned {type(result).__name__}, not a mapping: return a dict of the "
                f"variables of {self.template_name!r}, or a Response"
            )
        return context_for(self.settings.templates, call.request, result)

    def scopes(self, request: Request, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the scopes for a request, the endpoint's arguments and the path's parameters.

        Raises:
            ReactiveError: They do not fit one of the formats.
        """
        if not self.scope_formats:
            return (scope_of_address(self.key, request),)
        known, what = {**values, "request": values.get("request", request)}, f"the page {self.key}"
        return format_scopes(self.scope_formats, known, what=what, template_name=self.template_name)

    def _scopes_or_why_not(self, request: Request, values: Mapping[str, Any]) -> tuple[str, ...] | ReactiveError:
        """Return the scopes, or what is wrong unless the endpoint answers with a response of its own."""
        try:
            return self.scopes(request, values)
        except ReactiveError as error:
            return error

    async def _html(self, request: Request, visit: Visit, context: Mapping[str, Any]) -> str:
        template = self.settings.templates.env.get_template(self.template_name)
        with rendering(request, visit, self.owner):
            if self.settings.templates.env.is_async:
                return await template.render_async(context)
            return template.render(context)

    async def user_id(self, request: Request) -> str | None:
        """Return the id of the user that a request belongs to.

        Raises:
            TypeError: What the application returns is no id.
        """
        user = None if self.user is None else self.user(request)
        if inspect.isawaitable(user):
            user = await user
        return None if user is None else as_user_id(f"what user= of the page {self.key} returns", user)

    async def _key_digest(self, request: Request) -> str:
        """Return the digest of the viewer's key, before the page reads its data."""
        if self.share is None:
            return ""
        try:
            key = await self.share.key(request)
        except HTTPException:  # its stream will be refused
            return ""
        return self.digest_of(key)

    def digest_of(self, key: Key | None) -> str:
        """Return what stands for a key in what browsers are sent. Empty if nothing can."""
        stable = None if key is None else key.stable
        return (
            "" if stable is None else self.settings.sessions.signer.digest(f"key {self.key} {stable}")[:_DIGEST_LENGTH]
        )

    def refuse_viewer_names(self, viewer_names: Iterable[str]) -> None:
        """Raise if a shared block reads viewer data, or may read it.

        Raises:
            ViewerNameError: One does, or what it reads is not known.
        """
        for ref, reason in personal_blocks(self.registry, VIEWER_NAMES | frozenset(viewer_names)).items():
            reads, belongs = self.registry.reads(ref), "" if reason.name is None else ", which belongs to one viewer"
            raise ViewerNameError(
                f"{reads.template}:{reads.line}: the block {ref.block_name!r} of the shared page "
                f"{self.template_name!r} {reason.describe(ref.block_name)}{belongs}: name it in exclude_blocks=, or "
                "declare the page without shared=True",
                template=reads.template,
                block=ref.block_name,
                line=reads.line,
            )
