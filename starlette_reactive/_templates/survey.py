"""Surveys the templates of a loader: their text, their problems, and the templates that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from jinja2 import Environment, TemplateSyntaxError, nodes

from .._core.errors import TemplateLoadError
from .._core.suggestions import did_you_mean
from .sources import ParsedTemplate, library_of

__all__ = ["SurveyedTemplate", "TemplateProblem", "call_lines", "calls_in", "ignores", "list_names", "survey"]


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """Why a template cannot be used, and how to fix it. Without a line, the problem is the template as a whole."""

    message: str
    fix: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class SurveyedTemplate:
    """What is known about a template without composing a page.

    Args:
        name: Its name, as the loader knows it.
        source: Its text. Empty if it cannot be read.
        problems: What is wrong with it.
        extends: The parents that it names.
        escapes: Whether its text is escaped, by the environment's rule or by its own ``autoescape``.
    """

    name: str
    source: str
    problems: tuple[TemplateProblem, ...] = ()
    extends: frozenset[str] = frozenset()
    escapes: bool = True


def list_names(env: Environment) -> list[str]:
    """Return the names of all templates that the loader lists. Empty if the loader cannot list templates."""
    try:
        return env.list_templates()
    except TypeError:
        return []


def survey(env: Environment, name: str) -> SurveyedTemplate:
    """Survey one template. Anything wrong with it becomes a problem in the result, never an exception."""
    try:
        parsed = library_of(env).template(name)
    except TemplateLoadError as error:
        return SurveyedTemplate(name, "", (_load_problem(env, name, error),))
    except Exception as error:  # noqa: BLE001 - loaders and the parsers of extensions may raise anything
        return SurveyedTemplate(name, "", (_read_problem(env, error),))
    problems = [*_compilation(env, parsed), *_missing(env, parsed), *_circle(env, parsed)]
    extended = [targets for node, targets in _references(env, parsed) if isinstance(node, nodes.Extends)]
    parents = frozenset(target for targets in extended for target in targets)
    return SurveyedTemplate(name, parsed.source, tuple(problems), parents, _escapes(env, parsed))


def calls_in(env: Environment, name: str, function: str) -> Iterator[Mapping[str, object]]:
    """Yield the constant keyword arguments of each call of a global function in a template's own text."""
    for call in _calls(env, name, function):
        yield {each.key: each.value.value for each in call.kwargs if isinstance(each.value, nodes.Const)}


def call_lines(env: Environment, name: str, function: str) -> Iterator[int]:
    """Yield the line of each call of a global function in a template's own text."""
    for call in _calls(env, name, function):
        yield call.lineno


def _calls(env: Environment, name: str, function: str) -> Iterator[nodes.Call]:
    try:
        tree = library_of(env).template(name).tree
    except Exception:  # noqa: BLE001 - loaders and the parsers of extensions may raise anything
        return
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == function:
            yield call


def ignores(env: Environment, source: str) -> Iterator[tuple[int, str]]:
    """Yield what each ``{# reactive: ignore CATEGORY #}`` silences: the line after the comment, and the category."""
    start, end = re.escape(env.comment_start_string), re.escape(env.comment_end_string)
    for match in re.finditer(rf"{start}[-+]?\s*reactive:\s*ignore\s+([\w,\s]+?)\s*[-+]?{end}", source):
        line = source.count("\n", 0, match.end()) + 2
        yield from ((line, category) for category in re.split(r"[,\s]+", match[1]) if category)


def _load_problem(env: Environment, name: str, error: TemplateLoadError) -> TemplateProblem:
    cause = error.__cause__
    if isinstance(cause, TemplateSyntaxError):
        message = cause.message or "it does not parse"
        if "unknown tag" in message:
            tag = message.split("'")[1] if "'" in message else "?"
            fix = f"if an extension defines the tag {tag!r}, add it to the environment; otherwise correct the tag"
            return TemplateProblem(message, fix, error.line)
        return TemplateProblem(f"it does not parse: {message}", "correct this line", error.line)
    if error.line is not None:
        return TemplateProblem(str(error), "give each block of a template a different name", error.line)
    known = list_names(env)
    if name in known:
        return TemplateProblem(
            "the loader lists it but cannot find it", "remove what leads nowhere, such as a broken link"
        )
    return TemplateProblem(
        f"there is no template {name!r}{did_you_mean(name, known)}", "correct the name, or add the template"
    )


