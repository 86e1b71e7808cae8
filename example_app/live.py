"""What the pages share: the templates and the ``Reactive`` object, which tracks the database.

Pages without ``scope=`` are live because of what they read: a commit runs those again that have read the rows it
changes. Nothing else has to be emitted for them.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.templating import Jinja2Templates

from starlette_reactive import Reactive, ReactiveBus

from . import settings
from .database import sessions

__all__ = ["everybody_signed_in", "index", "person_id", "reactive", "templates"]


def person_id(request: Request) -> str | None:
    """Return the id of the signed-in person, for audiences and presence."""
    return request.session.get("person")


def everybody_signed_in(request: Request) -> bool | None:
    """Return the key of a page that shows the same to everybody who is signed in."""
    return True if person_id(request) else None


def _every_page(request: Request) -> dict[str, Any]:
    return {"htmx": request.session.get("htmx", settings.default_htmx())}


templates = Jinja2Templates(Path(__file__).parent / "templates", context_processors=[_every_page])


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%d %b, %H:%M")


def _hue(name: str) -> int:
    """Return the hue of a person's avatar, in degrees."""
    return sum(map(ord, name)) * 137 % 360


templates.env.filters |= {"clock": _clock, "hue": _hue}

reactive = Reactive(
    templates,
    bus=ReactiveBus.from_url(settings.bus_url()),
    secret=settings.secret(),
    viewer_names={"me", "unread"},
    debug=settings.debug(),
    inspector=settings.debug(),
)
reactive.track(sessions)
index = reactive.index
"""The dependency index, for pages that do not use ``@reactive.page``."""
