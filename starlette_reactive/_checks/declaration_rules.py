"""Rules for an application's declarations: its indexes, and the paths and scopes that it emits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .._core.errors import ReactiveError
from .._core.paths import ALL, validate_path
from .._core.suggestions import did_you_mean
from .._index.index import DependencyIndex, registry_of
from .._templates import analyse
from .._templates.survey import list_names
from .description import AppDescription
from .endpoint_rules import check_endpoint
from .issues import Issue, Severity
from .middleware_rules import check_middleware

__all__ = ["check_declarations"]

_CATEGORIES = {
    "reactive_audience_scopes": "reactive_audience",
    "reactive_connection_scopes": "reactive_audience",
    "reactive_emitted_paths": "reactive_paths",
    "reactive_emitted_scopes": "reactive_scopes",
}
"""The category of issues about contract data, by key."""


def check_declarations(app: AppDescription) -> Iterator[Issue]:
    """Check everything that is declared outside templates."""
    for index in app.indexes:
        yield from _check_blocks_exist(index, app)
    yield from _check_cycles(app)
    yield from _check_paths(app)
    yield from _check_audiences(app)
    yield from _check_scopes(app)
    for endpoint in app.endpoints:
        yield from check_endpoint(endpoint)
    yield from check_middleware(app)


def _check_blocks_exist(index: DependencyIndex, app: AppDescription) -> Iterator[Issue]:
    for template, block in dict.fromkeys(ref.key for ref in index.blocks()):
        own = registry_of(index).environment(template)
        environments = [own] if own is not None else list(app.environments)
        known: set[str] = set()
        pages = []
        for env in environments:
            known.update(list_names(env))
            try:
                pages.append(analyse(env, template))
            except (ReactiveError, UnicodeError, OSError) as error:
                if getattr(error, "line", None) is not None:
                    pages = []
                    known.add(template)  # it exists; that it does not parse is another issue
                    break
        if not pages and template not in known:
            message = f"a BlockRef names the template {template!r}, which does not exist"
            yield _missing_issue(None, message, template, known)
        elif pages and not any(block in page.blocks or block in page.unplaced for page in pages):
            blocks = {name for page in pages for name in (*page.blocks, *page.unplaced)}
            message = f"a BlockRef names the block {block!r}, which is neither in {template!r} nor in its parents"
            yield _missing_issue(template, message, block, blocks)


def _missing_issue(template: str | None, message: str, name: str, known: set[str]) -> Issue:
    fix = "correct the name where the block is registered"
    suggestion = did_you_mean(name, sorted(known))
    return Issue(Severity.ERROR, "reactive_block", template, None, f"{message}{suggestion}", fix)


def _check_cycles(app: AppDescription) -> Iterator[Issue]:
    seen: set[frozenset[str]] = set()
    for index in app.all_indexes:
        for cycle in _cycles(index.derivations):
            if frozenset(cycle) not in seen:
                seen.add(frozenset(cycle))
                yield _cycle_issue(cycle)


def _cycles(derivations: Mapping[str, frozenset[str]]) -> Iterator[list[str]]:
    """Yield each cycle of derivations once, beginning with its first path by name."""
    done: set[str] = set()
    for start in sorted(derivations):
        if start in done:
            continue
        cycle = _shortest_cycle(start, derivations)
        if cycle:
            done.update(cycle)
            yield cycle


def _shortest_cycle(start: str, derivations: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the shortest cycle through a path. Empty if there is none."""
    routes = [[start]]
    seen: set[str] = set()
    while routes:
        route = routes.pop(0)
        for source in sorted(derivations.get(route[-1], ())):
            if source == start:
                return route
            if source not in seen:
                seen.add(source)
                routes.append([*route, source])
    return []


def _cycle_issue(cycle: list[str]) -> Issue:
    description = " from ".join([*cycle, cycle[0]])
    return Issue(
        Severity.WARNING,
        "reactive_cycle",
        None,
        None,
        f"paths are derived in a cycle: {description}. A change of one renders every block that shows any of them",
        "remove one derive() of the cycle",
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
    category = _CATEGORIES[key]
    message = f"{key} is {type(value).__name__}, not a set of strings"
    return set(), Issue(Severity.WARNING, category, None, None, message, "declare a set of strings")


def _check_paths(app: AppDescription) -> Iterator[Issue]:
    emitted, issue = _names(app.data.get("reactive_emitted_paths"), "reactive_emitted_paths")
    if issue is not None:
        yield issue
    indexes = app.all_indexes
    shown = {path for index in indexes for ref in index.blocks() for path in index.block_dependencies(*ref.key)}
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
                f"the path {path!r} is emitted, but no live block shows it{did_you_mean(path, sorted(shown))}",
                "correct the path, derive a path that is shown from it, or do not emit it",
            )


def _check_audiences(app: AppDescription) -> Iterator[Issue]:
    audience, first = _names(app.data.get("reactive_audience_scopes"), "reactive_audience_scopes")
    connections, second = _names(app.data.get("reactive_connection_scopes"), "reactive_connection_scopes")
    yield from (issue for issue in (first, second) if issue is not None)
    with_users = connections | {scope for page in app.pages if page.knows_user for scope in page.scopes}
    shapes = {_shape(scope) for scope in with_users}
    for scope in sorted(audience):
        if _shape(scope) not in shapes:
            yield Issue(
                Severity.WARNING,
                "reactive_audience",
                None,
                None,
                f"changes of the scope {scope!r} are emitted to an audience, but none of its streams knows its user, "
                f"so nobody receives them{did_you_mean(scope, sorted(with_users))}",
                "pass connection=ConnectionInfo(session_id, user_id) to its streams, or user= to its page",
            )


def _check_scopes(app: AppDescription) -> Iterator[Issue]:
    """Check that each page has a scope or follows the database, and that something is emitted to its scopes.

    The scopes that are emitted to are known if the application declares them.
    """
    for page in app.pages:
        if not page.scopes and not page.is_tracked:
            message = f"a page of {page.template_name} has no scope, and no database is tracked, so nothing updates it"
            fix = 'call reactive.track(engine), or declare the page with scope="board:{board_id}"'
            yield Issue(Severity.ERROR, "no_scope", page.template_name, None, message, fix)
    emitted, issue = _names(app.data.get("reactive_emitted_scopes"), "reactive_emitted_scopes")
    if issue is not None:
        yield issue
    if not emitted:
        return
    shapes = {_shape(scope) for scope in emitted}
    for page in app.pages:
        for scope in () if page.is_tracked else page.scopes:
            if _shape(scope) not in shapes:
                message = f"nothing is emitted to the scope {scope!r} of the page{did_you_mean(scope, sorted(emitted))}"
                fix = "write the same scope in @reactive.page and in the emit, or add it to reactive_emitted_scopes"
                yield Issue(Severity.WARNING, "reactive_scopes", page.template_name, None, message, fix)


def _shape(scope: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", scope)
