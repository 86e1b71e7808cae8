"""A connection to PostgreSQL without an event loop.

It does not listen and sets no connection options, so it may go through a pooler. psycopg's ``execute`` has no timeout,
so the nonblocking functions of libpq are used instead.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import selectors
import time

import psycopg
from psycopg import pq

from ..messages import Outgoing
from . import queries
from .codec import events_json, hint_json, outgoing_json
from .connection import connection_options
from .installation import installation

__all__ = ["PostgresSender"]


class PostgresSender:
    """A connection that only sends.

    Args:
        url: The URL of the server.
        timeout: Seconds that connecting may take, for each address.
    """

    def __init__(self, url: str, timeout: float) -> None:
        options = connection_options(url, connect_timeout=math.ceil(timeout))
        self._connection = psycopg.connect(autocommit=True, **options)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._connection.fileno(), selectors.EVENT_READ)
        self._has_installed = False
        self._name = secrets.token_hex(8)

    def send(self, outgoing: Outgoing, timeout: float) -> None:
        """Commit events, ended users and toasts, and wake the sessions that read the log."""
        deadline = time.monotonic() + timeout
        if not self._has_installed:
            self._install(deadline)
        if outgoing.ended_users or outgoing.toasts:
            batch = outgoing_json(Outgoing(ended_users=outgoing.ended_users, toasts=outgoing.toasts))
            self._ask(queries.END, deadline, self._name, batch)
        if outgoing.events:
            self._ask(queries.EMIT, deadline, events_json(outgoing.events), hint_json(outgoing.events))

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
        """Run a query and return the first value of its answer."""
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