def _read_problem(env: Environment, error: Exception) -> TemplateProblem:
    if isinstance(error, UnicodeError):
        encoding = getattr(env.loader, "encoding", "utf-8")
        return TemplateProblem(
            f"it is not text in {encoding}", "move the file out of the templates' folder, or save it as text"
        )
    if isinstance(error, RecursionError):
        return TemplateProblem("it is nested too deeply to parse", "move parts of it into other templates")
    return TemplateProblem(
        f"it cannot be read: {error.__class__.__name__}: {error}", "check the file and the loader that reads it"
    )


def _compilation(env: Environment, parsed: ParsedTemplate) -> Iterator[TemplateProblem]:
    used = parsed.tree.find_all((nodes.Filter, nodes.Test))
    if all(each.name in (env.filters if isinstance(each, nodes.Filter) else env.tests) for each in used):
        return
    # Jinja refuses an unknown name only where no condition can prevent its use
    try:
        env.compile(parsed.tree, parsed.name, parsed.filename, raw=True)
    except TemplateSyntaxError as error:
        fix = "add it to the environment, or correct the name" if "No " in str(error.message) else "correct this line"
        yield TemplateProblem(f"it does not compile: {error.message}", fix, error.lineno)
    except RecursionError:
        yield TemplateProblem("it is nested too deeply to compile", "move parts of it into other templates")


_Reference = nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport


def _references(env: Environment, parsed: ParsedTemplate) -> Iterator[tuple[_Reference, list[str]]]:
    """Yield the statements that name templates by constants, with the names in order of preference."""
    kinds = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
    for node in parsed.tree.find_all(kinds):
        if isinstance(node, kinds) and (names := _constants(node.template)):
            yield node, [env.join_path(name, parsed.name) for name in names]


def _constants(node: nodes.Expr) -> list[str]:
    """Return a constant, or the constants in a list. Empty if any of it is computed."""
    items = node.items if isinstance(node, nodes.List | nodes.Tuple) else [node]
    names = [each.value for each in items if _is_text(each)]
    return names if len(names) == len(items) else []


def _is_text(node: nodes.Expr) -> TypeGuard[nodes.Const]:
    return isinstance(node, nodes.Const) and isinstance(node.value, str)


def _missing(env: Environment, parsed: ParsedTemplate) -> Iterator[TemplateProblem]:
    for node, targets in _references(env, parsed):
        if isinstance(node, nodes.Include) and node.ignore_missing:
            continue
        if not any(_exists(env, target) for target in targets):
            statement = type(node).__name__.lower().replace("fromimport", "import")
            named = f"the template {targets[0]!r}, which does not exist"
            if len(targets) > 1:
                named = f"the templates {', '.join(map(repr, targets))}, of which none exists"
            yield TemplateProblem(
                f"the {statement} names {named}{did_you_mean(targets[0], list_names(env))}",
                "correct the name, or add the template",
                node.lineno,
            )


def _circle(env: Environment, parsed: ParsedTemplate) -> Iterator[TemplateProblem]:
    """Yield a problem if the template's parents, where nothing chooses between them, lead back to it."""
    names, each = [parsed.name], parsed
    while True:
        extends = next((node for node in each.tree.body if isinstance(node, nodes.Extends)), None)
        if extends is None or not _is_text(extends.template):
            return
        name = env.join_path(extends.template.value, each.name)
        if name in names:
            break
        names.append(name)
        try:
            each = library_of(env).template(name)
        except Exception:  # noqa: BLE001 - the parent's own survey reports what is wrong with it
            return
    if name == parsed.name and name == min(names):
        first = next(node for node in parsed.tree.body if isinstance(node, nodes.Extends))
        circle = " extends ".join(map(repr, [*names, name]))
        yield TemplateProblem(
            f"it is its own parent: {circle}", "let one of them extend another template, or none", first.lineno
        )


def _exists(env: Environment, name: str) -> bool:
    try:
        return library_of(env).exists(name)
    except Exception:  # noqa: BLE001 - it exists, and its own survey reports what is wrong with it
        return True


def _escapes(env: Environment, parsed: ParsedTemplate) -> bool:
    if env.autoescape(parsed.name) if callable(env.autoescape) else env.autoescape:
        return True
    options = (
        option
        for kind in (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)
        for node in parsed.tree.find_all(kind)
        for option in node.options
    )
    return any(option.key == "autoescape" and getattr(option.value, "value", True) for option in options)
