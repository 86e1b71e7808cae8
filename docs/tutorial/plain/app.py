from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Task(Base):
    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    board_id: Mapped[int]
    title: Mapped[str]


engine = create_engine("sqlite:///boards.sqlite3")
Base.metadata.create_all(engine)

app = FastAPI()
templates = Jinja2Templates(directory="templates")


def open_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


Database = Annotated[Session, Depends(open_session)]


@app.get("/boards/{board_id}")
def board(request: Request, board_id: int, session: Database) -> Response:
    tasks = session.scalars(select(Task).where(Task.board_id == board_id)).all()
    context = {"board_id": board_id, "tasks": tasks}
    return templates.TemplateResponse(request, "board.html", context)


@app.post("/boards/{board_id}/tasks")
def add(board_id: int, title: Annotated[str, Form()], session: Database) -> Response:
    session.add(Task(board_id=board_id, title=title))
    session.commit()
    return RedirectResponse(f"/boards/{board_id}", status_code=303)
