"""The responses for the values that an endpoint returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.templating import Jinja2Templates

from .._core.blocks import Fragment
from .._core.errors import ReactiveError
from .._templates import compile_block
from .._templates.environments import context_for
from .out_of_band import as_out_of_band, as_partial
from .values import OOB, ValidationError, fragments_of

__all__ = ["respond", "respond_async"]

Html = Callable[[Fragment], str]


def respond(templates: Jinja2Templates, request: Request, value: Any) -> Response:
    """Return the response for a value.

    Raises:
        ReactiveError: The environment is asynchronous, so a fragment cannot be rendered here.
        TypeError: There is no response for such a value.
    """
    if templates.env.is_async and fragments_of(value):
        raise ReactiveError(
            "the Jinja environment is asynchronous, and reactive.response() is not: return the value from an endpoint "
            "decorated with @reactive.html"
        )
    rendered = {
        id(fragment): compile_block(templates.env, fragment.template_name, fragment.block_name).render(context)
        for fragment, context in _contexts(templates, request, value)
    }
    return _response(value, lambda fragment: rendered[id(fragment)])


async def respond_async(templates: Jinja2Templates, request: Request, value: Any) -> Response:
    """Return the response for a value, in any environment.

    Raises:
        TypeError: There is no response for such a value.
    """
    rendered = {}
    for fragment, context in _contexts(templates, request, value):
        block = compile_block(templates.env, fragment.template_name, fragment.block_name)
        rendered[id(fragment)] = await block.render_async(context)
    return _response(value, lambda fragment: rendered[id(fragment)])


def _contexts(templates: Jinja2Templates, request: Request, value: Any) -> list[tuple[Fragment, dict[str, Any]]]:
    more = {"errors": value.errors} if isinstance(value, ValidationError) else {}
    return [
        (fragment, context_for(templates, request, {**fragment.context, **more})) for fragment in fragments_of(value)
    ]


def _response(value: Any, html_of: Html) -> Response:
    if isinstance(value, Response):
        return value
    if isinstance(value, str):
        return HTMLResponse(value)
    if isinstance(value, Mapping):
        return JSONResponse(dict(value))
    if isinstance(value, Fragment):
        return HTMLResponse(html_of(value))
    if isinstance(value, OOB):
        return HTMLResponse(
            html_of(value.main) + "".join(_out_of_band(value, each, html_of) for each in value.fragments)
        )
    if isinstance(value, ValidationError):
        return HTMLResponse(html_of(value.fragment), status_code=422)
    raise TypeError(
        f"there is no response for {type(value).__name__}: return a Fragment, OOB, Action, ValidationError, str, dict "
        "or Response"
    )


def _out_of_band(oob: OOB, fragment: Fragment, html_of: Html) -> str:
    target = fragment.target or fragment.block_name
    convert = as_partial if oob.style == "partial" else as_out_of_band
    return convert(target, html_of(fragment), oob.swap.get(target))
