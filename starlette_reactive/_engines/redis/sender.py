"""A connection to Redis for programs without an event loop."""

from __future__ import annotations

import secrets
import time
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from ..._core.events import ChangeEvent
from .codec import emit_call
from .connection import Command, RedisAddress
from .script_runner import CallEncoder, load_commands

__all__ = ["RedisSender"]


class RedisSender:
    """A connection that only emits.

    Args:
        address: The server.
        timeout: Seconds that connecting may take.
    """

    def __init__(self, address: RedisAddress, timeout: float) -> None:
        self._connection = address.open_sync_connection(timeout)
        self._encoder = CallEncoder(address.prefix, secrets.token_hex(8))

    def send(self, event: ChangeEvent, timeout: float) -> None:
        """Send an event and wait until Redis has accepted it."""
        deadline = time.monotonic() + timeout
        command = self._encoder.command(emit_call(event))
        try:
            self._ask(command, deadline)
        except NoScriptError:
            for load in load_commands():
                self._ask(load, deadline)
            self._ask(command, deadline)

    def _ask(self, command: Command, deadline: float) -> None:
        self._connection.send_command(*command)
        if not self._connection.can_read(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("Redis has not answered in time")
        answer: Any = self._connection.read_response(disable_decoding=True)
        if isinstance(answer, RedisError):
            raise answer

    def close(self) -> None:
        """Disconnect."""
        self._connection.disconnect()
