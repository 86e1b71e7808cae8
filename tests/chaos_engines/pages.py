"""The page that all workers serve, and the data that it shows, which outlives workers and engines.

Everything that a page shows is ``name=value`` in a block of its own, so that pages can be compared as text. Who views a
board sees what is for everybody, the value of their own user, and a value for each place at the board, which only the
viewer who sits there changes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from jinja2 import DictLoader, Environment

from starlette_reactive import DependencyIndex

from ..chaos.club import marked, page_source
from ..chaos.dom import inner_html

PLACES = 5  # viewers at each board
USERS = ["ann", "bob", "cid"]
OPEN_PATHS = [f"p{number}" for number in range(7)]
OWN_PATHS = [f"own{number}" for number in range(PLACES)]
LATE_PATH = "late"  # what long transactions change
MINE = {user: f"mine-{user}" for user in USERS}
"""Where the value of each user is kept; pages show it as ``mine``."""

BLOCKS = {
    "single": ["p0"],
    "pair": ["p1", "p2"],
    "sums": ["total"],
    "addends": ["p3", "p4"],
    "tree": ["p5"],
    "leaf": ["p6"],
    "private": ["mine"],
    "slow": [LATE_PATH],
    **{f"place{number}": [path] for number, path in enumerate(OWN_PATHS)},
}
DERIVED = {"total": ("p3", "p4")}


def _source(block: str, inner: str = "") -> str:
    shown = " ".join(f"{path}={{{{ {path} }}}}" for path in BLOCKS[block])
    return f'<div id="{block}">{{% block {block} %}}{shown}{inner}{{% endblock %}}</div>\n'


SOURCE = "".join(_source(block, _source("leaf") if block == "tree" else "") for block in BLOCKS if block != "leaf")


def _element(block: str, shown: str) -> str:
    return f'<div id="{block}">{{% block {block} %}}{shown}{{% endblock %}}</div>\n'


OWN_OF_MEMBER = frozenset({"mine"})
CLUB_SOURCE = page_source(
    _element("single", "{{ p0 }}")
    + _element("pair", "{{ p1 }} {{ p2 }}")
    + _element("sums", "{{ total }}")
    + _element("tree", "{{ p5 }} {{ me }}" + _element("leaf", "{{ p6 }}"))
    + _element("frame", "{{ late }}" + _element("private", "{{ mine }}") + _element("addends", "{{ p3 }} {{ p4 }}"))
)
"""The page of members: a shared block in a personal one, and one that is personal because it is around another."""

env = Environment(loader=DictLoader({"page.html": SOURCE, "club.html": CLUB_SOURCE}), autoescape=True)


def make_index() -> DependencyIndex:
    index = make_club_index()
    index.register_template(env, "page.html")
    return index


def make_club_index() -> DependencyIndex:
    index = DependencyIndex()
    for derived, sources in DERIVED.items():
        index.derive(derived, from_paths=sources)
    return index


class Store(ABC):
    """A number for each path of each scope; each process and thread has a connection of its own."""

    @abstractmethod
    def read(self, scope: str) -> dict[str, int]:
        """Return the values of a scope that are not 0."""

    @abstractmethod
    def write(self, scope: str, values: Mapping[str, int]) -> None:
        """Commit some values of a scope."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections of all threads."""

    def context(self, scope: str, user: str) -> dict[str, Any]:
        """Return what the page of a user shows."""
        values = self.read(scope)
        shown: dict[str, Any] = {path: values.get(path, 0) for path in (*OPEN_PATHS, *OWN_PATHS, LATE_PATH)}
        shown["total"] = sum(shown[path] for path in DERIVED["total"])
        shown["mine"] = values.get(MINE[user], 0)
        return shown

    def page(self, scope: str, user: str) -> str:
        """Return a fresh page."""
        return env.get_template("page.html").render(self.context(scope, user))

    def club_page(self, scope: str, user: str, member: str, key: str) -> str:
        """Return what a fresh page of a member shows."""
        shown = marked(self.context(scope, user), key, member, OWN_OF_MEMBER)
        return inner_html(env.get_template("club.html").render(**shown, live=str, live_origin=str), "all")


class SQLiteStore(Store):
    """The data in a file, as many applications have it."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    def create(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("CREATE TABLE board (scope, path, value, PRIMARY KEY (scope, path)) WITHOUT ROWID")

    @property
    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
            found.execute("PRAGMA synchronous=OFF")  # workers are killed, the machine is not
            self._local.connection = found
            self._opened.append(found)
        return found

    def read(self, scope: str) -> dict[str, int]:
        return dict(self._connection.execute("SELECT path, value FROM board WHERE scope = ?", (scope,)).fetchall())

    def write(self, scope: str, values: Mapping[str, int]) -> None:
        rows = [(scope, path, value) for path, value in values.items()]
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR REPLACE INTO board VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")

    def close(self) -> None:
        for connection in self._opened:
            connection.close()


class PostgresStore(Store):
    """The data in the engine itself, where a change and its event are one transaction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()
        self._opened: list[psycopg.Connection] = []

    def create(self) -> None:
        with self.connected() as connection:
            connection.execute(
                "CREATE TABLE board (scope text, path text, value bigint NOT NULL, PRIMARY KEY (scope, path))"
            )

    @contextlib.contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """Give this thread's connection, in autocommit mode; one that fails is not used again."""
        found: psycopg.Connection | None = getattr(self._local, "connection", None)
        if found is None or found.closed:
            found = psycopg.connect(self._url, autocommit=True, connect_timeout=5, application_name="board")
            self._local.connection = found
            self._opened = [each for each in self._opened if not each.closed] + [found]
        try:
            yield found
        except psycopg.Error:
            found.close()
            raise

    def read(self, scope: str) -> dict[str, int]:
        with self.connected() as connection:
            return dict(connection.execute("SELECT path, value FROM board WHERE scope = %s", (scope,)).fetchall())

    def write(self, scope: str, values: Mapping[str, int]) -> None:
        with self.connected() as connection, connection.transaction():
            self.put(connection, scope, values)

    def write_and_emit(
        self,
        scope: str,
        values: Mapping[str, int],
        paths: list[str],
        origin: str | None = None,
        audience: list[str] | None = None,
    ) -> None:
        """Commit values and tell of them in one transaction."""
        with self.connected() as connection, connection.transaction():
            self.put(connection, scope, values)
            connection.execute("SELECT reactive.rx_emit(%s, %s, %s, %s)", (scope, paths, origin, audience))

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    @staticmethod
    def put(connection: psycopg.Connection, scope: str, values: Mapping[str, int]) -> None:
        for path, value in sorted(values.items()):  # always in the same order, so that writers do not lock each other
            connection.execute(
                "INSERT INTO board VALUES (%s, %s, %s) ON CONFLICT (scope, path) DO UPDATE SET value = excluded.value",
                (scope, path, value),
            )


def open_store(scope: str, stores: Mapping[str, Store]) -> Store:
    """Return where a scope's data is: ``ledger-…`` in PostgreSQL, ``board-…`` in the file."""
    return stores["ledger" if scope.startswith("ledger-") else "board"]
