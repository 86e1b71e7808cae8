"""What makes a COMMIT last as long as a test wants, and loses its answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from sqlite3 import OperationalError, connect
from typing import LiteralString, Self

import psycopg

from ..engines.servers import PostgresServer

_PATIENCE = 60.0  # seconds, only against hanging


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, in a thread without an event loop."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


class _HeldCommits:
    """A connection beside those whose COMMIT is being held.

    Args:
        url: The server's URL, for psycopg.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def cancel(self) -> None:
        """Cancel the COMMITs that are being held."""
        self._call("pg_cancel_backend")

    def titles(self) -> list[str]:
        """Return the titles of the tasks that are visible now."""
        return [row[0] for row in self._connection.execute("SELECT title FROM tasks ORDER BY id")]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.close()

    def _call(self, function: LiteralString) -> None:
        for pid in self._waiting():
            self._connection.execute(f"SELECT {function}(%s)", (pid,))

    def _waiting(self) -> list[int]:
        raise NotImplementedError


class Gate(_HeldCommits):
    """Holds the COMMIT of every transaction that has written tasks, until it is opened.

    On PostgreSQL, a deferred trigger waits for a lock.

    Args:
        url: The server's URL, for psycopg.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._connection.execute(
            "CREATE OR REPLACE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$"
            "BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$"
        )
        self._connection.execute(
            "CREATE CONSTRAINT TRIGGER gate AFTER INSERT OR UPDATE ON tasks DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION pass_gate()"
        )
        self._connection.execute("SELECT pg_advisory_lock(1)")

    def is_reached(self) -> bool:
        """Return whether a COMMIT is being held."""
        return bool(self._waiting())

    def terminate(self) -> None:
        """End the connections whose COMMIT is being held."""
        self._call("pg_terminate_backend")

    def open(self) -> None:
        """Let all COMMITs pass."""
        self._connection.execute("SELECT pg_advisory_unlock_all()")

    def _waiting(self) -> list[int]:
        found = self._connection.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return [row[0] for row in found]


class SQLiteGate:
    """Holds COMMITs in a file of SQLite: a reader keeps its lock, and the writer tries again until its timeout.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = connect(path, isolation_level=None, check_same_thread=False)
        self._reader.execute("BEGIN")
        self._reader.execute("SELECT * FROM tasks").fetchall()

    def is_reached(self) -> bool:
        """Return whether a COMMIT is being held: it then lets no further reader in."""
        with contextlib.closing(connect(self._path, timeout=0)) as other:
            try:
                other.execute("SELECT * FROM tasks").fetchall()
            except OperationalError:
                return True
        return False

    def open(self) -> None:
        """Let the COMMIT pass."""
        self._reader.execute("COMMIT")

    def titles(self) -> list[str]:
        """Return the titles of the tasks that are visible now, or none while a COMMIT is being held."""
        with contextlib.closing(connect(self._path, timeout=0)) as other:
            try:
                return [row[0] for row in other.execute("SELECT title FROM tasks ORDER BY id")]
            except OperationalError:
                return []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._reader.close()


class MissingStandby(_HeldCommits):
    """Holds every COMMIT that asks for a standby: it is durable, and invisible until the server stops waiting.

    A cancelled COMMIT of this kind succeeds. Sessions ask with ``SET synchronous_commit = on``.

    Args:
        server: A server whose ``synchronous_standby_names`` names no standby that there is.
    """

    SETTINGS = {"synchronous_standby_names": "nobody", "synchronous_commit": "local"}  # noqa: RUF012

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server.url)

    def is_awaited(self) -> bool:
        """Return whether a COMMIT waits for the standby."""
        return bool(self._waiting())

    def _waiting(self) -> list[int]:
        found = self._connection.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        return [row[0] for row in found]


class Proxy:
    """A path to a server that can be lost in such a way that the server does not notice.

    Args:
        server_port: The server's port.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._is_lost = False
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self) -> None:
        """Reset the connections of all clients, and refuse new ones. The server keeps its ends."""
        self._is_lost = True
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.lose()
        for each in (self._listener, *self._servers, *self._clients):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_lost:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._server_port))
                self._clients.append(client)
                self._servers.append(server)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            if not self._is_lost:
                sink.shutdown(socket.SHUT_WR)
