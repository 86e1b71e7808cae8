"""What a FastAPI route and its endpoint declare of their response, applied as FastAPI does for a returned dict.

FastAPI injects one ``Response`` into the endpoint and all its dependencies, and applies its status, headers and cookies
to what the endpoint returns, unless that is a response itself. But what a wrapped endpoint returns is always one.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Mapping, Set

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

__all__ = [
    "as_declared",
    "note_response",
    "response_parameter",
    "response_to_update",
    "without_tasks",
]

_INJECTED = "starlette_reactive.injected_response"
_NO_BODY = frozenset({204, 205, 304})
_OF_BODY = frozenset({b"content-length", b"content-type"})


def note_response(request: Request, response: Response) -> None:
    """Record what FastAPI injects."""
    request.scope[_INJECTED] = response


def response_parameter() -> dict[str, inspect.Parameter]:
    """Return the parameter that records what FastAPI injects, if FastAPI is in use."""
    if "fastapi" not in sys.modules:
        return {}
    from .fastapi import dependency  # noqa: PLC0415 - FastAPI is optional

    name = "reactive_response"
    return {name: dependency(name, note_response)}


def as_declared(request: Request, value: object, response: Response) -> Response:
    """Return a response with the status, class and headers that were declared.

    Args:
        request: The request.
        value: What the response is for: what the endpoint has returned, or the HTML of the page.
        response: The response. A status of its own, such as 422, counts more than that of the decorator.
    """
    injected = _injected(request)
    status = None if injected is None else injected.status_code
    if status is None:
        status = _status_of_route(request) if response.status_code == 200 else response.status_code
    response = _copy(response) if response is value else _of_declared_class(request, value, response, status)
    response.status_code = status or response.status_code
    if response.status_code in _NO_BODY:
        response.body = b""
        _remove_headers(response, _OF_BODY)
    if injected is not None:
        _remove_headers(response, {name for name, _ in injected.raw_headers} - {b"set-cookie"})
        response.raw_headers.extend(injected.raw_headers)
    return response


def _of_declared_class(request: Request, value: object, response: Response, status: int | None) -> Response:
    """Return the response of the class that the route declares, if that can hold what the response is for."""
    declared: type[Response] | None = getattr(request.scope.get("route"), "response_class", None)
    if not inspect.isclass(declared) or isinstance(response, declared):
        return response  # FastAPI's default is no class
    if issubclass(declared, JSONResponse) != isinstance(response, JSONResponse):
        return response  # the default of an API, whose pages are HTML nevertheless
    if isinstance(value, Mapping):
        content: object = dict(value)
    else:
        content = bytes(response.body).decode(response.charset)
    made = declared(content) if status is None else declared(content, status_code=status)
    made.raw_headers.extend(pair for pair in response.raw_headers if pair[0] not in _OF_BODY)
    return made


def response_to_update(request: Request, response: Response) -> Response:
    """Return the answer of an update with the status and headers that were declared, and without background tasks."""
    injected = _injected(request)
    status = (None if injected is None else injected.status_code) or _status_of_route(request)
    if status is not None and not 200 <= status < 300:
        response.status_code = status
    if injected is not None:
        response.raw_headers.extend(injected.raw_headers)
    response.background = _NO_TASKS
    return response


def without_tasks(response: Response) -> Response:
    """Return a response that runs no background tasks, neither its own nor those that FastAPI would add."""
    copied = _copy(response)
    copied.background = _NO_TASKS
    return copied


async def _do_nothing() -> None:
    pass


_NO_TASKS = BackgroundTask(_do_nothing)


def _injected(request: Request) -> Response | None:
    found = request.scope.get(_INJECTED)
    return found if isinstance(found, Response) else None


def _status_of_route(request: Request) -> int | None:
    status: int | None = getattr(request.scope.get("route"), "status_code", None)
    return status


def _copy(response: Response) -> Response:
    """Return a copy, because a response of the application may be a constant that answers other requests too."""
    copied = copy.copy(response)
    copied.raw_headers = list(response.raw_headers)
    copied.__dict__.pop("_headers", None)  # else `headers` would change those of the original
    return copied


def _remove_headers(response: Response, names: Set[bytes]) -> None:
    response.raw_headers[:] = [pair for pair in response.raw_headers if pair[0] not in names]
