"""What FastAPI needs in addition to Starlette. Imported only where FastAPI is in use."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.dependencies.utils import request_params_to_args
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

__all__ = ["converted_values", "dependency", "has_dependencies_before", "route_contexts", "router_of"]


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


def route_contexts(routes: Sequence[BaseRoute]) -> Iterator[RouteContext]:
    """Yield routes as they are reached: those of included routers with their prefixes."""
    return iter_route_contexts(routes)


def converted_values(route: Any, request: Request, path_params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what an endpoint gets from the path and the query of a request, and the parameters of its path.

    Args:
        route: The endpoint's route.
        request: A request whose query counts.
        path_params: The parameters of the path, as text.

    Returns:
        The values without those that only a dependency, a header, a cookie or a body gives. ``None`` if the endpoint
        would not be called, because a value is not valid.
    """
    dependant = getattr(route, "dependant", None)
    if dependant is None:
        return dict(path_params)
    others = {each.name for each in (*dependant.dependencies, *dependant.header_params)}
    others |= {each.name for each in (*dependant.cookie_params, *dependant.body_params)}
    values = {name: value for name, value in path_params.items() if name not in others}
    for fields, received in ((dependant.path_params, path_params), (dependant.query_params, request.query_params)):
        found, errors = request_params_to_args(fields, received)
        if errors:
            return None
        values |= found
    return values
