"""What FastAPI needs beyond Starlette. Only imported where FastAPI is in use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.routing import BaseRoute

__all__ = ["dependency", "router_of"]


def router_of(routes: Iterable[BaseRoute]) -> APIRouter:
    """Return routes as a router for ``app.include_router``."""
    return APIRouter(routes=list(routes))


def dependency(name: str, function: Callable[[Request], object]) -> inspect.Parameter:
    """Return a parameter that has ``function`` called with the request when FastAPI resolves it."""

    async def depends(request: Request) -> None:
        function(request)

    # Resolved here: FastAPI would look for the annotation's name in this module as a string.
    depends.__annotations__ = {"request": Request}
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=Depends(depends), annotation=None)
