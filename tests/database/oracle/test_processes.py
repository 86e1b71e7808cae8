"""Processes that write at the same time, and one whose pages run again when their facts are met."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from queue import Empty, Queue
from random import Random

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive._core.facts import COMMITS, UNKNOWN, Facts, table_scope
from starlette_reactive._core.reads import Reads, reading
from starlette_reactive._database.tracking import track

from ...engines.servers import PostgresServer
from .harder_pages import PAGES
from .judge import changes_of
from .models import Base, fill

WRITERS = 2
PATIENCE = 30.0
"""Seconds that an event may take on a busy machine."""


class Reader:
    """Pages that are run again when their facts are met.

    Args:
        url: The database, on which the bus runs too.
        isolation: The isolation level of the transactions.
    """

    def __init__(self, url: str, isolation: str, stack: ExitStack) -> None:
        self.engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1), isolation_level=isolation)
        stack.callback(self._clear)
        Base.metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            fill(connection, Random(0))
        self._events: Queue[ChangeEvent] = Queue()
        bus = ReactiveBus.from_url(url)
        stack.callback(bus.stop)
        bus.start()
        for scope in (COMMITS, UNKNOWN, *map(table_scope, Base.metadata.tables)):
            stack.enter_context(bus.subscribe(scope))
        bus.observe(self._events.put)
        stack.callback(track(self.engine, bus.emit_sync).stop)
        self.texts: dict[str, str] = {}
        self._facts: dict[str, Facts] = {}
        self.runs = 0
        for page in PAGES:
            self._run(page)

    def _clear(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("drop schema reactive cascade"))
            Base.metadata.drop_all(connection)
        self.engine.dispose()

    def _run(self, page: str) -> None:
        reads = Reads()
        with reading(reads):
            self.texts[page] = self.read(page)
        self._facts[page] = reads.facts
        self.runs += 1

    def read(self, page: str) -> str:
        with Session(self.engine) as session:
            return PAGES[page](session, 1)

    def truth(self) -> dict[str, str]:
        return {page: self.read(page) for page in PAGES}

    def take_events(self) -> None:
        """Wait for events, and run the pages whose facts they meet."""
        try:
            events = [self._events.get(timeout=0.1)]
        except Empty:
            return
        while not self._events.empty():
            events.append(self._events.get())
        changed = changes_of(events)
        for page in [page for page, facts in self._facts.items() if facts.are_met_by(changed)]:
            self._run(page)


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_pages_of_one_process_show_what_others_commit(
    isolation: str, postgres: PostgresServer, request: pytest.FixtureRequest
) -> None:
    number = request.config.getoption("--tracking-commits")
    with ExitStack() as stack:
        reader = Reader(postgres.url, isolation, stack)
        first = dict(reader.texts)
        command = [sys.executable, "-m", "tests.database.oracle.writer", postgres.url, isolation, str(number)]
        writers = [stack.enter_context(subprocess.Popen([*command, str(seed)])) for seed in range(WRITERS)]
        while any(writer.poll() is None for writer in writers):
            reader.take_events()
        assert not any(writer.returncode for writer in writers)
        truth, deadline = reader.truth(), time.monotonic() + PATIENCE
        while reader.texts != truth and time.monotonic() < deadline:
            reader.take_events()
        assert reader.texts == truth
        assert reader.texts != first
