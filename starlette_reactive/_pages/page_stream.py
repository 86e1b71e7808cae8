"""The stream of a visit: who its viewer is, whom its updates belong to, and what they are rendered by."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp

from .._clients import CLOSE_EVENT
from .._clients.htmx import sink_selector
from .._core.blocks import BlockRef
from .._core.errors import StreamEndedError, StreamRestartError
from .._core.events import ConnectionInfo
from .._streams.group_options import GroupOptions
from .._streams.live_response import LiveStream, ViewerOptions
from .._streams.rendering import Rendered
from .browser_session import name_of_session, session_id_of
from .changes import mark_of
from .cookie_watch import Watched, digest_of
from .cookies import cookie_header
from .held_answer import held_answer
from .page import Page
from .places import Claim, places_of_loop
from .update import Update, UpdateRunner, update_scope
from .viewer_cookies import SiteCookies, ViewerCookies
from .visits import Visit

__all__ = ["open_stream"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_SEND_TIMEOUT = 30.0  # seconds after which a stalled stream is closed


async def open_stream(
    page: Page,
    request: Request,
    visit: Visit,
    app: ASGIApp,
    root_path: str,
    renewal: Callable[[], str] | None,
) -> LiveStream:
    """Return the stream of a visit.

    Args:
        page: The page.
        request: The stream's request.
        visit: The visit.
        app: The application that updates run through.
        root_path: Its root path.
        renewal: Returns what an id adds to its cursor, to renew the visit's URL.
    """
    started = time.monotonic()
    settings, user = page.settings, await page.user_id(request)
    address = None if request.client is None else request.client.host
    asgi_scope = update_scope(
        request.scope,
        raw_path=visit.raw_path,
        query=visit.query,
        root_path=root_path,
        host=visit.host,
        scheme=visit.scheme,
        shared=page.shared,
        state_names=settings.state_names,
    )
    session = settings.sessions.of(request)
    cookies = digest_of(cookie_header(request.scope))
    stream = Watched(name_of_session(session or visit.origin), cookies, visit.origin)
    watches = not page.shared or page.user is not None  # else the viewer's cookies matter to nothing
    if watches:
        await settings.cookies.watch.listen()
    claim = Claim(page.key) if page.shared else Claim(page.key, user, address)
    runner = UpdateRunner(app, asgi_scope, claim, settings.update_timeout, settings.hub.counts, places_of_loop())
    held = held_answer(request.scope, settings.cookies.watch)
    if held is not None:
        held.stream = stream
    renders: _SharedRenders | _ViewerRenders
    if page.shared:
        renders = _SharedRenders(runner, settings.cookies)
    else:
        renders = _ViewerRenders(runner, user, ViewerCookies(settings.cookies, page.key, stream, held, asgi_scope))
    group_options = GroupOptions(
        hub=settings.hub,
        scope=visit.scope,
        registry=page.registry,
        render=renders.render,
        heartbeat_interval=settings.heartbeat,
        send_timeout=_SEND_TIMEOUT,
        debug=settings.debug,
        authorises=True,
        own_origin=mark_of(page.key),
        renewal=renewal,
    )

    options = ViewerOptions(
        # Shared or not, an update sees no context variable of the stream's request, which would be out of date.
        share=(app, page.key, *visit.address, root_path) if page.shared else object(),
        after=visit.cursor,
        origin=visit.origin,
        connection=ConnectionInfo(session_id_of(visit.origin), user, started),
        session=None if session is None else name_of_session(session),
        place=settings.limits.place(user, address),
        user_id=None if isinstance(renders, _SharedRenders) else renders.user_id,
        on_join=settings.cookies.watch.joining(stream, alone=page.shared) if watches else None,
        on_connect=page.on_connect,
        on_disconnect=page.on_disconnect,
        close_event=CLOSE_EVENT,
        sink=sink_selector(visit.origin),
        client=page.wire.client,
    )
    return LiveStream(group_options, options)


@dataclass(frozen=True, slots=True)
class _SharedRenders:
    runner: UpdateRunner
    cookies: SiteCookies

    async def render(self, paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:  # noqa: ARG002 - an endpoint reads everything that it shows
        update = self.runner.update_of(blocks)
        try:
            rendered = await self.runner.run(update)
        except StreamEndedError as ended:
            logger.warning(
                "closing the streams of the shared page %s: %s to a request without credentials; declare the page "
                "without shared=True if only some viewers may see it",
                update.page,
                ended,
            )
            raise
        if update.set_cookies:
            self.cookies.report_lost(update.page, update.set_cookies, "set none where is_update(request)")
        return rendered


class _ViewerRenders:
    """The renders for one viewer.

    Only the page's own request knows who the viewer is: the stream's request may have passed other middleware.

    Args:
        runner: Runs the updates.
        user: The user that the stream's request belongs to.
        cookies: The cookies of the viewer's browser.
    """

    def __init__(self, runner: UpdateRunner, user: str | None, cookies: ViewerCookies) -> None:
        self._runner = runner
        self._user = user
        self._cookies = cookies
        self._has_admitted = False

    def user_id(self) -> str | None:
        """Return the viewer's user id."""
        return self._user

    async def render(self, paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:  # noqa: ARG002 - as above
        admits, update = not self._has_admitted, self._runner.update_of(blocks)
        if admits:  # the middleware has waited for the turn
            await self._cookies.begin()
            rendered = await self._run(update, admits=True)
        else:
            turn = await self._cookies.turn()
            try:
                rendered = await self._run(update, admits=False)
            finally:
                turn.end()
        if not admits and update.user != self._user:
            raise StreamRestartError(f"the viewer of the page {update.page} is another user now")
        self._has_admitted, self._user = True, update.user
        return rendered

    async def _run(self, update: Update, *, admits: bool) -> Rendered:
        asgi_scope = self._cookies.scope(admits=admits)
        try:
            rendered = await self._runner.run(update, asgi_scope)
        except StreamEndedError as refusal:
            if not admits:  # the browser may have other cookies now: it comes back and is asked for them once
                # without the middleware, a page may be the answer to the stream, which htmx 4 requests in a loop
                raise StreamRestartError(str(refusal), soon=self._cookies.are_current) from refusal
            self._cookies.take(update.set_cookies, admits=True)
            raise
        except Exception:
            self._cookies.fail()
            raise
        self._cookies.take(update.set_cookies, admits=admits)
        return rendered
