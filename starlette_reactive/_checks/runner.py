"""The whole check: every template that the loader lists, each page as composed, and the application's declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Set

from jinja2 import Environment

from .._clients import WIRES
from .._core.errors import ReactiveError
from .._index.index import registry_of
from .._templates import Element, PageReads, TemplatePlace, analyse, elements, regions_of, rows_of_page
from .._templates.survey import SurveyedTemplate, call_lines, calls_in, ignores, list_names, survey
from .block_rules import check_blocks
from .client_rules import check_client
from .declaration_rules import check_declarations
from .description import AppDescription
from .htmx2_rules import check_htmx2
from .htmx4_rules import check_htmx4
from .htmx_setup import detect_htmx
from .issues import CATEGORIES, Issue, Severity
from .page_tree import PageTree, build_nodes
from .settings import Settings
from .versions import check_versions

__all__ = ["check"]

_Location = tuple[str | None, int | None, str]
"""The template and line of an issue, with its category."""
_SCRIPTS = "live_scripts"
_ORDER = {severity: number for number, severity in enumerate(Severity)}


def check(app: AppDescription, settings: Settings | None = None) -> list[Issue]:
    """Check an application.

    Args:
        app: The application.
        settings: The settings. Defaults to the default level of each category.

    Returns:
        The issues by template and line, then those outside templates. No fault in a template makes this raise.
    """
    settings = settings or Settings()
    issues: list[Issue] = []
    silenced: set[_Location] = set()
    for env in dict.fromkeys(app.environments):
        issues.extend(_EnvironmentCheck(env, app, settings, silenced).issues())
    issues.extend(check_declarations(app))
    issues.extend(check_versions())
    return _sorted(_apply_levels(issues, settings, silenced))


class _EnvironmentCheck:
    """The check of one environment's templates.

    Args:
        env: The environment.
        app: The application.
        settings: The settings.
        silenced: Collects the locations that a comment silences.
    """

    def __init__(self, env: Environment, app: AppDescription, settings: Settings, silenced: set[_Location]) -> None:
        self._env = env
        self._app = _restricted_to(env, app)
        self._settings = settings
        self._silenced = silenced
        self._templates = {name: survey(env, name) for name in _template_names(env, app)}

    def issues(self) -> Iterator[Issue]:
        """Yield the issues of each template and of each page."""
        for template in self._templates.values():
            yield from _template_issues(template)
            self._silenced.update(
                (template.name, line, category) for line, category in ignores(self._env, template.source)
            )
        known: set[_Location] = set()
        for name in _page_names(self._templates, self._app):
            found = self._page_issues(name)
            yield from (issue for issue in found if _location(issue) not in known)  # another page has shown the rest
            known.update(map(_location, found))

    def _page_issues(self, name: str) -> list[Issue]:
        try:
            regions = regions_of(self._env, name)
            reads = analyse(self._env, name, regions=regions)
            found = elements(self._env, name, regions=regions)
        except (ReactiveError, UnicodeError, OSError):
            return []  # one of its templates is broken, and reported there
        except RecursionError:
            message = "the page is nested too deep to be analysed"
            return [Issue(Severity.ERROR, "template", name, None, message, "move parts of it into separate templates")]
        is_page = any(element.tag == "html" for element in found) or bool(self._app.pages_of(name))
        if not is_page and not _is_registered(name, self._app):
            return []
        tree = self._page_tree(name, reads, found)
        self._silenced.update(_silenced_attributes(tree, self._silenced))
        issues: list[Issue] = []
        if is_page:
            issues.extend(_markup_issues(tree, {page.wire for page in self._app.pages_of(name)}))
        issues.extend(check_blocks(tree, self._app, escapes=self._survey(name).escapes, is_page=is_page))
        return issues

    def _page_tree(self, name: str, reads: PageReads, found: list[Element]) -> PageTree:
        sources = {each: self._survey(each).source for each in sorted(reads.templates)}
        loads = _uses(reads, {_SCRIPTS})
        calls = [call for each in sources for call in calls_in(self._env, each, _SCRIPTS)] if loads else []
        loaded = next((call["htmx"] for call in calls if "htmx" in call), None)
        htmx = detect_htmx(found, sources, self._settings.htmx, loaded)
        sink = _sink(self._env, sources, self._app) if _uses(reads, self._app.sink_names) else None
        rows = rows_of_page(self._env, name)
        return PageTree(name, reads, build_nodes(found), htmx, "\n".join(sources.values()), bool(calls), sink, rows)

    def _survey(self, name: str) -> SurveyedTemplate:
        return self._templates.get(name) or survey(self._env, name)


def _uses(reads: PageReads, names: Set[str]) -> bool:
    """Return whether a page uses one of the names, itself or through what it extends, includes or imports."""
    return any(
        not names.isdisjoint(paths) for paths in (reads.outside, *(block.paths for block in reads.blocks.values()))
    )


def _sink(env: Environment, sources: Iterable[str], app: AppDescription) -> TemplatePlace | None:
    """Return the first place where one of a page's templates calls ``live()``."""
    found = (
        TemplatePlace(name, line) for name in sources for sink in app.sink_names for line in call_lines(env, name, sink)
    )
    return next(found, None)


