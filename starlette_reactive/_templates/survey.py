"""Every template that a loader lists: its text, what is wrong with it, and which other templates it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from jinja2 import Environment, TemplateSyntaxError, nodes

from .._core.errors import TemplateLoadError
from .._core.suggestions import did_you_mean
from .sources import Parsed, library_of

__all__ = ["Fault", "Template", "ignores", "list_names", "survey"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a template cannot be used, and where; no line: it is the template as a whole."""

    message: str
    mend: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """What is known of a template without composing a page of it.

    Args:
        name: Its name, as the loader knows it.
        source: Its text; empty if it cannot be read.
        faults: What is wrong with it.
        extends: The parents that it names.
        escapes: Whether its text is escaped, by the environment's rule or because it says so itself.
    """

    name: str
    source: str
    faults: tuple[Fault, ...] = ()
    extends: frozenset[str] = frozenset()
    escapes: bool = True


def list_names(env: Environment) -> list[str]:
    """Return the names of all templates that the loader lists; none where it cannot list."""
    try:
        return env.list_templates()
    except TypeError:
        return []


def survey(env: Environment, name: str) -> Template:
    """Look at one template. Whatever is wrong with it is a fault in the result, never an exception."""
    try:
        parsed = library_of(env).template(name)
    except TemplateLoadError as error:
        return Template(name, "", (_load_fault(env, name, error),))
    except Exception as error:  # noqa: BLE001 - loaders and the parsers of extensions may raise anything
        return Template(name, "", (_unreadable(env, error),))
    faults = [*_assertions(env, parsed), *_missing(env, parsed), *_circle(env, parsed)]
    extended = [targets for node, targets in _references(env, parsed) if isinstance(node, nodes.Extends)]
    parents = frozenset(target for targets in extended for target in targets)
    return Template(name, parsed.source, tuple(faults), parents, _escapes(env, parsed))


def ignores(env: Environment, source: str) -> Iterator[tuple[int, str]]:
    """Yield what ``{# reactive: ignore CATEGORY #}`` silences: the line after the comment, and the category."""
    start, end = re.escape(env.comment_start_string), re.escape(env.comment_end_string)
    for match in re.finditer(rf"{start}[-+]?\s*reactive:\s*ignore\s+([\w,\s]+?)\s*[-+]?{end}", source):
        line = source.count("\n", 0, match.end()) + 2
        yield from ((line, category) for category in re.split(r"[,\s]+", match[1]) if category)


def _load_fault(env: Environment, name: str, error: TemplateLoadError) -> Fault:
    cause = error.__cause__
    if isinstance(cause, TemplateSyntaxError):
        message = cause.message or "it does not parse"
        if "unknown tag" in message:
            tag = message.split("'")[1] if "'" in message else "?"
            mend = f"if {tag!r} is an extension's tag, add the extension to the environment; else correct the tag"
            return Fault(message, mend, error.line)
        return Fault(f"it does not parse: {message}", "correct this line", error.line)
    if error.line is not None:
        return Fault(str(error), "give each block of a template a name of its own", error.line)
    known = list_names(env)
    if name in known:
        return Fault("the loader lists it and has no such template", "remove what leads nowhere, such as a broken link")
    return Fault(f"there is no template {name!r}{did_you_mean(name, known)}", "correct the name, or add the template")


def _unreadable(env: Environment, error: Exception) -> Fault:
    if isinstance(error, UnicodeError):
        encoding = getattr(env.loader, "encoding", "utf-8")
        return Fault(f"it is not text in {encoding}", "move the file out of the templates' folder, or save it as text")
    if isinstance(error, RecursionError):
        return Fault("it is nested too deep to be parsed", "take parts of it into templates of their own")
    return Fault(f"it cannot be read: {error.__class__.__name__}: {error}", "see to the file, or to what reads it")


def _assertions(env: Environment, parsed: Parsed) -> Iterator[Fault]:
    used = parsed.tree.find_all((nodes.Filter, nodes.Test))
    if all(each.name in (env.filters if isinstance(each, nodes.Filter) else env.tests) for each in used):
        return
    # Jinja refuses an unknown name only where no condition can keep it from being used
    try:
        env.compile(parsed.tree, parsed.name, parsed.filename, raw=True)
    except TemplateSyntaxError as error:
        mend = "add it to the environment, or correct the name" if "No " in str(error.message) else "correct this line"
        yield Fault(f"it does not compile: {error.message}", mend, error.lineno)
    except RecursionError:
        yield Fault("it is nested too deep to be compiled", "take parts of it into templates of their own")


_Naming = nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport


def _references(env: Environment, parsed: Parsed) -> Iterator[tuple[_Naming, list[str]]]:
    """Yield the templates that are named by constants; of several in a list, the first that exists is taken."""
    kinds = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
    for node in parsed.tree.find_all(kinds):
        if isinstance(node, kinds) and (names := _constants(node.template)):
            yield node, [env.join_path(name, parsed.name) for name in names]


def _constants(node: nodes.Expr) -> list[str]:
    """Return the constant, or the constants of a list; none if any of it is computed."""
    items = node.items if isinstance(node, nodes.List | nodes.Tuple) else [node]
    names = [each.value for each in items if _is_text(each)]
    return names if len(names) == len(items) else []


def _is_text(node: nodes.Expr) -> TypeGuard[nodes.Const]:
    return isinstance(node, nodes.Const) and isinstance(node.value, str)


def _missing(env: Environment, parsed: Parsed) -> Iterator[Fault]:
    for node, targets in _references(env, parsed):
        if isinstance(node, nodes.Include) and node.ignore_missing:
            continue
        if not any(_exists(env, target) for target in targets):
            what = type(node).__name__.lower().replace("fromimport", "import")
            hint = did_you_mean(targets[0], list_names(env))
            named = f"the template {targets[0]!r}, which does not exist"
            if len(targets) > 1:
                named = f"the templates {', '.join(map(repr, targets))}, of which none exists"
            yield Fault(f"the {what} names {named}{hint}", "correct the name, or add the template", node.lineno)


def _circle(env: Environment, parsed: Parsed) -> Iterator[Fault]:
    """Find out whether a template's parents, where nothing chooses between them, come round to it again."""
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
        except Exception:  # noqa: BLE001 - what is wrong with the parent is told of it
            return
    if name == parsed.name and name == min(names):
        first = next(node for node in parsed.tree.body if isinstance(node, nodes.Extends))
        circle = " extends ".join(map(repr, [*names, name]))
        yield Fault(f"it is its own parent: {circle}", "let one of them extend another template, or none", first.lineno)


def _exists(env: Environment, name: str) -> bool:
    try:
        return library_of(env).exists(name)
    except Exception:  # noqa: BLE001 - it is there, and what is wrong with it is told of it
        return True


def _escapes(env: Environment, parsed: Parsed) -> bool:
    if env.autoescape(parsed.name) if callable(env.autoescape) else env.autoescape:
        return True
    options = (
        option
        for kind in (nodes.EvalContextModifier, nodes.ScopedEvalContextModifier)
        for node in parsed.tree.find_all(kind)
        for option in node.options
    )
    return any(option.key == "autoescape" and getattr(option.value, "value", True) for option in options)
