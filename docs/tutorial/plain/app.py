from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates

app = FastAPI()
templates = Jinja2Templates(directory="templates")

boards: dict[int, list[str]] = {1: ["Book the band"], 2: []}


@app.get("/boards/{board_id}")
async def board(request: Request, board_id: int) -> Response:
    if board_id not in boards:
        raise HTTPException(404)
    context = {"board_id": board_id, "tasks": boards[board_id]}
    return templates.TemplateResponse(request, "board.html", context)


@app.post("/boards/{board_id}/tasks")
async def add(board_id: int, title: Annotated[str, Form()]) -> Response:
    boards[board_id].append(title)
    return RedirectResponse(f"/boards/{board_id}", status_code=303)
