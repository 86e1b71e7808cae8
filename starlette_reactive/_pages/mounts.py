"""Paths of routes in an application that may contain mounted applications, and be mounted itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, NoMatchFound
from starlette.types import ASGIApp

from .._streams.servers import server_of

__all__ = [
    "is_below_mount",
    "is_mounted",
    "outermost_router",
    "path_in",
    "routes_of",
    "routes_with_path_of",
    "served_app",
]


def is_mounted(request: Request) -> bool:
    """Return whether the application that received a request is mounted in another one."""
    return request.scope.get("router") is not request.app.router


def path_in(request: Request, name: str, /, **path_params: Any) -> str | None:
    """Return the path of a named route below the root path of the outermost application.

    Args:
        request: A request to the application, or to one that is mounted in it.
        name: The route's own name, without the names of the mounts around it.
        **path_params: The parameters in its path.
    """
    outermost = outermost_router(request)
    for full_name in () if outermost is None else (name, *_names_below(outermost, name)):
        try:
            return str(outermost.url_path_for(full_name, **path_params))
        except NoMatchFound:
            pass
    return None


def is_below_mount(request: Request, name: str) -> bool:
    """Return whether a named route belongs to an application that is mounted in the outermost one."""
    return all(getattr(route, "name", None) != name for route in _own_routes(outermost_router(request)))


def outermost_router(request: Request) -> Any:
    """Return the router of the application that received a request first. ``None`` if no router has seen it."""
    return request.scope.get("router") or getattr(request.scope.get("app"), "router", None)


def routes_of(app: Any) -> Iterator[BaseRoute]:
    """Yield the routes of an application, of the routers in it, and of what is mounted in it."""
    for route in getattr(app, "routes", None) or ():
        yield route
        yield from routes_of(getattr(route, "original_router", route))  # FastAPI's included routers, then mounts


def routes_with_path_of(app: Any, name: str) -> set[str]:
    """Return the names of the routes of an application that have the same path as a named one."""
    own = _host_and_path(app, name)
    names: set[str] = {getattr(route, "name", None) or "" for route in routes_of(app)}
    return set() if own is None else {each for each in names if _host_and_path(app, each) == own}


def _host_and_path(app: Any, name: str) -> tuple[str, str] | None:
    try:
        found = app.url_path_for(name)
    except NoMatchFound:
        return None
    return found.host, str(found)


def _own_routes(app: Any) -> Iterator[BaseRoute]:
    """Yield the routes of an application, but not those of the applications that are mounted in it."""
    for route in getattr(app, "routes", None) or ():
        yield route
        if not _mounts_application(route):
            yield from _own_routes(getattr(route, "original_router", route))


def _mounts_application(route: BaseRoute) -> bool:
    """Return whether a route leads to an application, and not only to a router, below any middleware of its own."""
    app = getattr(route, "app", None)
    while app is not None and not hasattr(app, "routes"):
        app = getattr(app, "app", None)
    return hasattr(app, "router")


def _names_below(app: Any, name: str, around: str = "") -> Iterator[str]:
    for route in getattr(app, "routes", None) or ():
        inner = getattr(route, "routes", None)
        mount = getattr(route, "name", None)
        if inner and mount:
            yield f"{around}{mount}:{name}"
            yield from _names_below(route, name, f"{around}{mount}:")


def served_app(request: Request) -> ASGIApp | None:
    """Return the application that the server of a request calls, the outermost one, if the server is uvicorn."""
    app = getattr(getattr(server_of(request.scope).native(), "config", None), "loaded_app", None)
    while type(app).__module__.startswith("uvicorn."):
        app = getattr(app, "app", None)
    return app
