"""Paths of routes in an application that may contain mounted applications, and be mounted itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, NoMatchFound

__all__ = ["is_mounted", "path_in", "root_of", "routes_of"]


def is_mounted(request: Request) -> bool:
    """Return whether the application that received a request is mounted in another one."""
    return request.scope.get("router") is not request.app.router


def path_in(request: Request, name: str) -> str | None:
    """Return the path of a named route below the root path of the outermost application.

    Args:
        request: A request to the application, or to one that is mounted in it.
        name: The route's own name, without the names of the mounts around it.
    """
    outermost = request.scope.get("router") or request.app.router
    for full_name in (name, *_names_below(outermost, name)):
        try:
            return str(outermost.url_path_for(full_name))
        except NoMatchFound:
            pass
    return None


def root_of(request: Request, name: str, default: str) -> str:
    """Return the root path of the application that received a request on one of its named routes.

    Args:
        request: The request.
        name: The route's name.
        default: The root path of the outermost application.
    """
    if not is_mounted(request):
        return default
    path = path_in(Request({**request.scope, "router": request.app.router}), name)
    full_path: str = request.scope["path"]
    return full_path.removesuffix(path) if path and full_path.endswith(path) else default


def routes_of(app: Any) -> Iterator[BaseRoute]:
    """Yield the routes of an application, of the routers in it, and of what is mounted in it."""
    for route in getattr(app, "routes", None) or ():
        yield route
        yield from routes_of(getattr(route, "original_router", route))  # FastAPI's included routers, then mounts


def _names_below(app: Any, name: str, around: str = "") -> Iterator[str]:
    for route in getattr(app, "routes", None) or ():
        inner = getattr(route, "routes", None)
        mount = getattr(route, "name", None)
        if inner and mount:
            yield f"{around}{mount}:{name}"
            yield from _names_below(route, name, f"{around}{mount}:")
