"""From an application to what can be checked of it: its ``Reactive`` objects, templates, indexes and endpoints."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jinja2 import Environment
from starlette.routing import BaseRoute
from starlette.templating import Jinja2Templates

from .._checks import Subject
from .._checks.contract import is_stream
from .._core.errors import ReactiveError
from .._index.index import DependencyIndex
from ..app import Reactive, subject_of

__all__ = ["Discovered", "discover"]


@dataclass(frozen=True, slots=True)
class Discovered:
    """What was found of an application.

    Args:
        reactives: Its ``Reactive`` objects.
        environments: The environments of its templates.
        plain: The indexes that belong to no ``Reactive`` object.
        streams: The endpoints that return streams.
    """

    reactives: Sequence[Reactive]
    environments: Sequence[Environment]
    plain: Sequence[DependencyIndex]
    streams: Sequence[Callable[..., Any]]

    def subject(self) -> Subject:
        """Return all of it, to be checked."""
        subjects = [subject_of(reactive) for reactive in self.reactives]
        data: dict[str, Any] = {}
        wrapped = {_name_of(endpoint) for each in subjects for endpoint in each.endpoints}
        streams = [endpoint for endpoint in self.streams if _name_of(endpoint) not in wrapped]
        for each in subjects:
            for key, value in each.data.items():
                known = data.get(key)
                joined = isinstance(value, Iterable) and isinstance(known, set) and not isinstance(value, str)
                data[key] = {*known, *value} if joined and known is not None else value
        return Subject(
            environments=_unique([*(env for each in subjects for env in each.environments), *self.environments]),
            indexes=_unique([*(index for each in subjects for index in each.indexes), *self.plain]),
            pages=[page for each in subjects for page in each.pages],
            viewer_names=frozenset(name for each in subjects for name in each.viewer_names),
            sink_names=frozenset(name for each in subjects for name in each.sink_names),
            data=data,
            endpoints=_unique([*(endpoint for each in subjects for endpoint in each.endpoints), *streams]),
        )

    @property
    def indexes(self) -> list[DependencyIndex]:
        """The indexes that hold blocks: those of plain streams and those of declared pages."""
        subject = self.subject()
        return [index for index in (*subject.indexes, *(page.index for page in subject.pages)) if index.blocks()]


def discover(value: Any, name: str) -> Discovered:
    """Find out what there is to check.

    Args:
        value: An application, a function without arguments that makes one, or a ``Reactive`` object.
        name: How it was named, for the message.

    Raises:
        ReactiveError: It is none of these, or has neither templates nor a ``Reactive`` object.
    """
    if isinstance(value, Reactive):
        return Discovered([value], [], [], [])
    if not hasattr(value, "routes") and inspect.isfunction(value):
        value = _made(value, name)
    if not hasattr(value, "routes"):
        raise ReactiveError(
            f"{name!r} is {type(value).__name__}: name a Starlette or FastAPI application, a function without "
            "arguments that makes one, or a Reactive object"
        )
    endpoints = list(_endpoints(value.routes))
    held = list(_held(endpoints))
    reactives = _unique(
        each for each in (*(getattr(end, "__self__", None) for end in endpoints), *held) if isinstance(each, Reactive)
    )
    known = {id(reactive.index) for reactive in reactives}
    environments = [each.env if isinstance(each, Jinja2Templates) else each for each in held]
    found = Discovered(
        reactives,
        _unique(each for each in environments if isinstance(each, Environment)),
        _unique(each for each in held if isinstance(each, DependencyIndex) and id(each) not in known),
        _unique(endpoint for endpoint in endpoints if inspect.isfunction(endpoint) and is_stream(endpoint)),
    )
    if not found.reactives and not found.environments:
        raise ReactiveError(
            f"{name!r} has no templates that can be found: name its Reactive object, or keep its Jinja2Templates in a "
            "variable of the module that has the endpoints"
        )
    return found


def _name_of(endpoint: Callable[..., Any]) -> tuple[str, str]:
    return getattr(endpoint, "__module__", ""), getattr(endpoint, "__qualname__", repr(endpoint))


def _made(function: Callable[[], Any], name: str) -> Any:
    try:
        return function()
    except ReactiveError:
        raise
    except Exception as error:
        raise ReactiveError(f"{name!r} makes no application: {type(error).__name__}: {error}") from error


def _endpoints(routes: Iterable[BaseRoute]) -> Iterator[Callable[..., Any]]:
    for route in routes:
        endpoint = getattr(route, "endpoint", None)
        if callable(endpoint):
            yield endpoint
        for holder in (route, getattr(route, "original_router", None)):
            inner = getattr(holder, "routes", None)
            if inner and inner is not routes:
                yield from _endpoints(inner)


def _held(endpoints: Iterable[Callable[..., Any]]) -> Iterator[Any]:
    """Yield what the modules of endpoints hold, and the modules of the same package that these import."""
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
