"""Signing in by name. This identifies people but proves nothing: it is not authentication.

A real application would ask for a password or redirect to an identity provider. The rest would stay the same. The
session is a signed cookie, which is valid by itself, so signing out ends the browser's live pages as well: those in
other tabs would otherwise go on with the cookie that they were opened with.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from . import settings
from .database import Session
from .forms import is_htmx, text_error
from .inputs import NumberField, PlainText, Text
from .live import person_id, reactive, templates
from .models import Person

__all__ = ["Me", "SignInRequiredError", "ask_to_sign_in", "everybody", "router"]

LONGEST_NAME = 30

router = APIRouter()


class SignInRequiredError(Exception):
    """Nobody is signed in."""


async def _me(request: Request, session: Session) -> Person:
    found = person_id(request)
    person = await session.get(Person, found) if found else None
    if person is None:
        raise SignInRequiredError
    return person


Me = Annotated[Person, Depends(_me)]


async def ask_to_sign_in(request: Request, _: Exception) -> Response:
    """Redirect to the sign-in page; this ends the stream of a live page."""
    if is_htmx(request):
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    back = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/sign-in?back={quote(back)}", status_code=303)


async def everybody(session: AsyncSession) -> list[Person]:
    return list(await session.scalars(select(Person).order_by(Person.name)))


@router.get("/sign-in")
async def sign_in_page(request: Request, session: Session, back: PlainText = "/") -> Response:
    return templates.TemplateResponse(request, "sign_in.html", {"people": await everybody(session), "back": back})


@router.post("/sign-in")
async def sign_in(request: Request, session: Session, name: Text = "", back: Text = "/") -> Response:
    name = " ".join(name.split())
    if error := _name_error(name):
        context = {"people": await everybody(session), "back": back, "name": name, "errors": {"name": error}}
        return templates.TemplateResponse(request, "sign_in.html", context, status_code=422)
    request.session["person"] = await _person_of(session, name)
    return RedirectResponse(_local(back), status_code=303)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    reactive.end_session(request)  # this browser only: others of the same person go on
    request.session.pop("person", None)
    return RedirectResponse("/sign-in", status_code=303)


@router.post("/htmx")
async def choose_htmx(request: Request, version: NumberField, back: Text = "/") -> Response:
    """Choose the version of htmx that this browser loads."""
    if version in settings.HTMX_VERSIONS:
        request.session["htmx"] = version
    return RedirectResponse(_local(back), status_code=303)


def _name_error(name: str) -> str | None:
    if error := text_error(name, what="Your name", longest=LONGEST_NAME):
        return error
    return None if re.fullmatch(r"\w[\w .'-]*", name) else "A name consists of letters, digits, spaces, and . ' -"


async def _person_of(session: AsyncSession, name: str) -> str:
    """Return the id of the person with this name; add the person if there is none."""
    found = re.sub(r"\W+", "-", name.lower())
    if await session.get(Person, found) is None:
        session.add(Person(found, name))
        try:
            await session.commit()
        except IntegrityError:  # another request added the same name first
            await session.rollback()
    return found


def _local(back: str) -> str:
    """Return the path if it is on this site, and the home page otherwise."""
    return back if re.match(r"/(?![/\\])", back) else "/"
