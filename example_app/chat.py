"""A chat whose replies arrive word by word: a stream that appends.

Rendering a growing list again for each word would be wasteful, so the stream of this page sends only what is new. It
computes what is new from the database and its own ``Position``; an event only signals that there is something new. So
nothing is lost or sent twice. The position is the event's id, so a browser that reconnects sends its last position.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import anyio
from fastapi import APIRouter, HTTPException, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from starlette_reactive import ConnectionInfo, EventStream, Fragment, ValidationError

from . import model
from .database import Session, Sessions
from .forms import answer, text_error
from .inputs import Text, Token
from .live import person_id, reactive, templates
from .models import Message, Person, Room, Task
from .notifications import note, notify, unread_of
from .people import Me
from .seed import GUIDE, ROOM

__all__ = ["Position", "router"]

SCOPE = "chat"
SHOWN = 60
LONGEST_MESSAGE = 500

router = APIRouter()


@dataclass(slots=True)
class Position:
    """How much a page has: its last message, and the length of each message that is still being written."""

    last: int = 0
    unfinished: dict[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([str(self.last), *(f"{number}.{length}" for number, length in self.unfinished.items())])

    @classmethod
    def read(cls, text: str) -> Position:
        """Parse a position."""
        if not re.fullmatch(r"[0-9]{1,18}(-[0-9]{1,18}\.[0-9]{1,9}){0,500}", text):
            raise HTTPException(422, "This is not a position in the chat.")
        last, *unfinished = text.split("-")
        return cls(int(last), {int(number): int(length) for number, length in (each.split(".") for each in unfinished)})

    def note(self, message: Message) -> None:
        """Record that the page has the current state of a message."""
        self.last = max(self.last, message.id)
        self.unfinished.pop(message.id, None)
        if message.writing:
            self.unfinished[message.id] = len(message.text)


# The page and its stream


@router.get("/chat")
async def chat_page(request: Request, me: Me, session: Session) -> Response:
    newest = await session.scalars(select(Message).order_by(Message.id.desc()).limit(SHOWN))
    messages, position = list(newest)[::-1], Position()
    for message in messages:
        position.note(message)
    room = await session.get(Room, ROOM)
    context = {"me": me, "unread": await unread_of(session, me), "room": room, "messages": messages}
    return templates.TemplateResponse(request, "chat.html", context | {"position": str(position), "tab": uuid4().hex})


@router.get("/chat/stream")
async def chat_stream(request: Request, after: str, tab: Token, resume: str = "") -> EventStream:
    person = person_id(request)
    if person is None:
        raise HTTPException(401, "Sign in first.")
    position = Position.read(request.headers.get("last-event-id") or resume or after)
    sessions, viewer = request.app.state.sessions, ConnectionInfo(tab, person)
    return EventStream(_follow(sessions, viewer, position), templates=templates, retry=1000)


async def _follow(sessions: Sessions, viewer: ConnectionInfo, position: Position) -> AsyncIterator[Fragment | bytes]:
    with reactive.bus.subscribe(SCOPE, connection=viewer) as changes:  # before reading, so that no message is missed
        while True:
            for fragment in await _read_news(sessions, position):
                yield fragment
            yield b"id: %b\n\n" % str(position).encode()
            change = await anext(changes, None)
            if change is None:
                return
            if "unread" in change.changed_paths:
                yield await _bell(sessions, str(viewer.user_id))


async def _read_news(sessions: Sessions, position: Position) -> list[Fragment]:
    # A disconnect cancels the stream. Finish this short read anyway, so that it returns its database connection.
    with anyio.CancelScope(shield=True):
        async with sessions() as session:
            news = await _news(session, position)
    return news


async def _news(session: AsyncSession, position: Position) -> list[Fragment]:
    """Return what a page does not have yet, and advance its position."""
    known = dict(position.unfinished)
    query = select(Message).where((Message.id > position.last) | Message.id.in_(known)).order_by(Message.id)
    fragments = []
    for message in await session.scalars(query):
        position.note(message)
        if message.id not in known:
            fragments.append(_part("added", message))
        elif not message.writing:
            fragments.append(_part("finished", message))
        elif more := message.text[known[message.id] :]:
            fragments.append(_part("more", message, text=more))
    return fragments


def _part(block: str, message: Message, **context: Any) -> Fragment:
    return Fragment("parts/chat.html", block, message=message, **context)


async def _bell(sessions: Sessions, person: str) -> Fragment:
    async with sessions() as session:
        me = await session.get_one(Person, person)
        return Fragment("parts/bell.html", "bell", unread=await unread_of(session, me))


# Messages


@router.post("/chat")
async def say(request: Request, me: Me, session: Session, text: Text = "") -> Response:
    text = text.strip()
    if error := text_error(text, what="The message", longest=LONGEST_MESSAGE):
        form = Fragment("chat.html", "say", me=me, text=text)
        return answer(request, ValidationError(form, errors={"text": error}), back="/chat")
    await _add(session, Message(me.name, text))
    mentioned = await _note_mentions(session, me, text)
    await session.commit()
    await reactive.emit(SCOPE, "messages")
    if mentioned:
        await notify(*mentioned)
    if f"@{GUIDE.lower()}" in text.lower():
        request.app.state.tasks.start_soon(_reply, request.app.state.sessions, text)
    return answer(request, Fragment("chat.html", "say", me=me), back="/chat")


async def _add(session: AsyncSession, message: Message) -> None:
    # With the room's row locked, ids are committed in order, so no position skips a message.
    await session.execute(select(Room.id).where(Room.id == ROOM).with_for_update())
    session.add(message)


async def _note_mentions(session: AsyncSession, me: Person, text: str) -> Sequence[str]:
    names = {name.lower() for name in re.findall(r"@([\w-]+)", text)} - {me.id}
    people = (await session.scalars(select(Person.id).where(Person.id.in_(names)))).all()
    for person in people:
        await note(session, person, f"{me.name} mentioned you: “{text}”", "/chat")
    return people


async def _reply(sessions: Sessions, question: str) -> None:
    """Write a reply; save each word and emit an event for it."""
    async with sessions() as session:
        todo = await session.scalars(select(Task.title).where(Task.state != "done").order_by(Task.id))
        reply = model.reply_to(question, todo.all())
        message = Message(GUIDE, "", done=False)
        await _add(session, message)
        await session.commit()
        async for words in model.write(reply):
            message.text += words
            await _save_and_emit(session)
        message.done = True
        await _save_and_emit(session)


async def _save_and_emit(session: AsyncSession) -> None:
    with anyio.CancelScope(shield=True):  # a shutdown must not interrupt a commit
        await session.commit()
        await reactive.emit(SCOPE, "messages")
