"""What a relay brings in from the engine: changes, histories, ended users and toasts."""

from __future__ import annotations

from .._core.events import ChangeEvent
from .._core.toasts import Toast
from .._log.replica import History, Replica
from .inbox import Inbox
from .levels import Levels
from .notifier import Notifier
from .roster import Roster
from .toasts import Toasts

__all__ = ["Inbound"]


class Inbound:
    """The bus as its relay sees it. Thread-safe. The methods are described at the protocol that it implements."""

    def __init__(
        self,
        inbox: Inbox,
        replica: Replica,
        roster: Roster,
        notifier: Notifier,
        levels: Levels,
        toasts: Toasts,
    ) -> None:
        self._inbox = inbox
        self._replica = replica
        self._roster = roster
        self._notifier = notifier
        self._levels = levels
        self._toasts = toasts

    def begin(self, epoch: str) -> None:
        with self._inbox:
            self._replica.begin(epoch)

    def reach_level(self, level: int) -> None:
        with self._inbox:
            self._replica.reach_level(level)

    def level(self, scope: str) -> int | None:
        with self._inbox:
            return self._replica.level(scope)

    def load(self, scope: str, history: History) -> None:
        with self._inbox:
            if not self._replica.is_open(scope):
                return
            for stamp, event in self._replica.load(scope, history):
                self._accept(event, stamp, None)
            self._levels.reached(scope)

    def forget(self, scope: str) -> None:
        with self._inbox:
            self._replica.forget(scope)

    def deliver(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        with self._inbox:
            self._accept(event, stamp, level)

    def _accept(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        self._replica.note_stamped(event, stamp, level)
        self._notifier.notify(event)

    def unload(self, scope: str) -> bool:
        with self._inbox:
            if scope in self._roster:
                return False
            self._replica.unload(scope)
            return True

    def end_user(self, user_id: str, scope: str | None) -> None:
        self._roster.end_user(user_id, scope)

    def show(self, toast: Toast) -> None:
        self._toasts.show(toast)
