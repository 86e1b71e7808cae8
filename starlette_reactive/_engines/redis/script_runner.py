"""Running Lua scripts: the commands that call them, and loading those that Redis does not know."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import NoScriptError

from . import scripts
from .codec import ScriptCall, encode
from .connection import Command, RedisConnection

__all__ = ["CallEncoder", "DataLostError", "ScriptRunner", "load_commands"]


class DataLostError(ConnectionError):
    """Redis has lost its data while it was running, as by FLUSHALL."""


class CallEncoder:
    """Turns script calls into commands.

    Args:
        prefix: The prefix of all keys.
        name: A name that no other caller has.
    """

    def __init__(self, prefix: str, name: str) -> None:
        self._prefix = prefix
        self._name = name
        self._number = itertools.count()

    def command(self, call: ScriptCall) -> Command:
        """Return the command of a call, with a token that no other call has."""
        script, arguments = call
        token = f"{self._name}-{next(self._number)}-"
        return ("EVALSHA", script.digest, 1, self._prefix, token, *map(encode, arguments))


def load_commands() -> list[Command]:
    """Return the commands that load all scripts."""
    return [("SCRIPT", "LOAD", script.source) for script in scripts.SCRIPTS]


class ScriptRunner:
    """Runs scripts and other commands on one connection.

    Args:
        connection: The connection.
        encoder: Encodes the calls.

    Attributes:
        birth: The birth of the data. ``None`` until the session begins.
    """

    def __init__(self, connection: RedisConnection, encoder: CallEncoder) -> None:
        self._connection = connection
        self._encoder = encoder
        self.birth: bytes | None = None

    async def begin(self) -> tuple[bytes, bytes, list[bytes]]:
        """Return the birth of the data, the level of the log, and the recent requests to end users' streams.

        From now on Redis must have the same data.
        """
        [(self.birth, level, ended)] = await self.ask([self._encoder.command((scripts.BEGIN, ()))])
        return self.birth, level, ended

    async def run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Call scripts, and return their answers without the birth that each begins with."""
        answers = await self.ask([self._encoder.command(call) for call in calls])
        for answer in answers:
            self.check_birth(answer[0])
        return [answer[1:] for answer in answers]

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands and return their answers. Loads the scripts if Redis does not know one of them."""
        if not commands:
            return []
        answers = await self._connection.ask(commands)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            _raise_first(await self._connection.ask(load_commands()))
            again = await self._connection.ask([commands[number] for number in unknown])
            for number, answer in zip(unknown, again, strict=True):
                answers[number] = answer
        _raise_first(answers)
        return answers

    def check_birth(self, birth: bytes) -> None:
        """Check that the data in Redis is the same as when the session began.

        Raises:
            DataLostError: It has another birth.
        """
        if self.birth is not None and birth != self.birth:
            raise DataLostError("Redis has lost its data")


def _raise_first(answers: Iterable[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
