"""What it costs to find out what a statement reads: at its first execution, and at each later one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, ForeignKey, create_engine, event, exists, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from starlette_reactive._core.reads import Reads, reading
from starlette_reactive._database.reads import watch_reads

from ..figures import Experiment, Goal, Rounds, Table, figure
from . import Settings

__all__ = ["reads"]

_EXECUTIONS = 200


class _Base(DeclarativeBase):
    pass


class _Board(_Base):
    __tablename__ = "board"
    id: Mapped[int] = mapped_column(primary_key=True)
    tasks: Mapped[list[_Task]] = relationship()


class _Task(_Base):
    __tablename__ = "task"
    id: Mapped[int] = mapped_column(primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("board.id"))
    done: Mapped[bool]


_STATEMENTS: dict[str, Any] = {
    "by primary key": select(_Board).where(_Board.id == 7),
    "two conditions": select(_Task).where(_Task.board_id == 7, ~_Task.done),
    "joined loading": select(_Board).where(_Board.id == 7).options(joinedload(_Board.tasks)),
    "EXISTS": select(_Board).where(_Board.id == 7, exists().where(_Task.board_id == _Board.id)),
    "a list of 3": select(_Task).where(_Task.board_id.in_([1, 2, 3])),
    "a list of 500": select(_Task).where(_Task.board_id.in_(range(500))),
}


def reads(settings: Settings) -> Experiment:
    """Microseconds of CPU for each execution that is recorded, and milliseconds for each new statement."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    _Base.metadata.create_all(engine)
    executions = {name: _execution(engine, statement) for name, statement in _STATEMENTS.items()}
    first: Rounds = {name: [] for name in executions}
    later: Rounds = {name: [] for name in executions}
    idle: list[float] = []
    for _ in range(settings.pick(15, 3)):
        for name, arguments in executions.items():
            stop = watch_reads(engine)
            (listen,) = engine.dispatch.before_cursor_execute
            with reading(Reads()):
                first[name].append(_seconds(listen, arguments, 1) * 1e3)
                later[name].append(_seconds(listen, arguments, _EXECUTIONS) * 1e6)
            idle.append(_seconds(listen, arguments, _EXECUTIONS) * 1e6)
            stop()
    rows = [[name, str(figure(later[name])), str(figure(first[name]))] for name in executions]
    rows.append(["not recorded", str(figure(idle)), ""])
    table = Table("finding out what a statement reads", ["statement", "an execution, us", "the first one, ms"], rows)
    short = [name for name in executions if "list" not in name]
    goals = [
        *(Goal(f"{name}, an execution: us", 10, figure(later[name])) for name in short),
        *(Goal(f"{name}, the first execution: ms", 3, figure(first[name])) for name in short),
    ]
    return Experiment("reads", [table], goals, {"us": later, "ms": first})


def _execution(engine: Engine, statement: Any) -> tuple[Any, ...]:
    """Execute a statement, and return what a listener is called with."""
    calls: list[tuple[Any, ...]] = []

    def listen(*arguments: Any) -> None:
        calls.append(arguments)

    event.listen(engine, "before_cursor_execute", listen)
    with Session(engine) as session:
        session.execute(statement).unique().all()
    event.remove(engine, "before_cursor_execute", listen)
    return (engine.connect(), *calls[0][1:])


def _seconds(listen: Callable[..., object], arguments: tuple[Any, ...], times: int) -> float:
    started = time.thread_time()
    for _ in range(times):
        listen(*arguments)
    return (time.thread_time() - started) / times
