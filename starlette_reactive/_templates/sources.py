"""Templates as their loader gives them: source, syntax tree and blocks, parsed once while the source is the same.

Nothing here interprets a template. A :class:`Library` belongs to one environment and is shared by every analysis of
its pages, so that a base template is parsed once however many pages extend it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes

from .._core.errors import TemplateLoadError
from .._core.suggestions import did_you_mean
from .environment_cache import Kept

__all__ = ["Library", "Parsed", "library_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """One template's source as parsed, and how to learn whether it is still current."""

    name: str
    filename: str | None
    source: str
    tree: nodes.Template
    blocks: Mapping[str, nodes.Block]
    uptodate: Callable[[], bool] | None

    @property
    def extends(self) -> bool:
        """Whether an ``extends`` stands anywhere in it."""
        return self.tree.find(nodes.Extends) is not None


class Library:
    """The parsed templates of one environment; safe to use from any thread."""

    def __init__(self, env: Environment) -> None:
        self._env = weakref.ref(env)
        self._parsed: dict[str, Parsed] = {}
        self._lock = threading.RLock()

    def template(self, name: str) -> Parsed:
        """Return the template ``name``, parsed anew only if its source has changed.

        Raises:
            TemplateLoadError: There is no such template, or it does not parse.
        """
        env = self._environment()
        with self._lock:
            known = self._parsed.get(name)
            if known is not None and is_current(env, known):
                return known
            source, filename, uptodate = _load(env, name)
            if known is not None and known.source == source and known.filename == filename:
                return self._keep(Parsed(name, filename, source, known.tree, known.blocks, uptodate))
            return self._keep(self.parse(name, source, filename, uptodate))

    def parse(
        self, name: str, source: str, filename: str | None = None, uptodate: Callable[[], bool] | None = None
    ) -> Parsed:
        """Parse ``source`` as the template ``name`` without keeping it.

        Raises:
            TemplateLoadError: It does not parse.
        """
        env = self._environment()
        try:
            tree = env.parse(source, name, filename)
        except TemplateSyntaxError as error:
            raise _syntax_error(error, name, filename) from error
        return Parsed(name, filename, source, tree, _blocks(tree, name, filename), uptodate)

    def exists(self, name: str) -> bool:
        """Tell whether the loader has the template ``name``."""
        try:
            self.template(name)
        except TemplateLoadError as error:
            return error.line is not None
        return True

    def _environment(self) -> Environment:
        env = self._env()
        if env is None:  # pragma: no cover - the caller holds the environment
            raise ReferenceError("the environment of this library is gone")
        return env

    def _keep(self, parsed: Parsed) -> Parsed:
        self._parsed[parsed.name] = parsed
        return parsed


def is_current(env: Environment, parsed: Parsed) -> bool:
    """Tell whether ``parsed`` may still be used, by the rule that the environment itself follows for its templates."""
    if not env.auto_reload:
        return True
    return parsed.uptodate is not None and parsed.uptodate()


def _load(env: Environment, name: str) -> tuple[str, str | None, Callable[[], bool] | None]:
    if env.loader is None:
        raise TemplateLoadError(
            f"there is no template {name!r}: the environment has no loader. Give it one, such as "
            "Environment(loader=FileSystemLoader('templates'))",
            template=name,
        )
    try:
        return env.loader.get_source(env, name)
    except TemplateNotFound as error:
        raise TemplateLoadError(_not_found(env, name, error), template=name) from error
    except RuntimeError as error:
        raise TemplateLoadError(
            f"the loader has no source of template {name!r} ({error}): use a loader that reads sources, for what a "
            "block reads is found in its source",
            template=name,
        ) from error


def _not_found(env: Environment, name: str, error: TemplateNotFound) -> str:
    try:
        known = env.list_templates()
    except TypeError:
        known = []
    return (
        f"there is no template {name!r}{did_you_mean(name, known)}: {type(error).__name__}. Check the name against "
        "the loader's directories"
    )


def _syntax_error(error: TemplateSyntaxError, name: str, filename: str | None) -> TemplateLoadError:
    place = f"{filename or name}:{error.lineno}"
    return TemplateLoadError(
        f"template {name!r} does not parse at {place}: {error.message}. Mend that line",
        template=name,
        line=error.lineno,
    )


def _blocks(tree: nodes.Template, name: str, filename: str | None) -> dict[str, nodes.Block]:
    blocks: dict[str, nodes.Block] = {}
    for block in tree.find_all(nodes.Block):
        if block.name in blocks:
            raise TemplateLoadError(
                f"template {name!r} has the block {block.name!r} twice, at lines {blocks[block.name].lineno} and "
                f"{block.lineno} of {filename or name}: rename one of them",
                template=name,
                block=block.name,
                line=block.lineno,
            )
        blocks[block.name] = block
    return blocks


_libraries: Kept[Library] = Kept("library", Library)


def library_of(env: Environment) -> Library:
    """Return the library of ``env``, the same for as long as the environment lives."""
    return _libraries.of(env)


def children(node: nodes.Node) -> list[Any]:
    """Return the nodes directly below ``node``."""
    return list(node.iter_child_nodes())
