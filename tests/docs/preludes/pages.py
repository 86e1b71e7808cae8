"""What the page on live pages takes for granted: applications, a template, and what reads and writes tasks."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, Request
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.templating import Jinja2Templates

from starlette_reactive import Reactive

__all__ = [
    "Annotated",
    "Form",
    "Me",
    "Mount",
    "Reactive",
    "RedirectResponse",
    "Request",
    "Starlette",
    "app",
    "reactive",
    "save_task",
    "shop",
    "slow_query",
    "tasks_of",
    "templates",
    "unread_of",
]

BOARD = """<ul id="tasks">{% block tasks %}{% for task in tasks %}<li>{{ task }}</li>{% endfor %}{% endblock %}</ul>
<p>{{ error }}</p><div {{ live() }}></div>"""
FIGURES = """<p id="revenue">{% block revenue %}{{ revenue.total }}{% endblock %}</p>"""
TASKS: dict[int, list[str]] = {}

templates = Jinja2Templates(
    env=Environment(loader=DictLoader({"board.html": BOARD, "figures.html": FIGURES}), autoescape=True)
)
reactive = Reactive(templates)
app = FastAPI()
shop = Starlette(routes=reactive.routes)
app.include_router(reactive.router)


def signed_in() -> str:
    return "ann"


Me = Annotated[str, Depends(signed_in)]


async def unread_of(person: str) -> int:
    return len(person)


async def tasks_of(board_id: int) -> list[Any]:
    return TASKS.get(board_id, [])


async def save_task(board_id: int, title: str) -> None:
    TASKS.setdefault(board_id, []).append(title)


async def slow_query() -> int:
    return 7
