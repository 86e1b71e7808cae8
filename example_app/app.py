"""The application: pages, and what their forms do.

Each mutation is the same three steps: change the database, commit, say what changed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from starlette_reactive import EventStream

from . import boards, live
from .models import Board, Task, open_database

router = APIRouter()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Form()]
BoardName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60, pattern=r"\w"), Form()]


async def get_board(slug: str, session: Session) -> Board:
    if board := await boards.find_board(session, slug):
        return board
    raise HTTPException(404, f"There is no board at “{slug}”.")


async def get_task(slug: str, task_id: int, session: Session) -> Task:
    if task := await boards.find_task(session, slug, task_id):
        return task
    raise HTTPException(404, "This task is gone: somebody has deleted it.")


CurrentBoard = Annotated[Board, Depends(get_board)]
CurrentTask = Annotated[Task, Depends(get_task)]


# Pages


@router.get("/")
async def home(request: Request, session: Session) -> Response:
    return live.templates.TemplateResponse(request, "home.html", {"boards": await boards.list_boards(session)})


@router.get("/boards/{slug}")
async def board_page(request: Request, slug: str) -> Response:
    cursor = live.cursor_of(slug)
    context = await board_context(request.app.state.sessions, slug)
    context |= {"cursor": cursor, "tab": uuid4().hex, "people": context["people"] + 1}
    return live.templates.TemplateResponse(request, "board.html", context)


@router.get("/boards/{slug}/tasks/{task_id}/rename")
async def rename_page(request: Request, board: CurrentBoard, task: CurrentTask) -> Response:
    return live.templates.TemplateResponse(request, "rename.html", {"board": board, "task": task})


# The live part of a board's page


@router.get("/boards/{slug}/stream")
async def board_stream(request: Request, slug: str, tab: str) -> EventStream:
    return live.board_stream(slug, tab, partial(board_context, request.app.state.sessions, slug))


async def board_context(sessions: async_sessionmaker[AsyncSession], slug: str) -> dict[str, Any]:
    """Read what a board shows; the page and its live updates share it."""
    async with sessions() as session:
        board = await get_board(slug, session)
        return {
            "board": board,
            "tasks": await boards.tasks_of(session, board),
            "activity": await boards.activity_of(session, board),
            "people": live.people_on(slug),
        }


# What the forms do


@router.post("/boards")
async def create_board(session: Session, name: BoardName) -> Response:
    slug = await boards.create_board(session, name)
    await session.commit()
    return RedirectResponse(f"/boards/{slug}", status_code=303)


@router.post("/boards/{slug}/tasks")
async def add_task(request: Request, session: Session, board: CurrentBoard, title: Title) -> Response:
    boards.add_task(session, board, title)
    return await commit_and_tell(request, session, board.slug)


@router.post("/boards/{slug}/tasks/{task_id}/toggle")
async def toggle_task(
    request: Request, slug: str, session: Session, task: CurrentTask, done: Annotated[bool, Form()]
) -> Response:
    boards.set_done(session, task, done)
    return await commit_and_tell(request, session, slug)


@router.post("/boards/{slug}/tasks/{task_id}/rename")
async def rename_task(request: Request, slug: str, session: Session, task: CurrentTask, title: Title) -> Response:
    boards.rename_task(session, task, title)
    return await commit_and_tell(request, session, slug)


@router.post("/boards/{slug}/tasks/{task_id}/delete")
async def delete_task(request: Request, slug: str, session: Session, task: CurrentTask) -> Response:
    await boards.delete_task(session, task)
    return await commit_and_tell(request, session, slug)


async def commit_and_tell(request: Request, session: AsyncSession, slug: str) -> Response:
    """Commit, tell everybody on the board, and answer: htmx needs no content, a plain form goes back to the page."""
    await session.commit()
    await live.changed(slug, "tasks", "activity")
    if "HX-Request" in request.headers:
        return Response(status_code=204)
    return RedirectResponse(f"/boards/{slug}", status_code=303)


# The application


async def not_found(request: Request, error: Exception) -> Response:
    context = {
        "message": error.detail if isinstance(error, HTTPException) else "There is nothing here.",
        "slug": request.path_params.get("slug"),
        "task_id": request.path_params.get("task_id"),
    }
    return live.templates.TemplateResponse(request, "missing.html", context, status_code=404)


def create_app(database: Path | None = None) -> FastAPI:
    """Return the application on this SQLite file; default: ``$TASKBOARD_DATABASE`` or ``taskboard.sqlite3``."""
    path = database or Path(os.environ.get("TASKBOARD_DATABASE", "taskboard.sqlite3"))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = await open_database(path)
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        async with app.state.sessions.begin() as session:
            await boards.create_welcome_board(session)
        yield
        await engine.dispose()

    app = FastAPI(title="Task board", lifespan=lifespan, exception_handlers={404: not_found})
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.include_router(router)
    return app
