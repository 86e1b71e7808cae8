"""Wrapping an application's endpoint, so that FastAPI and Starlette still see what they need of it.

FastAPI reads the signature, resolves the parameters and calls with keywords; Starlette calls with the request alone.
A wrapped endpoint works under both, whether the original asks for the request or not, and whether it is a coroutine
function or a plain one, which runs in a worker thread.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

__all__ = ["Call", "Endpoint", "wrap_endpoint"]

Endpoint = Callable[..., Any]

_REQUEST = "reactive_request"  # the parameter that is added where the endpoint has none for the request


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an endpoint.

    Args:
        request: The request.
        values: The endpoint's arguments by name, and the path's parameters.
        run: Calls the original endpoint.
    """

    request: Request
    values: Mapping[str, Any]
    run: Callable[[], Awaitable[Any]]


def wrap_endpoint(
    endpoint: Endpoint,
    respond: Callable[[Call], Awaitable[Response]],
    *,
    first: Mapping[str, inspect.Parameter] | None = None,
) -> Endpoint:
    """Return an endpoint that answers with what ``respond`` makes of a call of the original one.

    Args:
        endpoint: The application's endpoint.
        respond: Makes the response.
        first: Further parameters, resolved before those of the endpoint and not handed to it.

    Raises:
        TypeError: ``endpoint`` is no function, for instance because the decorators are in the wrong order.
    """
    if not inspect.isroutine(endpoint):
        raise TypeError(f"{endpoint!r} is no function: write the route's decorator above this one")
    signature = _signature(endpoint)
    request_name = next((name for name, each in signature.parameters.items() if _is_request(each)), None)
    added = dict(first or {})

    @functools.wraps(endpoint)
    async def wrapped(*args: Any, **kwargs: Any) -> Response:
        request = args[0] if args else kwargs[request_name or _REQUEST]
        arguments = {name: value for name, value in kwargs.items() if name not in added and name != _REQUEST}
        positional = args if args and signature.parameters else ()
        run = functools.partial(_run, endpoint, *positional, **arguments)
        return await respond(Call(request, {**request.path_params, **arguments}, run))

    parameters = [*added.values(), *signature.parameters.values()]
    if request_name is None:
        parameters.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters], return_annotation=Response
    )
    del wrapped.__wrapped__  # FastAPI would look through it for annotations
    return wrapped


def _signature(endpoint: Endpoint) -> inspect.Signature:
    try:
        return inspect.signature(endpoint, eval_str=True)
    except NameError:  # an annotation names what is only there for type checkers
        return inspect.signature(endpoint)


def _is_request(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if inspect.isclass(annotation) and issubclass(annotation, HTTPConnection):
        return True
    return parameter.name == "request" and annotation in (inspect.Parameter.empty, "Request")


async def _run(endpoint: Endpoint, *args: Any, **kwargs: Any) -> Any:
    if inspect.iscoroutinefunction(endpoint):
        return await endpoint(*args, **kwargs)
    return await run_in_threadpool(endpoint, *args, **kwargs)
