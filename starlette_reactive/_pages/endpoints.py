"""Wrapping an application's endpoint so that it works under both FastAPI and Starlette.

FastAPI reads the signature, resolves the parameters and calls with keywords. Starlette calls with the request alone.
Either may call a method, whose instance comes first, or by keyword if it is a dependency. The original may or may not
take the request. It is any function or object that can be called: a coroutine function runs in the event loop, and
everything else in a worker thread.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Annotated, Any, get_args, get_origin

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from .._core.callables import function_of
from .endpoint_kinds import check_endpoint, check_methods
from .mounts import routes_of

__all__ = ["Call", "Decorated", "Endpoint", "is_method", "wrap_endpoint"]

Endpoint = Callable[..., Any]

_REQUEST = "reactive_request"  # the parameter that is added if the endpoint has none for the request
_POSITIONAL = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})
_VARIADIC = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


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
        TypeError: ``endpoint`` cannot be wrapped, for instance because the decorators are in the wrong order.
    """
    check_endpoint(endpoint)
    if isinstance(endpoint, staticmethod):
        endpoint = endpoint.__func__
    original = _Original(endpoint)
    not_passed = {_REQUEST, *(first or {})}

    async def wrapped(*args: Any, **kwargs: Any) -> Response:
        if args and isinstance(args[-1], HTTPConnection):
            return await respond(original.call_of_starlette(args))
        request = kwargs[original.request_name or _REQUEST]
        arguments = {name: value for name, value in kwargs.items() if name not in not_passed}
        return await respond(original.call_of_fastapi(request, args, arguments))

    named = function_of(endpoint)
    functools.update_wrapper(wrapped, named, updated=("__dict__",) if inspect.isfunction(named) else ())
    del wrapped.__wrapped__  # type: ignore[attr-defined] # FastAPI would look through it for annotations
    signature = original.exposed_signature(first or {})
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {
        name: each.annotation for name, each in signature.parameters.items() if each.annotation is not each.empty
    }
    return wrapped


def is_method(endpoint: Endpoint) -> bool:
    """Return whether an endpoint is a function of a class, which is called with an instance."""
    if not inspect.isfunction(endpoint):
        return False
    return next(iter(inspect.signature(endpoint).parameters), None) in ("self", "cls")


class Decorated:
    """The endpoints that one Reactive object has wrapped."""

    def __init__(self) -> None:
        self._wrapped: list[tuple[Endpoint, Endpoint]] = []

    def wrap(self, endpoint: Endpoint, respond: Callable[[Call], Awaitable[Response]], **options: Any) -> Endpoint:
        """Wrap an endpoint; see :func:`wrap_endpoint`."""
        wrapped = wrap_endpoint(endpoint, respond, **options)
        self._wrapped.append((endpoint, wrapped))
        return wrapped

    def check_routes(self, app: Any) -> None:
        """Check that the routes of an application can call what was wrapped.

        Raises:
            TypeError: One has an endpoint without its wrapping, because the decorators are in the wrong order, FastAPI
                cannot find out the parameters of one, or the route of a page is not for GET alone.
        """
        for route in routes_of(app):
            endpoint = getattr(route, "endpoint", None)
            if endpoint is None:
                continue
            check_methods(route, endpoint)
            if inspect.isclass(endpoint):
                continue
            for original, wrapped in self._wrapped:
                if _is_same(endpoint, original):
                    raise TypeError(
                        f"the route {getattr(route, 'path', '')!r} has the endpoint "
                        f"{function_of(endpoint).__qualname__} without its reactive decorator: write the route's "
                        "decorator above the one of the Reactive object, not below it"
                    )
                if endpoint is wrapped and hasattr(route, "dependant"):
                    _check_parameters(original)


def _is_same(endpoint: Endpoint, other: Endpoint) -> bool:
    return endpoint is other or (isinstance(endpoint, MethodType) and endpoint == other)


def _check_parameters(endpoint: Endpoint) -> None:
    if _is_variadic(inspect.signature(endpoint)):
        raise TypeError(
            f"the endpoint {function_of(endpoint).__qualname__} takes *args or **kwargs only, so FastAPI cannot find "
            "out its parameters: if a decorator has made it, write @functools.wraps in that decorator; else name the "
            "parameters"
        )


def _is_variadic(signature: inspect.Signature) -> bool:
    kinds = {each.kind for each in signature.parameters.values()}
    return bool(kinds) and kinds <= _VARIADIC


