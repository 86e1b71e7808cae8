"""The cookies of one stream's browser: which of them updates carry, and what becomes of those that updates set.

No browser waits for the answer to an update. What it sets would be lost, and what it has used up would be missing at
the browser's next request. The run that admits a viewer is different: its browser waits, and the stream's own answer
can carry the cookies. So an update that sets cookies is not shown, and the browser connects again instead.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Iterable

from starlette.types import Scope

from .._core.errors import StreamRestartError
from .cookie_watch import CookieWatch, Watched, digest_of
from .cookies import (
    cookie_header,
    cookies_after,
    names_of,
    replaced_names,
    with_cookie_header,
    with_path,
    without_cookies,
)
from .held_answer import HeldAnswer
from .turns import Turn, turns_of_loop

__all__ = ["SiteCookies", "ViewerCookies"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_KEPT_SECONDS, _KEPT_COUNT = 60.0, 1_000  # of cookies whose browser has not come back for them


class SiteCookies:
    """The cookies of an application, as one Reactive object knows them.

    Args:
        watch: Notices that a browser has other cookies.
        own: The name of the package's own cookie.
        one_time: The names of cookies that can be used once. Updates do not carry them.
    """

    def __init__(self, watch: CookieWatch, own: str | None, one_time: Iterable[str]) -> None:
        self.watch = watch
        self.own = own
        self.one_time: frozenset[str] = frozenset(one_time)
        self._replacing: set[str] = set()  # pages whose runs have replaced cookies, and so may have used them up
        self._reported: set[str] = set()  # pages
        self._kept: OrderedDict[tuple[str, str], tuple[float, list[str]]] = OrderedDict()

    def note_replaced(self, page: str, names: Iterable[str]) -> None:
        """Record that a run of a page has replaced cookies."""
        if page not in self._replacing:
            self._replacing.add(page)
            logger.warning(
                "an update of the page %s sets cookies that its browser had already (%s), so from now on browsers "
                "connect again for each change of this page: set them only if not is_update(request), or name those "
                "that can be used once in Reactive(one_time_cookies=)",
                page,
                ", ".join(sorted(names)),
            )

    def replaces_cookies(self, page: str) -> bool:
        """Return whether runs of a page replace cookies."""
        return page in self._replacing

    def report_lost(self, page: str, set_cookies: Iterable[str], fix: str) -> None:
        """Log once for a page that cookies are lost."""
        if page not in self._reported:
            self._reported.add(page)
            names = ", ".join(sorted(names_of(set_cookies)))
            logger.warning("cookies that an update of the page %s sets are lost (%s): %s", page, names, fix)

    def keep(self, session: str, cookies: str, set_cookies: list[str]) -> None:
        """Keep what an update has set for the browser's next request with the cookies that it had."""
        key = session, digest_of(cookies)
        newest = {each.partition("=")[0]: each for each in [*self._kept.pop(key, (0.0, []))[1], *set_cookies]}
        self._kept[key] = (time.monotonic(), list(newest.values()))
        while len(self._kept) > _KEPT_COUNT:
            self._kept.popitem(last=False)

    @property
    def has_kept(self) -> bool:
        """Whether something is kept for a browser."""
        while self._kept and time.monotonic() - next(iter(self._kept.values()))[0] >= _KEPT_SECONDS:
            self._kept.popitem(last=False)
        return bool(self._kept)

    def take_kept(self, session: str, cookies: str) -> list[str]:
        """Return what is kept for a browser, once."""
        return self._kept.pop((session, digest_of(cookies)), (0.0, []))[1]


