"""A connection to Redis for a program without an event loop."""

from __future__ import annotations

import secrets
import time
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from ..._core.events import ChangeEvent
from . import codec as words
from .connection import Place, Words

__all__ = ["RedisSender"]


class RedisSender:
    """A connection that only emits.

    Args:
        place: Where Redis is.
        timeout: Seconds that connecting may take.
    """

    def __init__(self, place: Place, timeout: float) -> None:
        self._connection = place.connect(timeout)
        self._calls = words.Calls(place.prefix, secrets.token_hex(8))

    def send(self, event: ChangeEvent, timeout: float) -> None:
        """Have Redis accept an event."""
        deadline = time.monotonic() + timeout
        command = self._calls.command(words.emit_call(event))
        try:
            self._ask(command, deadline)
        except NoScriptError:
            for script in words.load_commands():
                self._ask(script, deadline)
            self._ask(command, deadline)

    def _ask(self, command: Words, deadline: float) -> None:
        self._connection.send_command(*command)
        if not self._connection.can_read(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("Redis has not answered in time")
        answer: Any = self._connection.read_response(disable_decoding=True)
        if isinstance(answer, RedisError):
            raise answer

    def close(self) -> None:
        """Disconnect."""
        self._connection.disconnect()
