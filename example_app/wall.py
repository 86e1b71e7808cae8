"""A board on the wall: one render for all screens that show it.

With ``shared=True``, each change runs the endpoint once for all screens, without any visitor's cookies. So the page is
open to anyone who has its address, signed in or not.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from .boards import find_board, tasks_of
from .database import Session
from .inputs import Number
from .live import reactive

__all__ = ["router"]

router = APIRouter()


@router.get("/wall/{board_id}")
@reactive.page("wall.html", shared=True)
async def wall(board_id: Number, session: Session) -> dict[str, Any]:
    board = await find_board(session, board_id)
    return {"board": board, "columns": await tasks_of(session, board)}