def _template_names(env: Environment, app: AppDescription) -> list[str]:
    named = [page.template_name for page in app.pages]
    named += [
        ref.template_name
        for index in app.indexes
        for ref in index.blocks()
        if registry_of(index).environment(ref.template_name) is env
    ]
    return list(dict.fromkeys([*list_names(env), *named]))


def _restricted_to(env: Environment, app: AppDescription) -> AppDescription:
    """Return the part of an application that uses one environment. Another may have templates of the same names."""
    return dataclasses.replace(
        app,
        indexes=[
            index
            for index in app.indexes
            if any(registry_of(index).environment(ref.template_name) in (None, env) for ref in index.blocks())
        ],
        pages=[page for page in app.pages if registry_of(page.index).environment(page.template_name) in (None, env)],
    )


def _template_issues(template: SurveyedTemplate) -> Iterator[Issue]:
    for problem in template.problems:
        yield Issue(Severity.ERROR, "template", template.name, problem.line, problem.message, problem.fix)


def _page_names(templates: Mapping[str, SurveyedTemplate], app: AppDescription) -> list[str]:
    """Return the templates that may be pages: declared or registered, or not the parent of another template."""
    named = {page.template_name for page in app.pages}
    named |= {ref.template_name for index in app.indexes for ref in index.blocks()}
    parents = {parent for template in templates.values() for parent in template.extends}
    loaded = [name for name, template in templates.items() if template.source and not _is_broken(template)]
    return [name for name in loaded if name in named or name not in parents]


def _is_broken(template: SurveyedTemplate) -> bool:
    return any(problem.line is None for problem in template.problems)


def _is_registered(name: str, app: AppDescription) -> bool:
    return any(ref.template_name == name for index in app.indexes for ref in index.blocks())


def _silenced_attributes(tree: PageTree, silenced: Set[_Location]) -> list[_Location]:
    """Return the locations of all attributes of the elements whose tags a comment silences."""
    tags = {(template, line) for template, line, _ in silenced}
    return [
        (*location, category)
        for node in tree.nodes
        if (node.element.template, node.element.line) in tags
        for category in CATEGORIES
        if (node.element.template, node.element.line, category) in silenced
        for location in node.element.places.values()
    ]


def _markup_issues(tree: PageTree, wires: Set[str]) -> Iterator[Issue]:
    uses_htmx = any(WIRES[wire].uses_htmx for wire in wires)
    if wires:
        yield from check_client(tree, uses_htmx=uses_htmx)
    if uses_htmx or not wires:
        yield from check_htmx4(tree) if tree.htmx.major >= 4 else check_htmx2(tree)


def _apply_levels(issues: Iterable[Issue], settings: Settings, silenced: Set[_Location]) -> Iterator[Issue]:
    for issue in issues:
        if _location(issue) in silenced:
            continue
        if issue.category not in settings.levels:
            yield issue
            continue
        severity = settings.levels[issue.category]
        if severity is not None:
            yield dataclasses.replace(issue, severity=severity)


def _sorted(issues: Iterable[Issue]) -> list[Issue]:
    """Sort the issues. Each fault appears once, however many pages show it."""
    first: dict[tuple[str | None, int | None, str, str], Issue] = {}
    for issue in issues:
        first.setdefault((issue.template, issue.line, issue.category, issue.message), issue)
    return sorted(first.values(), key=_sort_key)


def _location(issue: Issue) -> _Location:
    return issue.template, issue.line, issue.category


def _sort_key(issue: Issue) -> tuple[bool, str, int, int, str, str]:
    return (
        issue.template is None,
        issue.template or "",
        issue.line or 0,
        _ORDER[issue.severity],
        issue.category,
        issue.message,
    )