class ViewerCookies:
    """The cookies of one stream's browser.

    Args:
        site: What is known of the application's cookies.
        page: The key of the page.
        stream: What notices that the browser has other cookies.
        held: The answer to the stream's request. ``None`` if the middleware is missing.
        updates: The ASGI scope of the updates.
    """

    def __init__(self, site: SiteCookies, page: str, stream: Watched, held: HeldAnswer | None, updates: Scope) -> None:
        self._site = site
        self._page = page
        self._held = held
        self._updates = updates
        self._header = self._requested = cookie_header(updates)
        self._turns = turns_of_loop()
        self._stream = stream
        if held is not None:
            held.waits = True

    @property
    def are_current(self) -> bool:
        """Whether the middleware is there, which notices when the cookies change."""
        return self._held is not None

    async def begin(self) -> None:
        """Wait until the stream's answer has begun, and take over the cookies that it sets."""
        if self._held is not None:
            self._become(self._after(await self._held.set_cookies()))

    def _become(self, header: str) -> None:
        self._header = header
        self._stream.cookies = digest_of(header)

    def _after(self, set_cookies: Iterable[str]) -> str:
        return cookies_after(self._header, set_cookies, path=self._updates["path"])

    def scope(self, *, admits: bool, for_others: bool = False) -> Scope:
        """Return the ASGI scope of an update.

        Args:
            admits: Whether it is the run that admits the viewer. Only that carries cookies that can be used once.
            for_others: Whether others are shown what it renders. The browser may have to connect again afterwards.

        Raises:
            StreamRestartError: Another run might use up cookies, so the browser has to connect again.
        """
        if not admits and not for_others and self._site.replaces_cookies(self._page):
            raise StreamRestartError(f"updates of the page {self._page} replace cookies")
        one_time = () if admits else self._site.one_time
        header = without_cookies(self._header, one_time) if one_time else self._header
        return self._updates if header == self._requested else with_cookie_header(self._updates, header)

    async def turn(self) -> Turn:
        """Wait for the turn of an update among the updates and connecting streams of the browser.

        Raises:
            StreamRestartError: The browser has other cookies since.
        """
        turn = await self._turns.take(self._stream.session)
        try:
            self._refuse_outdated()
        except StreamRestartError:
            turn.end()
            raise
        return turn

    @property
    def turn_is_taken(self) -> bool:
        """Whether an update or a connecting stream of the browser has its turn."""
        return self._turns.is_taken(self._stream.session)

    @property
    def are_of_one_stream(self) -> bool:
        """Whether the browser has no other open stream, as far as is known."""
        return self._site.watch.count(self._stream.session) == 1

    def browser(self) -> tuple[str, str]:
        """Return what is equal for the streams of one browser whose cookies are equal.

        Raises:
            StreamRestartError: The browser has other cookies since.
        """
        self._refuse_outdated()
        return self._stream.session, self._stream.cookies

    def _refuse_outdated(self) -> None:
        if self._site.watch.is_outdated(self._stream):
            raise StreamRestartError("its browser has other cookies now")

    def fail(self) -> None:
        """Let the browser's other streams connect although the application has not admitted the viewer yet."""
        if self._held is not None:
            self._held.end_turn()

    def take(self, set_cookies: list[str], *, admits: bool) -> None:
        """Take over the cookies that an update has set.

        Args:
            set_cookies: The ``Set-Cookie`` headers of its answer.
            admits: Whether it was the run that admits the viewer.

        Raises:
            StreamRestartError: The browser has to connect again for them.
        """
        if not set_cookies:
            return
        own, path = self._site.own, self._updates["raw_path"].decode("latin-1")
        new = [with_path(each, path) for each in set_cookies if own is None or not each.startswith(f"{own}=")]
        before, after = self._header, self._after(new)
        if after == before:
            return
        if self._held is None:
            self._site.report_lost(self._page, new, "add ReactiveMiddleware to the application")
            return
        if replaced := replaced_names(before, after):
            self._site.note_replaced(self._page, replaced)
        if not admits:
            self._site.keep(self._stream.session, before, new)
            changed = digest_of(before), digest_of(after)
            self._site.watch.report(self._stream.session, *changed, math.inf, self._stream)
            raise StreamRestartError(f"an update of the page {self._page} sets cookies")
        self._become(after)
        self._held.add(new)