class _Original:
    """The endpoint that was wrapped, and how it is called.

    Args:
        endpoint: The endpoint.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._signature = _signature(endpoint)
        self._parameters = list(self._signature.parameters.values())
        # Starlette calls what is there, and does not look through decorators.
        self._own_parameters = list(inspect.signature(endpoint, follow_wrapped=False).parameters.values())
        self._by_position = [each.name for each in self._parameters if each.kind is each.POSITIONAL_ONLY]
        self._is_variadic = _is_variadic(self._signature)
        self.request_name = next((each.name for each in self._parameters if _is_request(each)), None)
        function = function_of(endpoint)
        self._is_coroutine_function = inspect.iscoroutinefunction(
            function.__call__ if inspect.isclass(function) else function
        )

    def exposed_signature(self, first: Mapping[str, inspect.Parameter]) -> inspect.Signature:
        """Return the signature that FastAPI reads."""
        parameters = [each.replace(kind=each.KEYWORD_ONLY) for each in self._parameters if each.kind not in _VARIADIC]
        if self.request_name is None:
            parameters.append(inspect.Parameter(_REQUEST, inspect.Parameter.KEYWORD_ONLY, annotation=Request))
        instance = []
        if is_method(self._endpoint):  # a class-based view takes the first parameter for the instance
            instance = [parameters.pop(0).replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        return inspect.Signature([*instance, *first.values(), *parameters], return_annotation=Response)

    def call_of_starlette(self, args: tuple[Any, ...]) -> Call:
        """Return the call with positional arguments, of which the last one is the request."""
        *instance, request = args
        parameters = self._parameters_after(len(instance))
        named = [each for each in parameters if each.name == self.request_name and each.kind not in _VARIADIC]
        target = next(iter(named or parameters), None)
        if target is None:
            return Call(request, request.path_params, functools.partial(self._run, instance, {}))
        is_first = target is parameters[0] and target.kind is not target.KEYWORD_ONLY
        positional, keywords = ([*instance, request], {}) if is_first else (instance, {target.name: request})
        run = functools.partial(self._run, positional, keywords)
        return Call(request, {**request.path_params, target.name: request}, run)

    def _parameters_after(self, count: int) -> list[inspect.Parameter]:
        """Return what the endpoint itself takes after some positional arguments."""
        positional = [each for each in self._own_parameters if each.kind in _POSITIONAL]
        return positional[count:] + [each for each in self._own_parameters if each.kind not in _POSITIONAL]

    def call_of_fastapi(self, request: Request, instance: tuple[Any, ...], arguments: Mapping[str, Any]) -> Call:
        """Return the call with resolved parameters by name."""
        if self._is_variadic:
            _check_parameters(self._endpoint)
        positional = [*instance, *(arguments[name] for name in self._by_position if name in arguments)]
        keywords = {name: value for name, value in arguments.items() if name not in self._by_position}
        run = functools.partial(self._run, positional, keywords)
        return Call(request, {**request.path_params, **arguments}, run)

    async def _run(self, args: list[Any], kwargs: Mapping[str, Any]) -> Any:
        if self._is_coroutine_function:
            return await self._endpoint(*args, **kwargs)
        # In a tuple, because trio treats a coroutine returned from a thread as an error.
        (result,) = await run_in_threadpool(lambda: (self._endpoint(*args, **kwargs),))
        return await result if inspect.isawaitable(result) else result


def _signature(endpoint: Endpoint) -> inspect.Signature:
    """Return a signature with annotations resolved, as far as that is possible at run time."""
    signature = inspect.signature(endpoint)
    names = _names_seen_by(endpoint)
    parameters = [each.replace(annotation=_value(each.annotation, names)) for each in signature.parameters.values()]
    return signature.replace(parameters=[_with_request(each) for each in parameters])


def _names_seen_by(endpoint: Endpoint) -> dict[str, Any]:
    function = inspect.unwrap(function_of(endpoint))
    if inspect.isclass(function):
        function = inspect.unwrap(function.__call__)
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
    return inspect.isclass(annotation) and issubclass(annotation, HTTPConnection)


def _with_request(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter that is called ``request`` with the annotation that it lacks."""
    lacks = parameter.name == "request" and parameter.annotation in (inspect.Parameter.empty, "Request")
    return parameter.replace(annotation=Request) if lacks else parameter
