"""Rules for what an application declares: its index, the paths and scopes it emits, and its streams' endpoints."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .._core.errors import ReactiveError
from .._core.paths import ALL, validate_path
from .._index.index import DependencyIndex, registry_of
from .._templates import analyse
from .._templates.survey import list_names
from .blocks import near
from .model import Issue, Severity
from .subject import Subject

__all__ = ["check_contract", "is_stream"]


def check_contract(subject: Subject) -> Iterator[Issue]:
    """Check what does not stand in a template."""
    for index in subject.indexes:
        yield from _check_blocks_exist(index, subject)
    seen: set[frozenset[str]] = set()
    for index in (*subject.indexes, *(page.index for page in subject.pages)):
        for cycle in _cycles(index.derivations):
            if frozenset(cycle) not in seen:
                seen.add(frozenset(cycle))
                yield _cycle_issue(cycle)
    yield from _check_paths(subject)
    yield from _check_audience(subject)
    for endpoint in subject.endpoints:
        yield from _check_dependencies(endpoint)


def _check_blocks_exist(index: DependencyIndex, subject: Subject) -> Iterator[Issue]:
    for template, block in dict.fromkeys(ref.key for ref in index.blocks()):
        own = registry_of(index).environment(template)
        environments = [own] if own is not None else list(subject.environments)
        known: set[str] = set()
        pages = []
        for env in environments:
            known.update(list_names(env))
            try:
                pages.append(analyse(env, template))
            except (ReactiveError, UnicodeError, OSError) as error:
                if getattr(error, "line", None) is not None:
                    pages = []
                    known.add(template)  # it is there; that it does not parse is another issue
                    break
        if not pages and template not in known:
            yield _missing(None, f"a BlockRef names the template {template!r}, which does not exist", template, known)
        elif pages and not any(block in page.blocks or block in page.unplaced for page in pages):
            blocks = {name for page in pages for name in (*page.blocks, *page.unplaced)}
            message = f"a BlockRef names the block {block!r}, which {template!r} and its parents do not have"
            yield _missing(template, message, block, blocks)


def _missing(template: str | None, message: str, name: str, known: set[str]) -> Issue:
    mend = "correct the name where the block is registered"
    return Issue(Severity.ERROR, "reactive_block", template, None, f"{message}{near(name, known)}", mend)


def _cycles(derivations: Mapping[str, frozenset[str]]) -> Iterator[list[str]]:
    """Yield each circle of derivations once, beginning with its first path by name."""
    done: set[str] = set()
    for start in sorted(derivations):
        if start in done:
            continue
        cycle = _way_back(start, derivations)
        if cycle:
            done.update(cycle)
            yield cycle


def _way_back(start: str, derivations: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the shortest way from a path over what it is computed from back to itself."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for source in sorted(derivations.get(way[-1], ())):
            if source == start:
                return way
            if source not in seen:
                seen.add(source)
                ways.append([*way, source])
    return []


def _cycle_issue(cycle: list[str]) -> Issue:
    circle = " from ".join([*cycle, cycle[0]])
    return Issue(
        Severity.WARNING,
        "reactive_cycle",
        None,
        None,
        f"derived paths go round in a circle: {circle}. A change of one renders what shows any of them",
        "remove one derive() of the circle",
    )


def _names(value: object, key: str) -> tuple[set[str], Issue | None]:
    if value is None:
        return set(), None
    if isinstance(value, str):
        return {value}, None
    if isinstance(value, Iterable):
        names = list(value)
        if all(isinstance(name, str) for name in names):
            return set(names), None
    category = "reactive_audience" if "scopes" in key else "reactive_paths"
    message = f"{key} is {type(value).__name__}, not a set of strings"
    return set(), Issue(Severity.WARNING, category, None, None, message, "declare a set of strings")


def _check_paths(subject: Subject) -> Iterator[Issue]:
    emitted, issue = _names(subject.data.get("reactive_emitted_paths"), "reactive_emitted_paths")
    if issue is not None:
        yield issue
    indexes = [*subject.indexes, *(page.index for page in subject.pages)]
    known = {path for index in indexes for ref in index.blocks() for path in index.block_dependencies(*ref.key)}
    for path in sorted(emitted):
        try:
            validate_path(path)
        except ValueError as error:
            yield Issue(Severity.WARNING, "reactive_paths", None, None, str(error), "correct the path")
            continue
        if path != ALL and not any(index.affected_blocks({path}) for index in indexes):
            yield Issue(
                Severity.WARNING,
                "reactive_paths",
                None,
                None,
                f"the path {path!r} is emitted, and no live block shows it{near(path, known)}",
                "correct the path, derive one that is shown from it, or do not emit it",
            )


def _check_audience(subject: Subject) -> Iterator[Issue]:
    audience, first = _names(subject.data.get("reactive_audience_scopes"), "reactive_audience_scopes")
    connections, second = _names(subject.data.get("reactive_connection_scopes"), "reactive_connection_scopes")
    yield from (issue for issue in (first, second) if issue is not None)
    knowing = connections | {page.scope for page in subject.pages if page.knows_user}
    shapes = {_shape(scope) for scope in knowing}
    for scope in sorted(audience):
        if _shape(scope) not in shapes:
            yield Issue(
                Severity.WARNING,
                "reactive_audience",
                None,
                None,
                f"changes of the scope {scope!r} are emitted to an audience, and no stream of it knows its user, so "
                f"nobody is sent them{near(scope, knowing)}",
                "give its streams connection=ConnectionInfo(session_id, user_id), or its page user=",
            )


def _shape(scope: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", scope)


# Endpoints


def is_stream(endpoint: Callable[..., Any]) -> bool:
    """Tell whether an endpoint returns a stream, as its annotation or its code says."""
    annotation = (
        inspect.unwrap(endpoint).__annotations__.get("return") if hasattr(endpoint, "__annotations__") else None
    )
    if "EventStream" in str(annotation) or "EventSourceResponse" in str(annotation):
        return True
    code = getattr(inspect.unwrap(endpoint), "__code__", None)
    return code is not None and bool({"reactive_stream", "EventStream", "EventSourceResponse"} & set(code.co_names))


def _check_dependencies(endpoint: Callable[..., Any]) -> Iterator[Issue]:
    for name, dependency in _held(endpoint, set()):
        yield Issue(
            Severity.WARNING,
            "yield_dependency",
            None,
            None,
            f"the stream's endpoint {_place(endpoint)} depends on {name!r}, which is held open for as long as the "
            f"stream lives: {_place(dependency)} has a yield",
            'open it in the context builder, for each update, or write Depends(…, scope="function")',
        )


def _place(function: Callable[..., Any]) -> str:
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", repr(function))
    module = getattr(function, "__module__", "")
    return f"{module}.{name} (line {code.co_firstlineno})" if code is not None else f"{module}.{name}"


def _held(function: Callable[..., Any], seen: set[int]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the dependencies with ``yield``, at any depth, that end only after the response."""
    if id(function) in seen:
        return
    seen.add(id(function))
    for parameter in _parameters(function):
        for marker in (parameter.default, *getattr(parameter.annotation, "__metadata__", ())):
            dependency = getattr(marker, "dependency", None)
            if not callable(dependency):
                continue
            if _yields(dependency) and getattr(marker, "scope", None) != "function":
                yield parameter.name, dependency
            yield from _held(dependency, seen)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    try:
        hints = typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except (NameError, TypeError):
        hints = {}
    return [each.replace(annotation=hints.get(each.name, each.annotation)) for each in signature.parameters.values()]


def _yields(function: Callable[..., Any]) -> bool:
    call = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    return inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)
