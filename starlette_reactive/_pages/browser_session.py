"""The session of a browser: a cookie of the package, by which a sign-out ends the browser's streams.

Applications keep sessions in many ways, and a signed cookie has no id at all. So each browser that visits a live page
gets an id of its own. It authorises nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from .signer import Signer

__all__ = ["ORIGIN_HEADER", "BrowserSession", "name_of_session", "session_id_of"]

ORIGIN_HEADER = "Reactive-Origin"
"""The header that carries the mark of a page's own requests."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_PERSONAL_LENGTH = 20  # characters of a cookie that holds a token, and not just a setting
_MAX_AGE = 400 * 86_400  # seconds; browsers keep no cookie for longer


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Recognises browsers, and the marks of their pages.

    Args:
        signer: Signs the marks.
        cookie_name: The name of the cookie. ``None`` sets none, and then no session can be ended.
    """

    signer: Signer
    cookie_name: str | None

    def of(self, connection: HTTPConnection) -> str | None:
        """Return the session of the browser that sent a request, or ``None`` if it has none."""
        value = None if self.cookie_name is None else connection.cookies.get(self.cookie_name)
        return value if value is not None and _SHAPE.fullmatch(value) else None

    def name_for(self, connection: HTTPConnection) -> str | None:
        """Return the name of the session of the browser that sent a request.

        A browser without the cookie is known by the mark of its page. ``None`` if it has neither.
        """
        session = self.of(connection) or self.origin(connection)
        return None if session is None else name_of_session(session)

    def begin(self, request: Request) -> str | None:
        """Return the session of the browser that visits a page, which is a new one if it has none.

        A browser may open several tabs at once. So visits with equal cookies get equal sessions, provided that one of
        the cookies is long enough to belong to one browser alone.
        """
        if self.cookie_name is None:
            return None
        found = self.of(request)
        if found is not None or max(map(len, request.cookies.values()), default=0) < _PERSONAL_LENGTH:
            return found or secrets.token_urlsafe(20)
        address = "" if request.client is None else request.client.host
        headers = (request.headers.get(name, "") for name in ("cookie", "user-agent", "accept-language"))
        return self.signer.digest("\0".join((address, *headers)))

    def keep(self, response: Response, request: Request, session: str | None) -> None:
        """Have the browser keep a session, if it does not yet."""
        if self.cookie_name is None or session is None or self.of(request) == session:
            return
        response.set_cookie(
            self.cookie_name,
            session,
            max_age=_MAX_AGE,
            path=request.scope.get("app_root_path", request.scope.get("root_path", "")).rstrip("/") or "/",
            secure=request.scope.get("scheme") == "https",
            httponly=True,
            samesite="lax",
        )

    # Marks

    def new_mark(self, session: str | None) -> str:
        """Return a new mark for a page of a session."""
        return self.signer.new_mark(session or "")

    def origin(self, request: HTTPConnection) -> str | None:
        """Return the mark that a request carries, if it was made for a page of the same session."""
        mark = request.headers.get(ORIGIN_HEADER, "")
        owners = {"", self.of(request) or ""}
        return mark if any(self.signer.is_mark(mark, owner) for owner in owners) else None


def name_of_session(session: str) -> str:
    """Return the name of a session in messages to other processes, which does not reveal the cookie."""
    return _digest(session)


def session_id_of(mark: str) -> str:
    """Return the id of a page in presence, which does not reveal its mark."""
    return _digest(mark)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
