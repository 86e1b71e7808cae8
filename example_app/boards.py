"""Boards: a page that is live because of what it reads.

The decorator makes one endpoint serve the page and its updates. The endpoints that change data only commit. The page
runs again after a commit that changes rows which it has read: tasks, activity, or the notifications of the bell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from starlette_reactive import Action, Fragment, ValidationError

from .database import Session
from .forms import answer, go_to, is_htmx, text_error
from .inputs import Number, NumberField, Text
from .live import everybody_signed_in, person_id, reactive, templates
from .models import STATES, Activity, Board, Person, Task, now
from .notifications import note, notify, unread_of
from .people import Me, everybody

__all__ = ["find_board", "router", "tasks_of"]

FEED_LENGTH = 8
LONGEST_TITLE = 120
VERBS = {"todo": "put back", "doing": "started", "done": "finished"}

router = APIRouter()


# The page


@router.get("/boards/{board_id}")
@reactive.page("board.html", share=everybody_signed_in, user=person_id, exclude_blocks=["add_task"])
async def board_page(board_id: Number, me: Me, session: Session) -> dict[str, Any]:
    board = await find_board(session, board_id)
    return {
        "me": me,
        "unread": await unread_of(session, me),
        "board": board,
        "columns": await tasks_of(session, board),
        "activity": await _activity_of(session, board),
    }


async def find_board(session: AsyncSession, board_id: int) -> Board:
    if board := await session.get(Board, board_id):
        return board
    raise HTTPException(404, "There is no such board.")


async def tasks_of(session: AsyncSession, board: Board) -> dict[str, list[Task]]:
    """Return the board's tasks by state, newest last."""
    columns: dict[str, list[Task]] = {state: [] for state in STATES}
    tasks = await session.scalars(select(Task).where(Task.board_id == board.id).order_by(Task.id))
    for task in tasks:
        columns[task.state].append(task)
    return columns


async def _activity_of(session: AsyncSession, board: Board) -> Sequence[Activity]:
    query = select(Activity).where(Activity.board_id == board.id).order_by(Activity.id.desc()).limit(FEED_LENGTH)
    return (await session.scalars(query)).all()


# Changes


async def _task(board_id: Number, task_id: Number, session: Session) -> Task:
    task = await session.get(Task, task_id)
    if task is None or task.board_id != board_id:
        raise HTTPException(404, "This task is gone: somebody deleted or moved it.")
    return task


CurrentTask = Annotated[Task, Depends(_task)]


@router.post("/boards")
async def create_board(request: Request, me: Me, session: Session, name: Text = "") -> Response:
    name = name.strip()
    if error := text_error(name, what="The board's name", longest=60):
        form = Fragment("home.html", "new_board", me=me, name=name)
        return answer(request, ValidationError(form, errors={"name": error}), back="/")
    board = Board(name)
    session.add(board)
    await session.flush()
    session.add(Activity(board.id, me.name, "opened", name))
    await session.commit()
    return go_to(request, f"/boards/{board.id}")


@router.post("/boards/{board_id}/tasks")
async def add_task(request: Request, board_id: Number, me: Me, session: Session, title: Text = "") -> Response:
    board, title = await find_board(session, board_id), title.strip()
    form: dict[str, Any] = {"me": me, "board": board}
    if error := text_error(title, what="The task", longest=LONGEST_TITLE):
        wrong = ValidationError(Fragment("board.html", "add_task", title=title, **form), errors={"title": error})
        return answer(request, wrong, back=f"/boards/{board_id}")
    session.add_all([Task(board_id, title), Activity(board_id, me.name, "added", title)])
    await session.commit()
    return answer(request, Fragment("board.html", "add_task", **form), back=f"/boards/{board_id}")


@router.post("/boards/{board_id}/tasks/{task_id}/move")
async def move_task(request: Request, me: Me, session: Session, task: CurrentTask, state: Text) -> Response:
    if state in STATES and state != task.state:
        task.state, task.changed_at = state, now()
        session.add(Activity(task.board_id, me.name, VERBS[state], task.title))
        await session.commit()
    return answer(request, Action(), back=f"/boards/{task.board_id}")


@router.get("/boards/{board_id}/tasks/{task_id}")
async def task_page(request: Request, me: Me, session: Session, task: CurrentTask) -> Response:
    """Return the form for the dialog, or as a page without JavaScript."""
    context = await _form_of(session, me, task)
    if is_htmx(request):
        return reactive.response(request, Fragment("task.html", "edit_task", **context))
    return templates.TemplateResponse(request, "task.html", context)


@router.post("/boards/{board_id}/tasks/{task_id}")
async def edit_task(
    request: Request,
    me: Me,
    session: Session,
    task: CurrentTask,
    title: Text = "",
    assignee: Text = "",
    board: NumberField = 0,
) -> Response:
    title, back = title.strip(), f"/boards/{task.board_id}"
    if error := text_error(title, what="The task", longest=LONGEST_TITLE):
        form = Fragment("task.html", "edit_task", **await _form_of(session, me, task) | {"title": title})
        return answer(request, ValidationError(form, errors={"title": error}), back=back)
    _rename(session, me, task, title)
    await _move_to_board(session, me, task, board)
    assigned = await _assign(session, me, task, assignee)
    await session.commit()
    if assigned:
        await notify(assigned)
    return answer(request, Action(trigger="dialog-done"), back=back)


@router.post("/boards/{board_id}/tasks/{task_id}/delete")
async def delete_task(request: Request, me: Me, session: Session, task: CurrentTask) -> Response:
    session.add(Activity(task.board_id, me.name, "deleted", task.title))
    await session.delete(task)
    await session.commit()
    return answer(request, Action(trigger="dialog-done"), back=f"/boards/{task.board_id}")


async def _form_of(session: AsyncSession, me: Person, task: Task) -> dict[str, Any]:
    boards = list(await session.scalars(select(Board).order_by(Board.name)))
    people = await everybody(session)
    return {"me": me, "task": task, "title": task.title, "boards": boards, "people": people}


def _rename(session: AsyncSession, me: Person, task: Task, title: str) -> None:
    if title != task.title:
        task.title, task.changed_at = title, now()
        session.add(Activity(task.board_id, me.name, "renamed", title))


async def _move_to_board(session: AsyncSession, me: Person, task: Task, board_id: int) -> None:
    if board_id not in (0, task.board_id):
        board = await find_board(session, board_id)
        session.add(Activity(task.board_id, me.name, f"moved to {board.name}", task.title))
        session.add(Activity(board.id, me.name, "brought over", task.title))
        task.board_id, task.changed_at = board.id, now()


async def _assign(session: AsyncSession, me: Person, task: Task, person_id: str) -> str | None:
    """Assign the task; return the id of the person to notify, if any."""
    person = await session.get(Person, person_id) if person_id else None
    assignee = person.id if person else None
    if assignee == task.assignee_id:
        return None
    task.assignee_id, task.changed_at = assignee, now()
    if person is None or person.id == me.id:
        return None
    await note(session, person.id, f"{me.name} gave you “{task.title}”.", f"/boards/{task.board_id}")
    return person.id
