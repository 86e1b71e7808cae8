"""A whole check: every template that the loader lists, each page as composed, and what the application declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from jinja2 import Environment

from .._clients import WIRES
from .._core.errors import ReactiveError
from .._index.index import registry_of
from .._templates import analyse, elements
from .._templates.survey import Template, ignores, list_names, survey
from .blocks import check_blocks
from .contract import check_contract
from .document import Document, make_nodes
from .htmx import htmx_of
from .model import CATEGORIES, Issue, Severity
from .settings import Settings
from .subject import Subject, at_element
from .swaps import check_swaps
from .swaps4 import check_swaps_4

__all__ = ["check"]

_Place = tuple[str | None, int | None, str]
"""Where an issue is, and its category."""
_ORDER = {severity: number for number, severity in enumerate(Severity)}


def check(subject: Subject, settings: Settings | None = None) -> list[Issue]:
    """Check an application.

    Args:
        subject: The application.
        settings: Levels of categories; None: the usual ones.

    Returns:
        The issues by template and line; those of no template come last. Nothing in a template makes this fail.
    """
    settings = settings or Settings()
    issues: list[Issue] = []
    silenced: set[_Place] = set()
    for env in dict.fromkeys(subject.environments):
        templates = {name: survey(env, name) for name in _wanted(env, subject)}
        for template in templates.values():
            issues.extend(_template_issues(template))
            silenced.update((template.name, line, category) for line, category in ignores(env, template.source))
        known: set[_Place] = set()
        local = _within(env, subject)
        for name in _pages(templates, local):
            found = _page_issues(env, name, templates, local, settings, silenced)
            issues.extend(issue for issue in found if _place(issue) not in known)  # another page has shown the rest
            known.update(map(_place, found))
    issues.extend(check_contract(subject))
    return _sorted(_levelled(issues, settings, silenced))


def _wanted(env: Environment, subject: Subject) -> list[str]:
    named = [page.template_name for page in subject.pages]
    named += [
        ref.template_name
        for index in subject.indexes
        for ref in index.blocks()
        if registry_of(index).environment(ref.template_name) is env
    ]
    return list(dict.fromkeys([*list_names(env), *named]))


def _within(env: Environment, subject: Subject) -> Subject:
    """Return what concerns the templates of one environment; another may have templates of the same names."""
    return dataclasses.replace(
        subject,
        indexes=[
            index
            for index in subject.indexes
            if any(registry_of(index).environment(ref.template_name) in (None, env) for ref in index.blocks())
        ],
        pages=[
            page for page in subject.pages if registry_of(page.index).environment(page.template_name) in (None, env)
        ],
    )


def _template_issues(template: Template) -> Iterator[Issue]:
    for fault in template.faults:
        yield Issue(Severity.ERROR, "template", template.name, fault.line, fault.message, fault.mend)


def _pages(templates: dict[str, Template], subject: Subject) -> list[str]:
    """Return the pages: what is declared or registered, and what has an ``<html>`` and is no other page's parent."""
    named = {page.template_name for page in subject.pages}
    named |= {ref.template_name for index in subject.indexes for ref in index.blocks()}
    parents = {parent for template in templates.values() for parent in template.extends}
    sound = [name for name, template in templates.items() if template.source and not _is_broken(template)]
    return [name for name in sound if name in named or name not in parents]


def _is_broken(template: Template) -> bool:
    return any(fault.line is None for fault in template.faults)


def _page_issues(
    env: Environment,
    name: str,
    templates: dict[str, Template],
    subject: Subject,
    settings: Settings,
    silenced: set[_Place],
) -> list[Issue]:
    try:
        reads = analyse(env, name)
        found = elements(env, name)
    except (ReactiveError, UnicodeError, OSError):
        return []  # a template that the page is made of is at fault, and reported there
    except RecursionError:
        message = "the page is nested too deep to be analysed"
        return [Issue(Severity.ERROR, "template", name, None, message, "take parts of it into templates of their own")]
    sources = {each: (templates.get(each) or survey(env, each)).source for each in sorted(reads.templates)}
    registered = any(ref.template_name == name for index in subject.indexes for ref in index.blocks())
    declared = [page for page in subject.pages if page.template_name == name]
    is_page = any(element.tag == "html" for element in found)
    if not (is_page or declared or registered):
        return []
    htmx = htmx_of(found, sources, settings.htmx)
    document = Document(name, reads, make_nodes(found), htmx, "\n".join(sources.values()))
    silenced.update(_silenced_attributes(document, silenced))
    issues: list[Issue] = []
    if is_page or declared:
        issues.extend(_markup_issues(document, {page.wire for page in declared}))
    template = templates.get(name) or survey(env, name)
    issues.extend(check_blocks(document, subject, escapes=template.escapes, is_page=is_page or bool(declared)))
    return issues


def _silenced_attributes(document: Document, silenced: set[_Place]) -> list[_Place]:
    """Return the places of attributes, on whichever lines, of elements that a comment before the tag silences."""
    tags = {(template, line) for template, line, _ in silenced}
    return [
        (*place, category)
        for node in document.nodes
        if (node.element.template, node.element.line) in tags
        for category in CATEGORIES
        if (node.element.template, node.element.line, category) in silenced
        for place in node.element.places.values()
    ]


def _markup_issues(document: Document, wires: set[str]) -> Iterator[Issue]:
    if wires and not any(WIRES[wire].uses_htmx for wire in wires):
        return
    yield from check_swaps_4(document) if document.htmx.major >= 4 else check_swaps(document)
    version, script = document.htmx.version, document.htmx.script
    if wires and script is not None and len(version) == 3 and version < (2, 0, 11):
        yield at_element(
            Severity.ERROR,
            "sse_dialect",
            script,
            f"htmx {'.'.join(map(str, version))} drops the updates of a page under @reactive.page, and says nothing",
            "load htmx 2.0.11 or later",
            "src",
        )


def _levelled(issues: Iterable[Issue], settings: Settings, silenced: set[_Place]) -> Iterator[Issue]:
    for issue in issues:
        if _place(issue) in silenced:
            continue
        if issue.category not in settings.levels:
            yield issue
            continue
        severity = settings.levels[issue.category]
        if severity is not None:
            yield dataclasses.replace(issue, severity=severity)


def _sorted(issues: Iterable[Issue]) -> list[Issue]:
    """Put issues in order, each fault once however many pages show it."""
    first: dict[tuple[str | None, int | None, str, str], Issue] = {}
    for issue in issues:
        first.setdefault((issue.template, issue.line, issue.category, issue.message), issue)
    return sorted(first.values(), key=_key)


def _place(issue: Issue) -> _Place:
    return issue.template, issue.line, issue.category


def _key(issue: Issue) -> tuple[bool, str, int, int, str, str]:
    return (
        issue.template is None,
        issue.template or "",
        issue.line or 0,
        _ORDER[issue.severity],
        issue.category,
        issue.message,
    )
