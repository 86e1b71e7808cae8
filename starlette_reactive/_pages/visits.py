"""Visits: what a page was when it was rendered. The signer puts it into the live URL."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from .._bus.hub import Hub
from .declared_response import note_response
from .update import update_of

__all__ = [
    "UNKNOWN_CURSOR",
    "Visit",
    "cursor_at_beginning",
    "cursor_parameter",
    "cursor_to_begin",
    "make_visit",
    "note_beginning",
    "rendered_visit",
    "rendering",
]

UNKNOWN_CURSOR = "unknown"
"""A stream that begins here brings every block up to date."""
_RENDERED = "starlette_reactive.rendered_visit"
_CURSOR = "starlette_reactive.cursor"
_BEGINNING = "starlette_reactive.cursors_at_beginning"  # by bus


@dataclass(frozen=True, slots=True)
class Visit:
    """One rendering of a page for one browser tab, as its stream needs to know it.

    Args:
        page: The page's key.
        raw_path: The path of the request, percent-encoded.
        query: The raw query.
        root_path: The application's root path.
        host: The ``Host`` header of the request.
        scheme: ``http`` or ``https``.
        scopes: The scopes whose changes concern it.
        origin: The mark of the page's own requests.
        cursor: The position in the change log before its data was read.
        key: The digest of the viewer's key, if the page is shared by key.
    """

    page: str
    raw_path: str
    query: str
    root_path: str
    host: str
    scheme: str
    scopes: tuple[str, ...]
    origin: str
    cursor: str
    key: str = ""

    @property
    def address(self) -> tuple[str, ...]:
        """The URL of the page."""
        return self.scheme, self.host, self.raw_path, self.query


def make_visit(request: Request, page: str, scopes: tuple[str, ...], mark: str, cursor: str, key: str = "") -> Visit:
    """Return the visit that a request is, or is answered as.

    Args:
        request: The request.
        page: The page's key.
        scopes: Its scopes.
        mark: The mark of its own requests.
        cursor: The position in the change log before anything was read for the page.
        key: The digest of the viewer's key.
    """
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode("ascii")
    return Visit(
        page=page,
        raw_path=path.split(b"?", 1)[0].decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        root_path=request.scope.get("app_root_path", request.scope.get("root_path", "")),
        host=request.headers.get("host", ""),
        scheme=request.scope.get("scheme", "http"),
        scopes=scopes,
        origin=mark,
        cursor=cursor,
        key=key,
    )


@contextmanager
def rendering(request: Request, visit: Visit, owner: object) -> Iterator[None]:
    """Render a page: what its template calls is for a visit, and for the site that owns the page."""
    request.scope[_RENDERED] = (visit, owner)
    try:
        yield
    finally:
        del request.scope[_RENDERED]


def rendered_visit(request: Request) -> tuple[Visit, object] | None:
    """Return the visit that a page is being rendered for, and the site that owns the page."""
    found: tuple[Visit, object] | None = request.scope.get(_RENDERED)
    return found


# Cursors


def note_beginning(asgi_scope: MutableMapping[str, Any], hub: Hub) -> None:
    """Record the position in the change log when a request begins."""
    asgi_scope[_BEGINNING] = {**asgi_scope.get(_BEGINNING, {}), hub: hub.latest_cursor()}


def cursor_at_beginning(asgi_scope: Mapping[str, Any], hub: Hub) -> str | None:
    """Return the position in the change log when a request began, if it was noted."""
    cursors: Mapping[Hub, str] = asgi_scope.get(_BEGINNING, {})
    return cursors.get(hub)


def cursor_to_begin(request: Request, hub: Hub) -> str:
    """Return the latest known position in the change log at which nothing had been read yet for a page."""
    noted: str | None = request.scope.get(_CURSOR)
    return cursor_at_beginning(request.scope, hub) or noted or hub.latest_cursor()


def _note_cursor(request: Request, hub: Hub) -> None:
    """Record the position in the change log before anything is read for the page."""
    request.scope[_CURSOR] = hub.latest_cursor()


def _forget_cursor(request: Request) -> None:
    """Record that the position in the change log is unknown, because something may have been read for the page."""
    request.scope[_CURSOR] = UNKNOWN_CURSOR


def cursor_parameter(hub: Hub, *, is_first: bool = True) -> dict[str, inspect.Parameter]:
    """Return the parameter that notes the cursor of a visit, and what FastAPI injects, if FastAPI is in use.

    FastAPI resolves parameters in order, so the first one notes the cursor before dependencies read any data.

    Args:
        hub: The bus.
        is_first: Whether no other parameter is resolved before.
    """
    if "fastapi" not in sys.modules:
        return {}
    from .fastapi import dependency, has_dependencies_before  # noqa: PLC0415 - FastAPI is optional

    def note(request: Request, response: Response) -> None:
        note_response(request, response)
        if update_of(request) is not None:
            return  # nobody uses the cursor of an update
        if not is_first or has_dependencies_before(request):
            _forget_cursor(request)
        else:
            _note_cursor(request, hub)

    name = "reactive_cursor"
    return {name: dependency(name, note)}
