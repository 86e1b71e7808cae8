"""Ask: several regions of a page from one stream.

The response to a question fills three regions: first the sources, then the answer word by word, and finally a link to
share. One generator yields them in that order, and each fragment names its target in the page.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from starlette_reactive import EventStream, Fragment, ValidationError

from . import model
from .database import Session, Sessions
from .forms import answer, is_htmx, text_error
from .inputs import Text, Token
from .live import person_id, reactive, templates
from .models import Answer, Board, Document, Task
from .notifications import unread_of
from .people import Me

__all__ = ["router"]

LONGEST_QUESTION = 200

router = APIRouter()


@router.get("/ask")
async def ask_page(request: Request, me: Me, session: Session) -> Response:
    earlier = await session.scalars(select(Answer).where(Answer.done).order_by(Answer.at.desc()).limit(5))
    context = {"me": me, "unread": await unread_of(session, me), "earlier": list(earlier)}
    return templates.TemplateResponse(request, "ask.html", context)


@router.post("/ask")
async def ask(request: Request, me: Me, session: Session, question: Text = "") -> Response:
    question = question.strip()
    if error := text_error(question, what="The question", longest=LONGEST_QUESTION):
        form = Fragment("ask.html", "question", me=me, question=question)
        return answer(request, ValidationError(form, errors={"question": error}), back="/ask")
    asked = Answer(secrets.token_urlsafe(9), question)
    session.add(asked)
    await session.commit()
    if is_htmx(request):
        return reactive.response(request, Fragment("ask.html", "question", me=me, question=question, asked=asked))
    async for _ in _compose(request.app.state.sessions, asked.token):
        pass  # without JavaScript, the page cannot show the answer as it arrives
    return RedirectResponse(f"/answers/{asked.token}", status_code=303)


@router.get("/ask/{token}/stream")
async def answer_stream(request: Request, token: Token) -> EventStream:
    if person_id(request) is None:
        raise HTTPException(401, "Sign in first.")
    sessions: Sessions = request.app.state.sessions
    async with sessions() as session:
        if await session.get(Answer, token) is None:
            raise HTTPException(404, "There is no such question.")
    return EventStream(_compose(sessions, token), templates=templates, close_event="answered")


@router.get("/answers/{token}")
async def shared_answer(request: Request, token: Token, session: Session) -> Response:
    """Show an answer to anyone who has its link."""
    found = await session.get(Answer, token)
    if found is None or not found.done:
        raise HTTPException(404, "There is no such answer.")
    return templates.TemplateResponse(request, "answer.html", {"answer": found})


async def _compose(sessions: Sessions, token: str) -> AsyncIterator[Fragment]:
    """Yield the sources, the answer word by word, and the link to the saved answer.

    A browser that lost its connection requests the stream again and starts over: the first fragment clears the regions.
    """
    async with sessions() as session:
        asked = await session.get_one(Answer, token)
        sources = model.find_sources(asked.question, await _everything(session))
    yield _part("sources", sources=sources)
    text = ""
    async for words in model.write(model.answer_from(asked.question, sources)):
        text += words
        yield _part("more", text=words)
    async with sessions() as session:
        kept = await session.get_one(Answer, token)
        kept.text, kept.done = text.strip(), True
        kept.sources = [{"title": each.title, "link": each.link} for each in sources]
        await session.commit()
    yield _part("share", token=token)


def _part(block: str, **context: Any) -> Fragment:
    return Fragment("parts/ask.html", block, **context)


async def _everything(session: AsyncSession) -> list[model.Source]:
    documents = await session.scalars(select(Document).order_by(Document.id))
    tasks = await session.execute(select(Task, Board).join(Board, Board.id == Task.board_id).order_by(Task.id))
    return [
        *(model.Source(each.title, f"/documents/{each.id}", each.text) for each in documents),
        *(model.Source(f"{board.name}: {task.title}", f"/boards/{board.id}", _said(task)) for task, board in tasks),
    ]


def _said(task: Task) -> str:
    state = {"todo": "is still to do", "doing": "is being worked on", "done": "is done"}[task.state]
    who = f" by {task.assignee.name}" if task.assignee and task.state == "doing" else ""
    return f"“{task.title}” {state}{who}."
