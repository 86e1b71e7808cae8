"""How a toast reaches the viewers of its scope: at most once, and only those that are connected.

Without a relay, it is passed to the members of this process. With a relay, it goes to the engine and comes back, here
as in every other process. Nothing keeps it for who connects later.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from .._core.errors import EmitTimeoutError
from .._core.toasts import Toast
from .._engines import Relay
from .inbox import Inbox
from .link import setter
from .roster import Roster

__all__ = ["Toasts"]


class Toasts:
    """Sends toasts. Thread-safe.

    Args:
        inbox: The bus's lock.
        roster: The members, who are shown toasts.
        relay: Takes toasts to an engine, if there is one.
    """

    def __init__(self, inbox: Inbox, roster: Roster, relay: Relay | None) -> None:
        self._inbox = inbox
        self._roster = roster
        self._relay = relay

    def send_sync(self, toast: Toast, accepted: Callable[[], None] | None = None) -> None:
        """Send a toast.

        Args:
            toast: The toast.
            accepted: With a relay: called in any thread once the engine has accepted the toast.

        Raises:
            EmitTimeoutError: The relay was not started, and the engine has not accepted the toast in time.
        """
        if self._relay is None:
            self.show(toast)
        else:
            self._relay.send_toast(toast, accepted)

    async def send(self, toast: Toast) -> None:
        """Send a toast and wait until it is accepted, by the engine if there is one.

        Raises:
            EmitTimeoutError: The engine has not accepted the toast in time.
        """
        if self._relay is None:
            self.show(toast)
            await checkpoint()
            return
        accepted = anyio.Event()
        self.send_sync(toast, setter(accepted))
        with anyio.move_on_after(self._relay.patience):
            await accepted.wait()
            return
        raise EmitTimeoutError(
            f"{self._relay.name} has not accepted the toast for {toast.scope!r} within {self._relay.patience:g} s, and "
            "it is not kept: see bus.health()"
        )

    def show(self, toast: Toast) -> None:
        """Send a toast to the members in this process."""
        self._inbox.do(functools.partial(self._show, toast))

    def _show(self, toast: Toast) -> None:
        for member in self._roster.members(toast.scope):
            if member.show is not None and toast.is_for(member.user_id):
                self._inbox.call_back(functools.partial(member.show, toast))
