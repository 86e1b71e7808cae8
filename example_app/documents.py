"""A document: the browser owns the editor, and the data around it is live.

The index does not contain the block ``editor``, so no update touches what somebody is typing. The title, the version,
the number of words and the names of the people who have the document open are live. This page uses the layer below
``@reactive.page``: an index, a stream with a connection for presence, and one render for all viewers.

Nothing is tracked here: each change is emitted after its commit, with the paths that it changes.

Two people may save at the same time. Each save names the version that it is based on; the second one gets a conflict
that shows the differences.
"""

from __future__ import annotations

import difflib
import re
from functools import partial
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from starlette_reactive import OOB, ConnectionInfo, EventStream, Fragment, ValidationError, reactive_stream

from .database import Session, Sessions
from .forms import answer, go_to, text_error
from .inputs import Number, NumberField, Text, Token, TokenHeader
from .live import index, person_id, reactive, templates
from .models import Document, Person, now
from .notifications import unread_of
from .people import Me

__all__ = ["router"]

PAGE = "document.html"
LIVE_BLOCKS = ("title", "version", "words", "here")
LONGEST_TITLE, LONGEST_TEXT = 80, 20_000

index.register_template(templates, PAGE, block_names=LIVE_BLOCKS)
# Saving emits only ``document.text``; these paths change with it.
for derived in ("words", "document.version", "document.saved_by", "document.saved_at"):
    index.derive(derived, from_paths={"document.text"})

router = APIRouter()


def scope_of(document_id: int) -> str:
    return f"document:{document_id}"


async def _document(document_id: Number, session: Session) -> Document:
    if document := await session.get(Document, document_id):
        return document
    raise HTTPException(404, "There is no such document.")


CurrentDocument = Annotated[Document, Depends(_document)]


# The page and its stream


@router.get("/documents/{document_id}")
async def document_page(request: Request, document_id: Number, me: Me, session: Session) -> Response:
    cursor = reactive.bus.cursor(scope_of(document_id))  # before reading, so that later changes are sent
    document = await _document(document_id, session)
    context = await _facts(session, document)
    context["here"] = sorted({*context["here"], me.name})
    context |= {"me": me, "unread": await unread_of(session, me), "tab": uuid4().hex, "cursor": cursor}
    return templates.TemplateResponse(request, PAGE, context | _editor(document))


@router.get("/documents/{document_id}/stream")
async def document_stream(request: Request, document_id: Number, tab: Token) -> EventStream:
    person = person_id(request)
    if person is None:
        raise HTTPException(401, "Sign in first.")
    read_facts = partial(_read_facts, request.app.state.sessions, document_id)
    await read_facts()  # so that an unknown document is answered 404
    return reactive_stream(
        reactive.bus,
        scope=scope_of(document_id),
        index=index,
        context_builder=read_facts,
        templates=templates,
        connection=ConnectionInfo(tab, person),
        on_connect=_people_changed,
        on_disconnect=_people_changed,
        origin=tab,
        share="document",
        close_event="reactive-close",
    )


def _people_changed(scope: str, _: ConnectionInfo | None) -> None:
    reactive.emit_sync(scope, "here")


async def _read_facts(sessions: Sessions, document_id: int) -> dict[str, Any]:
    async with sessions() as session:  # a new session: the stream holds none between changes
        return await _facts(session, await _document(document_id, session))


async def _facts(session: AsyncSession, document: Document) -> dict[str, Any]:
    """Return the live data of a document."""
    ids = {each.user_id for each in reactive.presence(scope_of(document.id))}
    names = await session.scalars(select(Person.name).where(Person.id.in_(ids)).order_by(Person.name))
    return {"document": document, "words": _count_words(document.text), "here": list(names)}


def _count_words(text: str) -> int:
    return len(re.findall(r"\w+(?:['-]\w+)*", text))


# Changes


@router.post("/documents")
async def create(request: Request, me: Me, session: Session, title: Text = "") -> Response:
    title = title.strip()
    if error := text_error(title, what="The title", longest=LONGEST_TITLE):
        form = Fragment("home.html", "new_document", me=me, title=title)
        return answer(request, ValidationError(form, errors={"title": error}), back="/")
    document = Document(title, "", me.name)
    session.add(document)
    await session.commit()
    return go_to(request, f"/documents/{document.id}")


@router.post("/documents/{document_id}")
async def save(
    request: Request,
    me: Me,
    session: Session,
    document: CurrentDocument,
    base: NumberField,
    text: Text = "",
    tab: TokenHeader = None,
) -> Response:
    text, back = text.replace("\r\n", "\n"), f"/documents/{document.id}"
    form: dict[str, Any] = {"me": me, "document": document, "text": text, "base": base}
    if len(text) > LONGEST_TEXT:
        errors = {"text": text_error(text, what="The text", longest=LONGEST_TEXT)}
        return answer(request, ValidationError(Fragment(PAGE, "save", **form), errors=errors), back=back)
    if not await _write(session, document, text, base, me):
        return answer(request, _conflict(document, form), back=back)
    await reactive.emit(scope_of(document.id), "document.text", origin=tab)
    facts = await _facts(session, document)
    saved = Fragment(PAGE, "save", me=me, text=text, base=document.version, saved=True, **facts)
    # The stream does not send this change to its own tab, so the response updates these blocks.
    return answer(request, OOB(saved, *(Fragment(PAGE, block, **facts) for block in ("version", "words"))), back=back)


@router.post("/documents/{document_id}/title")
async def rename(request: Request, me: Me, session: Session, document: CurrentDocument, title: Text = "") -> Response:
    title, back = title.strip(), f"/documents/{document.id}"
    form = Fragment(PAGE, "rename", me=me, document=document, new_title=title)
    if error := text_error(title, what="The title", longest=LONGEST_TITLE):
        return answer(request, ValidationError(form, errors={"title": error}), back=back)
    document.title = title
    await session.commit()
    await reactive.emit(scope_of(document.id), "document.title")
    return answer(request, form, back=back)


@router.get("/documents/{document_id}/editor")
@reactive.html
async def fresh_editor(me: Me, document: CurrentDocument) -> Fragment:
    """Return the editor with the newest text, for a browser without unsaved changes."""
    return Fragment(PAGE, "editor", me=me, document=document, **_editor(document))


def _editor(document: Document) -> dict[str, Any]:
    return {"text": document.text, "base": document.version}


async def _write(session: AsyncSession, document: Document, text: str, base: int, me: Person) -> bool:
    """Save the text if the document still has the version that the text is based on."""
    same = update(Document).where(Document.id == document.id, Document.version == base)
    written = await session.execute(
        same.values(text=text, version=base + 1, saved_by=me.name, saved_at=now()).returning(Document.id)
    )
    succeeded = written.scalar() is not None
    await session.commit()
    await session.refresh(document)
    return succeeded


def _conflict(document: Document, form: dict[str, Any]) -> ValidationError:
    """Return the form with the differences to the saved version. Saving again overwrites that version."""
    changes = [line for line in difflib.ndiff(form["text"].splitlines(), document.text.splitlines()) if line[0] in "-+"]
    shown = form | {"base": document.version, "changes": [(line[0] == "+", line[2:]) for line in changes if line[2:]]}
    return ValidationError(Fragment(PAGE, "save", **shown), errors={"version": document.version})
