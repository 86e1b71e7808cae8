"""A board on the wall: one render for all screens that show it.

With ``shared=True`` a change runs the endpoint once, however many screens watch, and without anybody's cookie. So the
page is for everybody who has its address, signed in or not.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from .boards import find_board, tasks_of
from .database import Session
from .live import reactive

__all__ = ["router"]

router = APIRouter()


@router.get("/wall/{board_id}")
@reactive.page("wall.html", scope="board:{board_id}", shared=True)
async def wall(board_id: int, session: Session) -> dict[str, Any]:
    board = await find_board(session, board_id)
    return {"board": board, "columns": await tasks_of(session, board)}
