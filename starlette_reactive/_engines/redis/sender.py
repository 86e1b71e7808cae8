"""A connection to Redis without an event loop."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError, RedisError, ResponseError

from ..messages import Outgoing
from .codec import emit_call, end_call, toast_call
from .connection import Command, RedisAddress
from .script_runner import CallEncoder, load_commands

__all__ = ["RedisSender"]


class RedisSender:
    """A connection that only sends.

    Args:
        address: The server.
        timeout: Seconds that connecting may take.
    """

    def __init__(self, address: RedisAddress, timeout: float) -> None:
        self._connection = address.open_sync_connection(timeout)
        self._name = secrets.token_hex(8)
        self._encoder = CallEncoder(address.prefix, self._name)

    def send(self, outgoing: Outgoing, timeout: float) -> None:
        """Send events, ended users and toasts, and wait until Redis has accepted them."""
        deadline = time.monotonic() + timeout
        ended = [end_call(self._name, *each) for each in outgoing.ended_users]
        calls = [*ended, *map(emit_call, outgoing.events), *map(toast_call, outgoing.toasts)]
        commands = [self._encoder.command(call) for call in calls]
        answers = self._ask(commands, deadline)
        if any(isinstance(answer, NoScriptError) for answer in answers):
            answers = self._ask([*load_commands(), *commands], deadline)
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer

    def _ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """Send commands and return their answers. Errors of single commands are returned, not raised."""
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._answer(deadline) for _ in commands]

    def _answer(self, deadline: float) -> Any:
        if not self._connection.can_read(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("Redis has not answered in time")
        try:
            return self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return error

    def close(self) -> None:
        """Disconnect."""
        self._connection.disconnect()
