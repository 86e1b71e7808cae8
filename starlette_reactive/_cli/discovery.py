"""Finds what an application consists of: its ``Reactive`` objects, templates, indexes and stream endpoints."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jinja2 import Environment
from starlette.routing import BaseRoute
from starlette.templating import Jinja2Templates

from .._checks import AppDescription, DeclaredPage
from .._checks.endpoint_rules import returns_stream
from .._core.errors import ReactiveError
from .._index.index import DependencyIndex
from ..app import Reactive, describe_app

__all__ = ["DiscoveredApp", "discover", "globals_of"]


@dataclass(frozen=True, slots=True)
class DiscoveredApp:
    """The parts of an application.

    Args:
        reactives: Its ``Reactive`` objects.
        environments: The environments of its templates.
        plain_indexes: The indexes that belong to no ``Reactive`` object.
        stream_endpoints: The endpoints that return streams.
        middleware: The classes of its middleware, from the outermost to the innermost.
    """

    reactives: Sequence[Reactive]
    environments: Sequence[Environment]
    plain_indexes: Sequence[DependencyIndex]
    stream_endpoints: Sequence[Callable[..., Any]]
    middleware: Sequence[type] = ()

    def describe(self) -> AppDescription:
        """Return the description that a check reads."""
        parts = [describe_app(reactive) for reactive in self.reactives]
        known = {_name_of(endpoint) for each in parts for endpoint in each.endpoints}
        others = [endpoint for endpoint in self.stream_endpoints if _name_of(endpoint) not in known]
        return AppDescription(
            environments=_unique([*(env for each in parts for env in each.environments), *self.environments]),
            indexes=_unique([*(index for each in parts for index in each.indexes), *self.plain_indexes]),
            pages=[page for each in parts for page in each.pages],
            viewer_names=frozenset(name for each in parts for name in each.viewer_names),
            sink_names=frozenset(name for each in parts for name in each.sink_names),
            data=_merged(each.data for each in parts),
            endpoints=_unique([*(endpoint for each in parts for endpoint in each.endpoints), *others]),
            middleware=self.middleware,
        )

    @property
    def pages(self) -> list[tuple[DeclaredPage, Set[str]]]:
        """Its declared pages, each with the context variables that belong to one viewer in it."""
        parts = [describe_app(reactive) for reactive in self.reactives]
        return [(page, each.viewer_names) for each in parts for page in each.pages]

    @property
    def indexes(self) -> list[DependencyIndex]:
        """The indexes with registered blocks, of plain streams and of declared pages."""
        return [index for index in self.describe().all_indexes if index.blocks()]


def discover(value: Any, name: str) -> DiscoveredApp:
    """Find the parts of an application.

    Args:
        value: An application, a factory function without arguments, or a ``Reactive`` object.
        name: The name that the user wrote, for error messages.

    Raises:
        ReactiveError: It is none of these, or has neither templates nor a ``Reactive`` object.
    """
    if isinstance(value, Reactive):
        return DiscoveredApp([value], [], [], [])
    value = _application(value, name)
    endpoints = list(_endpoints(value.routes))
    values = list(_globals_of(endpoints))
    reactives = _unique(
        each for each in (*(getattr(end, "__self__", None) for end in endpoints), *values) if isinstance(each, Reactive)
    )
    known = {id(reactive.index) for reactive in reactives}
    environments = [each.env if isinstance(each, Jinja2Templates) else each for each in values]
    found = DiscoveredApp(
        reactives,
        _unique(each for each in environments if isinstance(each, Environment)),
        _unique(each for each in values if isinstance(each, DependencyIndex) and id(each) not in known),
        _unique(endpoint for endpoint in endpoints if inspect.isfunction(endpoint) and returns_stream(endpoint)),
        [each.cls for each in getattr(value, "user_middleware", ()) if inspect.isclass(each.cls)],
    )
    if not found.reactives and not found.environments:
        raise ReactiveError(
            f"no templates were found for {name!r}: name its Reactive object, or keep its Jinja2Templates in a global "
            "variable of the module that defines the endpoints"
        )
    return found


def globals_of(value: Any, name: str) -> list[Any]:
    """Return the global variables of the modules that define an application's endpoints, and of those they import.

    Args:
        value: An application, a factory function without arguments, or a ``Reactive`` object.
        name: The name that the user wrote, for error messages.

    Raises:
        ReactiveError: It is none of these.
    """
    if isinstance(value, Reactive):
        return list(_globals_of(describe_app(value).endpoints))
    return list(_globals_of(list(_endpoints(_application(value, name).routes))))


def _application(value: Any, name: str) -> Any:
    """Return an application that was named itself, or by its factory function."""
    if not hasattr(value, "routes") and inspect.isfunction(value):
        value = _call_factory(value, name)
    if not hasattr(value, "routes"):
        raise ReactiveError(
            f"{name!r} is {type(value).__name__}: name a Starlette or FastAPI application, a factory function without "
            "arguments, or a Reactive object"
        )
    return value


def _merged(data: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge contract data. Sets are united; of other values the last one counts."""
    merged: dict[str, Any] = {}
    for each in data:
        for key, value in each.items():
            known = merged.get(key)
            unite = isinstance(known, set) and isinstance(value, Iterable) and not isinstance(value, str)
            merged[key] = {*(known or ()), *value} if unite else value
    return merged


def _name_of(endpoint: Callable[..., Any]) -> tuple[str, str]:
    return getattr(endpoint, "__module__", ""), getattr(endpoint, "__qualname__", repr(endpoint))


def _call_factory(function: Callable[[], Any], name: str) -> Any:
    try:
        return function()
    except ReactiveError:
        raise
    except Exception as error:
        raise ReactiveError(f"{name!r} raised when it was called: {type(error).__name__}: {error}") from error


def _endpoints(routes: Iterable[BaseRoute]) -> Iterator[Callable[..., Any]]:
    for route in routes:
        endpoint = getattr(route, "endpoint", None)
        if callable(endpoint):
            yield endpoint
        for holder in (route, getattr(route, "original_router", None)):
            inner = getattr(holder, "routes", None)
            if inner and inner is not routes:
                yield from _endpoints(inner)


def _globals_of(endpoints: Iterable[Callable[..., Any]]) -> Iterator[Any]:
    """Yield the globals of the modules that define endpoints, and of the modules of the same package in them."""
    seen: set[int] = set()
    for endpoint in endpoints:
        names = getattr(inspect.unwrap(endpoint), "__globals__", {})
        package = str(names.get("__name__", "")).partition(".")[0]
        if package == __name__.partition(".")[0] or id(names) in seen:
            continue
        seen.add(id(names))
        for value in list(names.values()):
            if not isinstance(value, ModuleType):
                yield value
            elif value.__name__.partition(".")[0] == package:
                yield from vars(value).values()


def _unique(values: Iterable[Any]) -> list[Any]:
    return list({id(value): value for value in values}.values())
