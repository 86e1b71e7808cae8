"""The stream of a visit: who its viewer is, what its updates count for, and what they are rendered by."""

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
from .._core.errors import StreamEndedError
from .._core.events import ConnectionInfo
from .._streams.compression import Segments
from .._streams.group_options import GroupOptions
from .._streams.joint import JointStream
from .._streams.live_response import LiveStream, ViewerOptions
from .._streams.rendering import Rendered
from .browser_session import name_of_session, session_id_of
from .changes import mark_of
from .cookie_watch import Watched, digest_of
from .cookies import cookie_header
from .deferred import is_complete
from .held_answer import held_answer
from .page import Page
from .places import Claim, places_of_loop
from .update import UpdateRunner, update_scope
from .viewer_cookies import SiteCookies, ViewerCookies
from .viewer_renders import ViewerRenders
from .viewer_share import ViewerShare
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
    renders: _SharedRenders | ViewerRenders
    if page.shared:
        renders = _SharedRenders(runner, settings.cookies)
    else:
        renders = ViewerRenders(runner, user, ViewerCookies(settings.cookies, page.key, stream, held, asgi_scope))
    group_options = GroupOptions(
        hub=settings.hub,
        scope=visit.scopes[0],
        registry=page.registry,
        render=renders.render,
        heartbeat_interval=settings.heartbeat,
        send_timeout=_SEND_TIMEOUT,
        debug=settings.debug,
        authorises=True,
        own_origin=mark_of(page.key),
        renewal=renewal,
        alone=not page.shared,
        browser=None if page.shared or session is None else stream.session,
        tracked=page.outermost_blocks if page.is_tracked else None,
        segments=_segments_for(page),
        uncompressed=page.uncompressed,
    )
    where = (app, page.key, *visit.address, root_path)
    options = ViewerOptions(
        # Shared or not, an update sees no context variable of the stream's request, which would be out of date.
        share=where if page.shared else object(),
        others=visit.scopes[1:],
        after=visit.cursor,
        origin=visit.origin,
        connection=ConnectionInfo(session_id_of(visit.origin), user, started),
        session=None if session is None else name_of_session(session),
        place=settings.limits.place(user, address),
        owed_paths=frozenset(() if page.deferred is None or is_complete(visit.query) else page.deferred.blocks),
        user_id=None if isinstance(renders, _SharedRenders) else renders.user_id,
        on_join=settings.cookies.watch.joining(stream, alone=page.shared) if watches else None,
        on_connect=page.on_connect,
        on_disconnect=page.on_disconnect,
        close_event=CLOSE_EVENT,
        sink=sink_selector(visit.origin),
        client=page.wire.client,
        tells_own=True,
    )
    if page.share is None or not isinstance(renders, ViewerRenders):
        return LiveStream(group_options, options)
    sharing = ViewerShare(page, page.share, visit, where, renders, stream, group_options)
    return JointStream(sharing.own_options(), options, sharing)


def _segments_for(page: Page) -> Segments | None:
    if not page.compress:
        return None
    return Segments() if page.shared or page.share is not None else Segments(1)  # one viewer has use for no more


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
