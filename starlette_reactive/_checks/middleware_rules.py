"""Rules for the middleware of an application."""

from __future__ import annotations

from collections.abc import Iterator

from .description import AppDescription
from .issues import Issue, Severity

__all__ = ["check_middleware"]

_OURS = "ReactiveMiddleware"


def check_middleware(app: AppDescription) -> Iterator[Issue]:
    """Find sessions in cookies whose changes open streams do not notice."""
    names = [each.__name__ for each in app.middleware]
    sessions = [name for name in names if "session" in name.lower()]
    if not sessions or all(page.shared and not page.knows_user for page in app.pages):
        return
    if _OURS not in names:
        message = f"{sessions[0]} keeps sessions in cookies, but no {_OURS} tells open streams when these change"
    elif names.index(_OURS) > names.index(sessions[-1]):
        message = f"{_OURS} is inside {sessions[-1]}, so it does not see the cookies that {sessions[-1]} sets"
    else:
        return
    yield Issue(
        Severity.WARNING,
        "cookie_middleware",
        None,
        None,
        f"{message}: a tab that has signed out goes on receiving, and updates show what an older cookie says",
        f"add it last: app.add_middleware({_OURS}, reactive=reactive)",
    )
