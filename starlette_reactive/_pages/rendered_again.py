"""A page that a POST renders again, such as with the errors of a form: its stream is that of the page's GET.

The POST and the page are two endpoints of one path. What routes the GET says which page it is, and what its endpoint
gets from the path and the query makes the scopes, together with the request. Nothing is run, because templates cannot
wait.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from .._core.errors import ReactiveError
from .browser_session import BrowserSession
from .endpoint_kinds import page_of
from .held_answer import held_answer
from .mounts import outermost_router
from .page import Page
from .visits import UNKNOWN_CURSOR, Visit, cursor_at_beginning, make_visit

__all__ = ["visit_again"]

_AGAIN = "starlette_reactive.visit_again"
_NO_PAGE = "no endpoint under @reactive.page renders this page"


def visit_again(request: Request, template_name: str | None) -> tuple[Visit | str, object]:
    """Return the visit that a page is rendered for by another endpoint than its own, and the site that owns the page.

    Args:
        request: The request that is answered with the page.
        template_name: The template that is being rendered. It has to be that of the page.

    Returns:
        The reason in place of the visit, if the page is not live there.
    """
    if request.method in ("GET", "HEAD"):
        return _NO_PAGE, None
    found = _page_of_get(request)
    if found is None:
        return f"{_NO_PAGE}, and GET {request.url.path} leads to none", None
    page, values = found
    if page.template_name != template_name:
        return f"{template_name} is not the template of the page at {request.url.path}", None
    if (known := request.scope.get(_AGAIN)) is None:  # else its sink and its own requests would have two marks
        known = request.scope[_AGAIN] = _visit(request, page, values)
    return known, page.owner


def _visit(request: Request, page: Page, values: Mapping[str, Any] | None) -> Visit | str:
    try:
        scopes = None if values is None else page.scopes(request, values)
    except ReactiveError:
        scopes = None
    if scopes is None:
        formats = " and ".join(map(repr, page.scope_formats))
        what = f"scope{'' if len(page.scope_formats) == 1 else 's'} {formats}"
        return f"the path and the query of {request.url.path} do not make the {what}"
    sessions, session = page.settings.sessions, None
    if sessions.cookie_name is not None and (not page.shared or page.user is not None):
        session = sessions.of(request) or _new_session(request, page, sessions)
        if session is None:
            return "the browser has no cookie yet by which its streams can be ended"
    cursor = cursor_at_beginning(request.scope, page.settings.hub) or UNKNOWN_CURSOR
    return make_visit(request, page.key, scopes, sessions.new_mark(session), cursor)


def _new_session(request: Request, page: Page, sessions: BrowserSession) -> str | None:
    """Return a new session whose cookie the answer brings. ``None`` without the middleware, which adds it."""
    held = held_answer(request.scope, page.settings.cookies.watch)
    if held is None:
        return None
    session, response = sessions.begin(request), Response()
    sessions.keep(response, request, session)
    held.add(response.headers.getlist("set-cookie"))
    return session


# The route of the GET


def _page_of_get(request: Request) -> tuple[Page, Mapping[str, Any] | None] | None:
    """Return the page that a GET of a request's URL leads to, and what its endpoint gets from the URL."""
    asgi_scope = request.scope
    root_path = asgi_scope.get("app_root_path", asgi_scope.get("root_path", ""))
    get = {
        "type": "http",
        "method": "GET",
        "path": asgi_scope["path"],
        "root_path": root_path,
        "headers": asgi_scope["headers"],
    }
    router = outermost_router(request)
    found = None if router is None else _route_of(router.routes, get)
    if found is None:
        return None
    route, endpoint, path_params = found
    page = page_of(endpoint)
    return (page, _values(route, request, path_params)) if isinstance(page, Page) else None


def _route_of(routes: Sequence[BaseRoute], asgi_scope: Mapping[str, Any]) -> tuple[Any, Any, Mapping[str, Any]] | None:
    """Return the route that a request takes, with its endpoint and the parameters of the path."""
    candidates: Sequence[Any] = routes
    if "fastapi" in sys.modules:
        from .fastapi import route_contexts  # noqa: PLC0415 - FastAPI is optional

        candidates = list(route_contexts(routes))
    for route in candidates:
        match, child = route.matches({**asgi_scope})
        if match is Match.FULL:
            if (inner := getattr(route, "routes", None)) is not None:
                return _route_of(inner, {**asgi_scope, **child})
            return route, child.get("endpoint"), child.get("path_params", {})
    return None


def _values(route: Any, request: Request, path_params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not hasattr(route, "dependant"):
        return path_params
    from .fastapi import converted_values  # noqa: PLC0415 - FastAPI is optional

    return converted_values(route, request, path_params)
