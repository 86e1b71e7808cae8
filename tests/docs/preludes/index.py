"""What the first page takes for granted: an application that is wired, and a store."""

from fastapi import FastAPI
from jinja2 import Environment, FileSystemLoader

from starlette_reactive import Reactive

app = FastAPI()
reactive = Reactive(Environment(loader=FileSystemLoader("."), autoescape=True))
app.include_router(reactive.router)


async def load_tasks(board_id: int) -> list[str]:
    return []


async def save_task(board_id: int, title: str) -> None: ...
