"""A viewer among those who see the same: which group it belongs to, whether it still does, and its part in the runs."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import cast

import anyio
from starlette.exceptions import HTTPException

from .._core.blocks import BlockRef
from .._core.errors import StreamRestartError
from .._streams.event_ids import EventId
from .._streams.group_options import GroupOptions
from .._streams.joint import Joint
from .._streams.rendering import Rendered
from .cookie_watch import Watched
from .page import Page
from .share import SIMPLE_KEYS, Key, Share
from .shared_runs import Difference, SharedRuns, no_longer_shared
from .varying import Varying
from .viewer_renders import ViewerRenders
from .visits import Visit

__all__ = ["ViewerShare"]


class ViewerShare:
    """A viewer of a page with ``share=``.

    Args:
        page: The page.
        share: What its viewers share.
        visit: The visit that the stream is for.
        where: What identifies the page's address and the application, for the group's key.
        renders: The viewer's own renders.
        stream: What notices that its browser has other cookies.
        options: How groups of the page are served.
    """

    __slots__ = (
        "_checked_at",
        "_joint",
        "_options",
        "_page",
        "_partition",
        "_renders",
        "_share",
        "_simple",
        "_stream",
        "_value",
        "_visit",
        "_where",
    )

    def __init__(
        self,
        page: Page,
        share: Share,
        visit: Visit,
        where: tuple[Hashable, ...],
        renders: ViewerRenders,
        stream: Watched,
        options: GroupOptions,
    ) -> None:
        self._page = page
        self._share = share
        self._visit = visit
        self._where = where
        self._renders = renders
        self._stream = stream
        self._options = options
        self._partition = share.partition()
        self._checked_at = 0.0
        self._value: Hashable = None
        self._simple: type | None = None  # the type of the value, if equal values of the type are equal keys
        self._joint: Joint | None = None

    def own_options(self) -> GroupOptions:
        """Return how the viewer's own group is served, which admits it and renders its personal blocks."""
        registry = self._partition.personal or self._page.registry.part(())
        return replace(self._options, registry=registry, heartbeat_interval=0.0, follows=True)

    # What the stream asks

    @property
    def has_personal(self) -> bool:
        return self._partition.personal is not None

    @property
    def nested(self) -> Mapping[BlockRef, tuple[BlockRef, ...]]:
        return self._partition.nested

    def group(self) -> tuple[GroupOptions, Hashable]:
        key, read = self._key, partial(self._options.hub.read, self._options.scope)
        options = replace(
            self._options,
            registry=self._partition.shared,
            render=SharedRuns(self._page.key, self._share, self._partition, key, read),
            authorises=False,
            alone=False,
            key=self._page.digest_of(key),
            browser=None,
            personal=self._partition.personal,
        )
        return options, (*self._where, key, self._partition)

    def joined(self, joint: Joint) -> Callable[[], object]:
        self._joint = joint
        self._checked_at = time.monotonic()
        self._value = self._key.value
        self._simple = type(self._value) if type(self._value) in SIMPLE_KEYS else None
        runs = cast("SharedRuns", joint.shared.options.render)
        runs.read = joint.shared.scopes.read_all
        runs.add(self)
        if runs.have_failed:
            joint.shared.retry()  # the application has just admitted this viewer, so its run may succeed
        return lambda: runs.remove(self)

    def has_key(self, requested: EventId) -> bool:
        mark = self._visit.origin
        had = requested.key if requested.cursor else ("" if self._share.has_moved(mark) else self._visit.key)
        if had and had == self._page.digest_of(self._key):
            return True
        self._share.note_moved(mark)
        return False

    @property
    def _key(self) -> Key:
        if self._renders.key is None:
            raise StreamRestartError(f"a viewer of the page {self._page.key} has not been admitted")
        return self._renders.key

    def check(self) -> StreamRestartError | Awaitable[StreamRestartError | None] | None:
        # It runs for each viewer and update, so it looks into tuples only if it has to.
        if self._share.partition() is not self._partition:
            return no_longer_shared(self._page.key)
        recheck = self._share.recheck
        if recheck and time.monotonic() - self._checked_at < recheck:
            return None
        try:
            value = self._share.key_of(self._renders.request)
            if type(value) is self._simple and value == self._value and not recheck:
                return None
            return self._judged_later(value) if inspect.isawaitable(value) else self._judged(value)
        except Exception as error:  # noqa: BLE001 - logged
            return self._failed(error)

    async def _judged_later(self, value: Awaitable[object]) -> StreamRestartError | None:
        try:
            with anyio.fail_after(self._page.settings.update_timeout):
                return self._judged(await value)
        except Exception as error:  # noqa: BLE001 - logged
            return self._failed(error)

    def _judged(self, value: object) -> StreamRestartError | None:
        key = self._share.as_key(value)
        if key is None:
            return self._refused("there is no key for it")
        if key != self._key:
            return StreamRestartError(f"a viewer of the page {self._page.key} has another key now", whole=True)
        self._checked_at = time.monotonic()
        return None

    def _refused(self, why: str) -> StreamRestartError:
        message = f"a viewer of the page {self._page.key} may not see it: {why}"
        return StreamRestartError(message, soon=self._renders.knows_cookies)

    def _failed(self, error: Exception) -> StreamRestartError:
        if isinstance(error, HTTPException):
            return self._refused(f"share= answers {error.status_code}")
        what = f"looking for the key of a viewer of the page {self._page.key}"
        self._page.settings.hub.failures.log(what, error, kind=self._page.key)
        return StreamRestartError(f"{what} failed", soon=False)

    # Its part in the runs for all

    @property
    def session(self) -> str:
        """The name of its browser's session."""
        return self._stream.session

    @property
    def person(self) -> str:
        user = self._renders.user_id()
        return f"session {self.session}" if user is None else f"user {user}"

    @property
    def is_ending(self) -> bool:
        return self._joint is None or self._joint.viewer.end_reason is not None

    @property
    def is_busy(self) -> bool:
        return self._renders.is_busy

    async def run(self, blocks: list[BlockRef], varying: Varying | None) -> Rendered:
        rendered, restart = await self._renders.render_for_others(blocks, varying)
        if restart is not None:
            self.restart(restart)
        return rendered

    def restart(self, restart: StreamRestartError) -> None:
        if self._joint is not None:
            self._joint.restart(restart)

    def differed(self, difference: Difference) -> None:
        self._page.settings.hub.counts.differ()
        if self._joint is not None:
            self._joint.shared.traces.differed(difference.block, str(difference))
