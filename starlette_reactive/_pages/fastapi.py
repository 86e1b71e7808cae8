"""What FastAPI needs in addition to Starlette. Imported only where FastAPI is in use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

__all__ = ["dependency", "has_dependencies_before", "router_of"]


def router_of(
    routes: Iterable[BaseRoute], lifespan: Callable[[Any], AbstractAsyncContextManager[Any]] | None = None
) -> APIRouter:
    """Return routes with a lifespan, for ``app.include_router``."""
    return APIRouter(routes=list(routes), lifespan=lifespan)


def dependency(name: str, function: Callable[[Request, Response], object]) -> inspect.Parameter:
    """Return a parameter. FastAPI calls ``function`` with the request and what it injects when it resolves it."""

    async def depends(request: Request, response: Response) -> None:
        function(request, response)

    # Set here, because FastAPI would look up the annotations in this module as strings.
    depends.__annotations__ = {"request": Request, "response": Response}
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=Depends(depends), annotation=None)


def has_dependencies_before(request: Request) -> bool:
    """Return whether a route, a router or the application has dependencies that run before those of the endpoint."""
    scope = request.scope
    places = [scope.get("route"), getattr(scope.get("app"), "router", None)]
    details = scope.get("fastapi")  # FastAPI includes routers by reference, and keeps what the inclusion adds here
    if isinstance(details, dict):
        places += details.values()
    return any(getattr(place, "dependencies", None) for place in places)
