"""Receiving what an engine sends."""

from __future__ import annotations

import asyncio
import time

from .._core.toasts import Toast
from .engine import Session
from .messages import DeliveredEvent, EndUser, LevelReached, MemberChange, Message
from .scopes import ScopeFollower

__all__ = ["EngineSilentError", "Receiver"]


class EngineSilentError(ConnectionError):
    """No message has arrived from the engine for too long."""


class Receiver:
    """Receives messages and passes them on. Everything runs in the relay's event loop.

    Args:
        scopes: The scopes that are followed.
        heartbeat: Seconds between two messages of this process to itself.
    """

    def __init__(self, scopes: ScopeFollower, heartbeat: float) -> None:
        self._scopes = scopes
        self._heartbeat = heartbeat
        self._process = ""
        self._received_at = 0.0

    def begin(self, process: str) -> None:
        """Begin a session."""
        self._process = process
        self._received_at = time.monotonic()

    async def run(self, session: Session) -> None:
        """Receive messages."""
        while True:
            messages = await session.receive()
            self._received_at = time.monotonic()
            for message in messages:
                self._pass_on(message)

    def _pass_on(self, message: Message) -> None:
        match message:
            case DeliveredEvent():
                self._scopes.deliver(message)
            case LevelReached():
                self._scopes.reach_level(message)
            case MemberChange():
                self._scopes.change_member(message)
            case EndUser(process, user_id, scope):
                if process != self._process:
                    self._scopes.bus.end_user(user_id, scope)
            case Toast():
                self._scopes.bus.show(message)

    async def watch_silence(self, session: Session) -> None:  # noqa: ARG002 - one of a session's tasks
        """Raise if no message arrives during three heartbeats.

        Raises:
            EngineSilentError: No message has arrived.
        """
        while True:
            silence = time.monotonic() - self._received_at
            if silence > 3 * self._heartbeat:
                raise EngineSilentError(f"no message has arrived for {silence:.1f} s")
            await asyncio.sleep(self._heartbeat / 2)
