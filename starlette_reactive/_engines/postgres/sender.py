"""A connection to PostgreSQL for a program without an event loop.

It does not listen, so a pooler may lie between; and it gives the connection no settings, which a pooler would refuse.
psycopg's own ``execute`` waits for as long as the server takes, so what libpq has for programs that wait themselves is
used instead.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import time

import psycopg
from psycopg import pq

from ..._core.events import ChangeEvent
from . import queries
from .codec import emit_words
from .connection import arguments, installation

__all__ = ["PostgresSender"]


class PostgresSender:
    """A connection that only emits.

    Args:
        url: Where the server is.
        timeout: Seconds that connecting may take, for each address.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._connection = psycopg.connect(autocommit=True, **arguments(url, connect_timeout=math.ceil(timeout)))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._connection.fileno(), selectors.EVENT_READ)
        self._has_installed = False

    def send(self, event: ChangeEvent, timeout: float) -> None:
        """Commit an event, and wake those who read."""
        deadline = time.monotonic() + timeout
        if not self._has_installed:
            self._install(deadline)
        self._ask(queries.EMIT, deadline, *emit_words(event))

    def _install(self, deadline: float) -> None:
        steps = installation(self._connection.info.user)
        with contextlib.suppress(StopIteration):
            query = next(steps)
            while True:
                try:
                    answer = self._ask(query, deadline)
                except psycopg.Error as error:
                    query = steps.throw(error)
                else:
                    query = steps.send(answer)
        self._has_installed = True

    def _ask(self, query: str, deadline: float, *parameters: str | None) -> str | None:
        """Run a query, and return the first value of its answer."""
        server = self._connection.pgconn
        server.send_query_params(query.encode(), [None if each is None else each.encode() for each in parameters])
        while server.flush():
            self._selector.modify(server.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            self._wait(deadline)
            server.consume_input()
            self._selector.modify(server.socket, selectors.EVENT_READ)
        value: bytes | None = None
        while True:
            while server.is_busy():
                self._wait(deadline)
                server.consume_input()
            result = server.get_result()
            if result is None:
                return None if value is None else value.decode()
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
            value = result.get_value(0, 0) if result.ntuples else None

    def _wait(self, deadline: float) -> None:
        if not self._selector.select(max(0.0, deadline - time.monotonic())):
            raise TimeoutError("PostgreSQL has not answered in time")

    def close(self) -> None:
        """Disconnect."""
        self._selector.close()
        self._connection.close()
