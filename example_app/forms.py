"""Responses to forms: a fragment for htmx, a page or a redirect without JavaScript."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from starlette_reactive import OOB, Action, Fragment, ValidationError

from .live import reactive, templates

__all__ = ["answer", "go_to", "is_htmx", "text_error"]

Answer = Fragment | OOB | Action | ValidationError


def is_htmx(request: Request) -> bool:
    return "HX-Request" in request.headers


def answer(request: Request, value: Answer, *, back: str) -> Response:
    """Return the response to a form.

    Args:
        request: The request that submitted the form.
        value: The response for htmx. The block of an invalid form has a template of the same name in ``forms/``, which
            is shown as a page without JavaScript.
        back: The page to redirect to without JavaScript.
    """
    if is_htmx(request):
        return reactive.response(request, value)
    if isinstance(value, ValidationError):
        context = {
            **value.fragment.context,
            "errors": value.errors,
            "form": f"forms/{value.fragment.block_name}.html",
            "back": back,
        }
        return templates.TemplateResponse(request, "again.html", context, status_code=422)
    return RedirectResponse(back, status_code=303)


def go_to(request: Request, page: str) -> Response:
    """Redirect the browser to another page."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": page})
    return RedirectResponse(page, status_code=303)


def text_error(text: str, *, what: str, longest: int) -> str | None:
    """Return what is wrong with a text, or ``None``."""
    if not text:
        return f"{what} is missing."
    if len(text) > longest:
        return f"{what} can have at most {longest} characters; this one has {len(text)}."
    return None
