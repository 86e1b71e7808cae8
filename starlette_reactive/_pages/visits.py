"""Visits: what a page was when it was rendered, signed into its live URL, so that the browser need not be trusted."""

from __future__ import annotations

import inspect
import logging
import os
import secrets
import sys
from dataclasses import asdict, dataclass, fields
from urllib.parse import quote

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request

from .._bus.hub import Hub
from .update import update_of

__all__ = ["Signer", "Visit", "begin_visit", "current_visit", "cursor_parameter"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_VISIT = "starlette_reactive.visit"
_CURSOR = "starlette_reactive.cursor"
_UNKNOWN_CURSOR = "unknown"  # a stream that begins here brings every block up to date


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
        scope: The scope whose changes concern it.
        origin: The mark of the page's own requests.
        cursor: The position in the change log before its data was read.
    """

    page: str
    raw_path: str
    query: str
    root_path: str
    host: str
    scheme: str
    scope: str
    origin: str
    cursor: str

    @property
    def address(self) -> tuple[str, ...]:
        """The URL of the page."""
        return self.scheme, self.host, self.raw_path, self.query


def begin_visit(request: Request, page: str, scope: str, hub: Hub) -> None:
    """Begin a visit of a page: a request that is being answered with it.

    Args:
        request: The request.
        page: The page's key.
        scope: Its scope.
        hub: The bus, for a cursor where none has been noted.
    """
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode("ascii")
    request.scope[_VISIT] = Visit(
        page=page,
        raw_path=path.split(b"?", 1)[0].decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        root_path=request.scope.get("app_root_path", request.scope.get("root_path", "")),
        host=request.headers.get("host", ""),
        scheme=request.scope.get("scheme", "http"),
        scope=scope,
        origin=secrets.token_urlsafe(9),
        cursor=request.scope.get(_CURSOR) or hub.latest_cursor(),
    )


def current_visit(request: Request | None) -> Visit | None:
    """Return the visit that a page is being rendered for."""
    found = None if request is None else request.scope.get(_VISIT)
    return found if isinstance(found, Visit) else None


def _note_cursor(request: Request, hub: Hub) -> None:
    """Record the position in the change log before anything is read for the page."""
    request.scope[_CURSOR] = hub.latest_cursor()


def _forget_cursor(request: Request) -> None:
    """Record that the position in the change log is unknown, because something may have been read for the page."""
    request.scope[_CURSOR] = _UNKNOWN_CURSOR


def cursor_parameter(hub: Hub) -> dict[str, inspect.Parameter]:
    """Return the parameter that notes the cursor of a visit, if FastAPI is in use.

    FastAPI resolves parameters in order, so the first one notes the cursor before dependencies read any data.
    """
    if "fastapi" not in sys.modules:
        return {}
    from .fastapi import dependency, has_dependencies_before  # noqa: PLC0415 - FastAPI is optional

    def note(request: Request) -> None:
        if update_of(request) is not None:
            return  # nobody uses the cursor of an update
        if has_dependencies_before(request):
            _forget_cursor(request)
        else:
            _note_cursor(request, hub)

    name = "reactive_cursor"
    return {name: dependency(name, note)}


class Signer:
    """Signs visits and reads them back.

    Args:
        secret: The key. Defaults to the environment variable ``REACTIVE_SECRET``, else a random one.
        max_age: Seconds for which a signature is valid. ``None`` means no limit.
        purpose: What the URLs are for. Those of another purpose are not valid.
    """

    def __init__(self, secret: str | None, max_age: int | None, *, purpose: str) -> None:
        key = secret or os.environ.get("REACTIVE_SECRET")
        if not key:
            key = secrets.token_urlsafe(32)
            logger.warning(
                "no secret is set, so live URLs are signed with a random one: after a restart, and on another worker, "
                "open pages get 403 for their streams and must be reloaded; pass secret= or set REACTIVE_SECRET"
            )
        self._serializer = URLSafeTimedSerializer(key, salt=f"starlette-reactive.live {purpose}")
        self._max_age = max_age

    def sign(self, visit: Visit) -> str:
        """Return a visit as text that is safe in a URL."""
        signed = self._serializer.dumps(list(asdict(visit).values()))
        return signed.decode() if isinstance(signed, bytes) else signed

    def read(self, signed: str) -> Visit | None:
        """Return the visit. ``None`` if the text is forged, altered, expired or of another application."""
        try:
            values = self._serializer.loads(signed, max_age=self._max_age)
        except BadSignature:
            return None
        if not isinstance(values, list) or len(values) != len(fields(Visit)):
            return None  # a URL of another version of this package
        return Visit(*values) if all(isinstance(value, str) for value in values) else None
