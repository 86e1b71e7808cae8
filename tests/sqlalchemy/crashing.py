"""A program that adds a row, flushes it, and commits it on request. Every emitted scope is written to a file.

Arguments: the database's URL and the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive.sqlalchemy import emit_on_commit

from .models import Task

url, file = sys.argv[1:]


class FileBus(ReactiveBus):
    def emit_sync(self, event: ChangeEvent) -> None:
        with Path(file).open("a") as scopes:
            scopes.write(f"{event.scope}\n")


sessions = sessionmaker(create_engine(url))
emit_on_commit(sessions, FileBus(), {Task: lambda task: (f"board:{task.board_id}", {"tasks"})})
with sessions() as session:
    session.get_one(Task, 1).board_id = 2
    session.add(Task(title="second", board_id=1))
    session.flush()
    print("flushed", flush=True)
    if sys.stdin.readline() == "commit\n":
        session.commit()
        print("committed", flush=True)
