"""Notifications: sent to some people only, and kept for those who are away.

The page of notifications is not tracked: it has a scope of its own for each person, and a change that is emitted there
reaches nobody else. It does not reach people who are away either, so each notification is also a row. Each person has a
cursor into these rows; the rows after it are unread. The bells of boards and of the home page need no emit, because
these pages read the rows. “Mark as read” moves the cursor to the newest row that was *shown*, so a
notification that arrives at that moment stays unread.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from starlette_reactive import Action

from .database import Session
from .forms import answer
from .inputs import NumberField
from .live import person_id, reactive
from .models import Notification, Person
from .people import Me

__all__ = ["note", "notify", "router", "unread_of"]

SHOWN = 30

router = APIRouter()


@router.get("/notifications")
@reactive.page("notifications.html", scope="person:{me.id}", user=person_id, tracked=False)
async def notifications_page(me: Me, session: Session) -> dict[str, Any]:
    mine = select(Notification).where(Notification.person_id == me.id).order_by(Notification.id.desc())
    unread = list(await session.scalars(mine.where(Notification.id > me.read_until)))
    earlier = list(await session.scalars(mine.where(Notification.id <= me.read_until).limit(SHOWN)))
    return {"me": me, "unread": len(unread), "notices": {"unread": unread, "earlier": earlier}}


@router.post("/notifications/read")
async def mark_as_read(request: Request, me: Me, session: Session, until: NumberField) -> Response:
    """Move the cursor to the newest notification that was shown, never backwards."""
    newer = update(Person).where(Person.id == me.id, Person.read_until < until)
    await session.execute(newer.values(read_until=until))
    await session.commit()
    await notify(me.id)
    return answer(request, Action(), back="/notifications")


async def unread_of(session: AsyncSession, person: Person) -> int:
    """Return the number of unread notifications of a person."""
    unread = select(func.count(Notification.id))
    mine = unread.where(Notification.person_id == person.id, Notification.id > person.read_until)
    return await session.scalar(mine) or 0


async def note(session: AsyncSession, person: str, text: str, link: str) -> None:
    """Add a notification to the session; ``notify`` the person after the commit."""
    # With the person's row locked, ids are committed in order, so the cursor skips none.
    await session.execute(select(Person.id).where(Person.id == person).with_for_update())
    session.add(Notification(person, text, link))


async def notify(*people: str) -> None:
    """Notify some people, and nobody else, of new or read notifications: on the pages that are not tracked."""
    for person in people:
        await reactive.emit(f"person:{person}", "notices", "unread")
    await reactive.emit("chat", "unread", audience=people)  # the chat is one scope for everybody
