"""What can be an endpoint and the route of a page, and why something else cannot."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from starlette.endpoints import HTTPEndpoint
from starlette.routing import BaseRoute

from .._core.callables import function_of

__all__ = ["PAGE", "check_endpoint", "check_methods", "page_of"]

PAGE = "__reactive_page__"
"""The attribute of a wrapped endpoint that has its page. Decorators above it copy it with ``functools.wraps``."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASGI = ["scope", "receive", "send"]


def check_endpoint(endpoint: Any) -> None:
    """Check that something can be wrapped as an endpoint.

    Raises:
        TypeError: It cannot. The message says why, and how to fix it.
    """
    if isinstance(endpoint, classmethod):
        name = endpoint.__func__.__qualname__
        raise TypeError(
            f"{name} is a class method that is not bound yet: write @classmethod above the decorator of the Reactive "
            f"object, and add the route with {name}"
        )
    if inspect.isclass(endpoint):
        method = "get" if issubclass(endpoint, HTTPEndpoint) else "the method that answers"
        raise TypeError(
            f"{endpoint.__qualname__} is a class, and a class cannot be decorated: write the decorator of the Reactive "
            f"object above {method} in it"
        )
    if isinstance(endpoint, BaseRoute) or not callable(endpoint):
        raise TypeError(f"{endpoint!r} is not a function: write the route's decorator above this one")
    _check_callable(endpoint, function_of(endpoint).__qualname__)


def _check_callable(endpoint: Callable[..., Any], name: str) -> None:
    try:
        parameters = list(inspect.signature(endpoint).parameters)
    except ValueError as error:
        raise TypeError(f"the parameters of {name} cannot be found out: call it in a function of your own") from error
    if parameters[-3:] == _ASGI:
        raise TypeError(
            f"{name} is an ASGI application, which sends its answer itself: decorate a function that returns a value"
        )
    function = function_of(endpoint)
    call = function.__call__ if inspect.isclass(function) else function
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        raise TypeError(
            f"{name} is a generator, whose values nobody would read: write return in place of yield, and close what it "
            "opens in a with statement or in a dependency with yield"
        )


def page_of(endpoint: Any, method: str = "GET") -> Any:
    """Return the page of an endpoint, or of what answers a method in a class. ``None`` if it is no page's."""
    if inspect.isclass(endpoint):
        endpoint = getattr(endpoint, method.lower(), None)
    return getattr(function_of(endpoint), PAGE, None)


def check_methods(route: BaseRoute, endpoint: Any) -> None:
    """Check that the route of a page is for GET alone.

    Raises:
        TypeError: It is not. The message says how to fix it.
    """
    methods: set[str] = getattr(route, "methods", None) or ({*_METHODS} if inspect.isclass(endpoint) else {"GET"})
    pages = {each: page_of(endpoint, each) for each in _METHODS}
    wrong = sorted(each for each in methods & {*_METHODS[1:]} if pages[each] is not None)
    if not wrong and (pages["GET"] is None or "GET" in methods):
        return
    page = pages[wrong[0] if wrong else "GET"]
    raise TypeError(
        f"the route {getattr(route, 'path', '')!r} of the page {page.key} answers "
        f"{', '.join(wrong or sorted(methods))}, but updates repeat a page's request as a GET: decorate an endpoint "
        "that answers GET alone, and answer other methods by another endpoint of that path without @reactive.page, "
        "which may render the same template"
    )
