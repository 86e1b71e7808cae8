"""The application: the database, the parts, middleware and static files."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from sqlalchemy import URL
from starlette.middleware.sessions import SessionMiddleware

from starlette_reactive import Action, ReactiveMiddleware

from . import ask, boards, chat, documents, home, notifications, people, settings, wall
from .database import open_database
from .forms import is_htmx
from .live import reactive, templates

__all__ = ["create_app"]

PARTS = (home, boards, documents, chat, notifications, ask, wall, people)
STATIC = Path(__file__).parent / "static"


def create_app(database: URL | None = None) -> FastAPI:
    """Return the application. The database defaults to the one that the environment names."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_database(database or settings.database_url()) as sessions, anyio.create_task_group() as tasks:
            app.state.sessions, app.state.tasks = sessions, tasks
            yield
            tasks.cancel_scope.cancel()

    app = FastAPI(
        title="Tandem",
        lifespan=lifespan,
        exception_handlers={
            404: _not_found,
            RequestValidationError: _not_valid,
            people.SignInRequiredError: people.ask_to_sign_in,
        },
    )
    app.add_middleware(
        SessionMiddleware, secret_key=settings.secret() or secrets.token_urlsafe(), session_cookie="tandem"
    )
    app.add_middleware(ReactiveMiddleware, reactive=reactive)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/health", _health)
    app.include_router(reactive.router)
    for part in PARTS:
        app.include_router(part.router)
    return app


async def _health(response: Response) -> dict[str, object]:
    """Report to a load balancer whether this process receives the changes of the others."""
    health = reactive.health()
    response.status_code = 200 if health.connected else 503
    return {"engine": health.engine, "connected": health.connected, "waiting": health.waiting}


async def _not_found(request: Request, error: Exception) -> Response:
    message = error.detail if isinstance(error, HTTPException) else "There is nothing here."
    return _notice(request, 404, "Not found", message)


async def _not_valid(request: Request, _: Exception) -> Response:
    # FastAPI's own answer repeats the value, and fails if UTF-8 cannot encode it.
    return _notice(request, 422, "Not possible", "The request has a value that cannot be right.")


def _notice(request: Request, status: int, title: str, message: str) -> Response:
    if is_htmx(request):  # a short message in the open page, whose link or button was valid until just now
        return Action(trigger={"notice": {"message": message}, "dialog-done": {}})
    return templates.TemplateResponse(request, "missing.html", {"title": title, "message": message}, status_code=status)
