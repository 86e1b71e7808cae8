"""Notifications: who is told, and what somebody missed while away.

A change that is emitted with an ``audience`` reaches these people's pages and no others. Whoever is away hears nothing
of it, so the notification is a row, too, and each person has a cursor into these rows: what lies above it is unread.
The cursor moves to what was *shown*, so a notification that comes in while somebody presses “mark as read” stays
unread.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from starlette_reactive import Action

from .database import Session
from .forms import answer
from .live import person_id, reactive
from .models import Notification, Person
from .people import Me

__all__ = ["note", "router", "tell", "unread_of"]

SHOWN = 30

router = APIRouter()


@router.get("/notifications")
@reactive.page("notifications.html", scope="notifications", user=person_id)
async def notifications_page(me: Me, session: Session) -> dict[str, Any]:
    mine = select(Notification).where(Notification.person_id == me.id).order_by(Notification.id.desc())
    unread = list(await session.scalars(mine.where(Notification.id > me.read_until)))
    earlier = list(await session.scalars(mine.where(Notification.id <= me.read_until).limit(SHOWN)))
    return {"me": me, "unread": len(unread), "notices": {"unread": unread, "earlier": earlier}}


@router.post("/notifications/read")
async def mark_as_read(request: Request, me: Me, session: Session, until: Annotated[int, Form()]) -> Response:
    """Move the cursor to the newest notification that was shown; never back."""
    newer = update(Person).where(Person.id == me.id, Person.read_until < until)
    await session.execute(newer.values(read_until=until))
    await session.commit()
    await tell(me.id)
    return answer(request, Action(), back="/notifications")


async def unread_of(session: AsyncSession, person: Person) -> int:
    """Return how many notifications somebody has not read."""
    unread = select(func.count(Notification.id))
    mine = unread.where(Notification.person_id == person.id, Notification.id > person.read_until)
    return await session.scalar(mine) or 0


async def note(session: AsyncSession, person: str, text: str, link: str) -> None:
    """Add a notification to the session; ``tell`` the person after the commit."""
    # With the person's row locked, ids become visible in their order, and the cursor passes over none.
    await session.execute(select(Person.id).where(Person.id == person).with_for_update())
    session.add(Notification(person, text, link))


async def tell(*people: str, where: str | None = None) -> None:
    """Tell these people, and nobody else, that they have notifications.

    Args:
        *people: Their ids.
        where: The scope of the page that it is about, which they may be looking at.
    """
    for scope in {"notifications", "workspace", where} - {None}:
        await reactive.emit(str(scope), "notices", "unread", audience=people)
