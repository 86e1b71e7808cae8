"""What the first page takes for granted: an application that is wired, and a database."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI
from jinja2 import Environment, FileSystemLoader
from sqlalchemy import StaticPool, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from starlette_reactive import Reactive

app = FastAPI()
reactive = Reactive(Environment(loader=FileSystemLoader("."), autoescape=True))
app.include_router(reactive.router)
engine = create_engine("sqlite://", poolclass=StaticPool)


class Base(DeclarativeBase):
    """The models."""


class Task(Base):
    """A task of a board."""

    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    board_id: Mapped[int]
    title: Mapped[str]


def open_session() -> Iterator[Session]:
    """Open a session for a request."""
    with Session(engine) as session:
        yield session


Db = Annotated[Session, Depends(open_session)]
__all__ = ["select"]
