"""What can be asked of the boards and done to them. Nothing here knows that the pages are live."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncSession

from .models import Activity, Board, Task

FEED_LENGTH = 12
WELCOME = "Welcome"
WELCOME_TASKS = (
    "Open this board in a second tab",
    "Add a task there and watch it appear here",
    "Close that tab and watch the number of people",
)


@dataclass(frozen=True, slots=True)
class BoardSummary:
    """A line of the list of boards."""

    slug: str
    name: str
    total: int
    open: int


def slug_of(name: str) -> str:
    """Return the part of the URL for a board of that name: its words, in lower case, joined by hyphens."""
    return "-".join(re.findall(r"\w+", name.lower()))


async def list_boards(session: AsyncSession) -> list[BoardSummary]:
    open_tasks = func.count(Task.id).filter(Task.done.is_(False))
    query = (
        select(Board.slug, Board.name, func.count(Task.id), open_tasks)
        .outerjoin(Task, Task.board_id == Board.id)
        .group_by(Board.id)
        .order_by(Board.name)
    )
    return [BoardSummary(*row) for row in await session.execute(query)]


async def find_board(session: AsyncSession, slug: str) -> Board | None:
    return await session.scalar(select(Board).where(Board.slug == slug))


async def find_task(session: AsyncSession, slug: str, task_id: int) -> Task | None:
    query = select(Task).join(Board, Task.board_id == Board.id).where(Board.slug == slug, Task.id == task_id)
    return await session.scalar(query)


async def tasks_of(session: AsyncSession, board: Board) -> Sequence[Task]:
    """Return the board's tasks, those to do first, the newest of each kind on top."""
    query = select(Task).where(Task.board_id == board.id).order_by(Task.done, Task.id.desc())
    return (await session.scalars(query)).all()


async def activity_of(session: AsyncSession, board: Board) -> Sequence[Activity]:
    """Return what happened last on the board, the newest first."""
    query = select(Activity).where(Activity.board_id == board.id).order_by(Activity.id.desc()).limit(FEED_LENGTH)
    return (await session.scalars(query)).all()


async def create_board(session: AsyncSession, name: str) -> str:
    """Create the board unless there is one at its slug, and return the slug."""
    slug = slug_of(name)
    await session.execute(insert(Board).values(slug=slug, name=name).on_conflict_do_nothing())
    return slug


async def create_welcome_board(session: AsyncSession) -> None:
    """Give a new database a first board to look at."""
    if await session.scalar(select(func.count(Board.id))):
        return
    board = Board(slug=slug_of(WELCOME), name=WELCOME)
    session.add(board)
    await session.flush()
    for title in reversed(WELCOME_TASKS):
        add_task(session, board, title)


def add_task(session: AsyncSession, board: Board, title: str) -> None:
    session.add(Task(board.id, title))
    session.add(Activity(board.id, "added", title))


def set_done(session: AsyncSession, task: Task, done: bool) -> None:
    if task.done != done:
        task.done = done
        session.add(Activity(task.board_id, "finished" if done else "reopened", task.title))


def rename_task(session: AsyncSession, task: Task, title: str) -> None:
    if task.title != title:
        session.add(Activity(task.board_id, "renamed", title, former_title=task.title))
        task.title = title


async def delete_task(session: AsyncSession, task: Task) -> None:
    session.add(Activity(task.board_id, "deleted", task.title))
    await session.delete(task)
