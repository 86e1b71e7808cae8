"""What FastAPI needs beyond Starlette. Only imported where FastAPI is in use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.routing import BaseRoute

__all__ = ["dependency", "has_dependencies_before", "router_of"]


def router_of(
    routes: Iterable[BaseRoute], lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None
) -> APIRouter:
    """Return routes, and what happens when the application starts and ends, for ``app.include_router``."""
    return APIRouter(routes=list(routes), lifespan=lifespan)


def dependency(name: str, function: Callable[[Request], object]) -> inspect.Parameter:
    """Return a parameter that has ``function`` called with the request when FastAPI resolves it."""

    async def depends(request: Request) -> None:
        function(request)

    # Resolved here: FastAPI would look for the annotation's name in this module as a string.
    depends.__annotations__ = {"request": Request}
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=Depends(depends), annotation=None)


def has_dependencies_before(request: Request) -> bool:
    """Tell whether a route, a router or the application has dependencies that run before those of the endpoint."""
    scope = request.scope
    places = [scope.get("route"), getattr(scope.get("app"), "router", None)]
    details = scope.get("fastapi")  # since FastAPI includes routers by reference, what the inclusion adds is here
    if isinstance(details, dict):
        places += details.values()
    return any(getattr(place, "dependencies", None) for place in places)
