"""The home page: boards with their progress, and documents. Its queries are all that makes it live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Session
from .live import person_id, reactive
from .models import Board, Document, Task
from .notifications import unread_of
from .people import Me

__all__ = ["router"]

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Summary:
    """A board in the list."""

    id: int
    name: str
    total: int
    done: int


@router.get("/")
@reactive.page("home.html", user=person_id, exclude_blocks=["new_board", "new_document"])
async def home(me: Me, session: Session) -> dict[str, Any]:
    documents = await session.scalars(select(Document).order_by(Document.title))
    return {
        "me": me,
        "unread": await unread_of(session, me),
        "boards": await _summaries(session),
        "documents": list(documents),
    }


async def _summaries(session: AsyncSession) -> list[Summary]:
    done = func.count(Task.id).filter(Task.state == "done")
    query = (
        select(Board.id, Board.name, func.count(Task.id), done)
        .outerjoin(Task, Task.board_id == Board.id)
        .group_by(Board.id)
        .order_by(Board.name)
    )
    return [Summary(*row) for row in await session.execute(query)]
