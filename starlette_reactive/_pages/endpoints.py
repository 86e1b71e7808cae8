"""Wrapping an application's endpoint so that it works under both FastAPI and Starlette.

FastAPI reads the signature, resolves the parameters and calls with keywords. Starlette calls with the request alone.
The original may or may not take the request, and may be a coroutine function or a plain one, which runs in a worker
thread.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Annotated, Any, get_args, get_origin

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from .mounts import routes_of

__all__ = ["Call", "Decorated", "Endpoint", "wrap_endpoint"]

Endpoint = Callable[..., Any]

_REQUEST = "reactive_request"  # the parameter that is added if the endpoint has none for the request


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
    """Return an endpoint that answers with what ``respond`` returns for a call of the original one.

    Args:
        endpoint: The application's endpoint.
        respond: Returns the response.
        first: Further parameters, resolved before those of the endpoint and not passed to it.

    Raises:
        TypeError: ``endpoint`` is not a function, for instance because the decorators are in the wrong order.
    """
    if not inspect.isroutine(endpoint):
        raise TypeError(f"{endpoint!r} is not a function: write the route's decorator above this one")
    signature = _signature(endpoint)
    request_name = next((name for name, each in signature.parameters.items() if _is_request(each)), None)
    added = dict(first or {})
    not_passed = {_REQUEST, *added}
    call = _caller(endpoint, signature)

    @functools.wraps(endpoint)
    async def wrapped(*args: Any, **kwargs: Any) -> Response:
        request = args[0] if args else kwargs[request_name or _REQUEST]
        arguments = {name: value for name, value in kwargs.items() if name not in not_passed}
        if args and signature.parameters:  # Starlette passes the request, whatever the name of the parameter
            name, parameter = next(iter(signature.parameters.items()))
            arguments = {request_name or name: (request,) if parameter.kind is parameter.VAR_POSITIONAL else request}
        return await respond(Call(request, {**request.path_params, **arguments}, functools.partial(call, arguments)))

    parameters = [*added.values(), *signature.parameters.values()]
    if request_name is None:
        parameters.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters], return_annotation=Response
    )
    wrapped.__annotations__ = {each.name: each.annotation for each in parameters if each.annotation is not each.empty}
    del wrapped.__wrapped__  # FastAPI would look through it for annotations
    return wrapped


class Decorated:
    """The endpoints that one Reactive object has wrapped."""

    def __init__(self) -> None:
        self._wrapped: dict[Endpoint, Endpoint] = {}

    def wrap(self, endpoint: Endpoint, respond: Callable[[Call], Awaitable[Response]], **options: Any) -> Endpoint:
        """Wrap an endpoint; see :func:`wrap_endpoint`."""
        wrapped = self._wrapped[endpoint] = wrap_endpoint(endpoint, respond, **options)
        return wrapped

    def check_order(self, app: Any) -> None:
        """Check that no route of an application has an endpoint without its wrapping.

        Raises:
            TypeError: One has, because the decorators are in the wrong order.
        """
        for route in routes_of(app):
            endpoint = getattr(route, "endpoint", None)
            if inspect.isroutine(endpoint) and endpoint in self._wrapped:
                raise TypeError(
                    f"the route {getattr(route, 'path', '')!r} has the endpoint {endpoint.__qualname__} without its "
                    "reactive decorator: write the route's decorator above the one of the Reactive object, not below it"
                )


def _signature(endpoint: Endpoint) -> inspect.Signature:
    """Return a signature with annotations resolved, as far as that is possible at run time."""
    signature = inspect.signature(endpoint)
    names = _names_seen_by(endpoint)
    return signature.replace(
        parameters=[each.replace(annotation=_value(each.annotation, names)) for each in signature.parameters.values()]
    )


def _names_seen_by(endpoint: Endpoint) -> dict[str, Any]:
    function = inspect.unwrap(endpoint)
    if isinstance(function, MethodType):
        function = function.__func__
    if not isinstance(function, FunctionType):
        return {}
    names = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a name that is bound later has an empty cell until then
            names[name] = cell.cell_contents
    return names


def _value(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)  # noqa: S307 - the application's own source, as inspect.signature does
    except NameError:  # it names something that only type checkers import
        return annotation


def _is_request(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if inspect.isclass(annotation) and issubclass(annotation, HTTPConnection):
        return True
    return parameter.name == "request" and annotation in (inspect.Parameter.empty, "Request")


def _caller(endpoint: Endpoint, signature: inspect.Signature) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
    """Return a function that calls an endpoint with arguments by name."""
    bind = _binder(signature)
    is_coroutine_function = inspect.iscoroutinefunction(endpoint)

    async def call(arguments: Mapping[str, Any]) -> Any:
        args, kwargs = bind(arguments)
        if is_coroutine_function:
            return await endpoint(*args, **kwargs)
        return await run_in_threadpool(endpoint, *args, **kwargs)

    return call


def _binder(signature: inspect.Signature) -> Callable[[Mapping[str, Any]], _Bound]:
    """Return a function that splits arguments by name into positional ones and keywords."""
    kinds = {name: each.kind for name, each in signature.parameters.items()}
    positional = [name for name, kind in kinds.items() if kind in _POSITIONAL]
    keywords = [name for name, kind in kinds.items() if kind is inspect.Parameter.KEYWORD_ONLY]
    is_plain = len(positional) + len(keywords) == len(kinds)

    def bind(arguments: Mapping[str, Any]) -> _Bound:
        if is_plain and arguments.keys() == kinds.keys():
            return [arguments[name] for name in positional], {name: arguments[name] for name in keywords}
        bound = signature.bind_partial()
        bound.arguments = {name: arguments[name] for name in kinds if name in arguments}
        return bound.args, bound.kwargs

    return bind


_Bound = tuple[Sequence[Any], Mapping[str, Any]]
_POSITIONAL = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
