"""What an application says of its data and of its viewers: the part of ``Reactive`` that endpoints call."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request

from .._bus.bus import ReactiveBus, hub_of
from .._core.events import ChangeEvent, ConnectionInfo, Health, UserId
from .browser_session import BrowserSession, name_of_session

__all__ = ["Changes"]


class Changes:
    """Emits changes, ends sessions, and tells who is connected.

    Args:
        bus: The event bus.
        sessions: Recognises browsers.
    """

    def __init__(self, bus: ReactiveBus, sessions: BrowserSession) -> None:
        self.bus: ReactiveBus = bus
        self._sessions = sessions

    async def emit(
        self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[UserId] | None = None
    ) -> None:
        """Notify the viewers of a scope that context paths have new values. Call it after the commit.

        Args:
            scope: The scope.
            *paths: The paths. ``"*"`` means all.
            origin: The mark of the tab that made the change. Defaults, while an endpoint under ``@reactive.html`` runs,
                to :meth:`origin` of its request, else to none.
            audience: The ids of the users that it is for. ``None`` means everybody.
        """
        await self.bus.emit(ChangeEvent(scope, paths, origin, audience))

    def emit_sync(
        self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[UserId] | None = None
    ) -> None:
        """Like :meth:`emit`, thread-safe and without blocking."""
        self.bus.emit_sync(ChangeEvent(scope, paths, origin, audience))

    def origin(self, request: Request) -> str | None:
        """Return the mark of the page that sent a request, if the page belongs to the same browser. Else ``None``."""
        return self._sessions.origin(request)

    def end_session(self, request: Request) -> int:
        """End the streams of the browser that sent a request. Call it where a user signs out.

        A stream goes on with the cookies that it was opened with. Where these stay valid by themselves, as those of
        ``SessionMiddleware`` and signed tokens do, nothing but this call ends it.

        Args:
            request: A request of the browser, before or after its session is cleared.

        Returns:
            How many streams were ended in this process. With an engine, those of other processes are ended too.
        """
        session = self._sessions.of(request)
        return 0 if session is None else hub_of(self.bus).end_session(name_of_session(session))

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who is connected to a scope."""
        return self.bus.presence(scope)

    def health(self) -> Health:
        """Return the state of the bus's engine, for a health endpoint."""
        return self.bus.health()
