"""Every template that a loader lists: its text, what is wrong with it, and which other templates it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes

from ..errors import TemplateLoadError
from .sources import Parsed, library_of, suggestion

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
    faults = [*_assertions(env, parsed), *_missing(env, parsed)]
    parents = frozenset(target for node, target in _references(env, parsed) if isinstance(node, nodes.Extends))
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
    hint = suggestion(name, list_names(env)).strip()
    return Fault(f"there is no template {name!r}", hint or "correct the name, or add the template")


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


def _references(env: Environment, parsed: Parsed) -> Iterator[tuple[_Naming, str]]:
    """Yield the templates that are named by a constant."""
    kinds = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
    for node in parsed.tree.find_all(kinds):
        if not isinstance(node, kinds) or not isinstance(node.template, nodes.Const):
            continue
        if isinstance(node.template.value, str):
            yield node, env.join_path(node.template.value, parsed.name)


def _missing(env: Environment, parsed: Parsed) -> Iterator[Fault]:
    for node, target in _references(env, parsed):
        if isinstance(node, nodes.Include) and node.ignore_missing:
            continue
        if not _exists(env, target):
            what = type(node).__name__.lower().replace("fromimport", "import")
            hint = suggestion(target, list_names(env)).strip()
            message = f"the {what} names the template {target!r}, which does not exist"
            yield Fault(message, hint or "correct the name, or add the template", node.lineno)


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
