"""The answers to a page's own requests: whose changes they stand for, and which live blocks they contain.

What an endpoint emits while it runs has the page that sent the request as its origin. A header names the live blocks in
the answer. So the page's script can tell what its stream brings and the answer has shown.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from .._answers.responses import respond, respond_async
from .._answers.values import Action, fragments_of
from .._core.origins import emitting_as
from .browser_session import ORIGIN_HEADER
from .declared_response import as_declared
from .endpoints import Call
from .site import Site

__all__ = ["BLOCKS_HEADER", "respond_with_value", "response_for"]

BLOCKS_HEADER = "Reactive-Blocks"
"""The header: the ids of the blocks' elements, each percent-encoded, separated by spaces."""


async def respond_with_value(templates: Jinja2Templates, site: Site, call: Call) -> Response:
    """Return the response for the value that an endpoint returns.

    Args:
        templates: The templates of fragments.
        site: The live pages that requests come from.
        call: The call of the endpoint.

    Raises:
        TypeError: There is no response for such a value.
    """
    with emitting_as(site.sessions.origin(call.request)):
        value = await call.run()
    response = await respond_async(templates, call.request, value)
    if isinstance(value, Response) and not isinstance(value, Action):
        return value
    _name_blocks(response, call.request, value, site)
    return as_declared(call.request, value, response)


def response_for(templates: Jinja2Templates, site: Site, request: Request, value: object) -> Response:
    """Return the response for what an endpoint may return.

    Args:
        templates: The templates of fragments.
        site: The live pages that requests come from.
        request: The request.
        value: The value.

    Raises:
        ReactiveError: The environment is asynchronous, so a fragment cannot be rendered here.
        TypeError: There is no response for such a value.
    """
    response = respond(templates, request, value)
    _name_blocks(response, request, value, site)
    return response


def _name_blocks(response: Response, request: Request, value: object, site: Site) -> None:
    """Name the live blocks in a response, if a page has sent the request."""
    fragments = fragments_of(value)
    if not fragments or ORIGIN_HEADER not in request.headers:
        return
    targets: dict[str, None] = {}
    for fragment in fragments:
        key = fragment.template_name, fragment.block_name
        targets.update(dict.fromkeys(target for page in site for target in page.registry.targets(key)))
        if fragment.target is not None:
            targets[fragment.target] = None
    if targets:
        response.headers[BLOCKS_HEADER] = " ".join(quote(target, safe="") for target in targets)
