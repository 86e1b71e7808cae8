"""Templates as the loader returns them, parsed once while their source stays the same.

Nothing here interprets a template. Each environment has one :class:`TemplateLibrary`, which all its pages share, so
that a base template is parsed once however many pages extend it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, TemplateNotFound, TemplateSyntaxError, nodes

from .._core.errors import TemplateLoadError
from .._core.suggestions import did_you_mean
from .environment_cache import PerEnvironment

__all__ = ["ParsedTemplate", "TemplateLibrary", "blocks_of", "is_current", "library_of"]


@dataclass(frozen=True, slots=True, eq=False)
class ParsedTemplate:
    """The source of a template, its syntax tree and its blocks.

    Args:
        name: The template's name, as the loader knows it.
        filename: The file that it was read from, if the loader names one.
        source: The source that was parsed.
        tree: The syntax tree.
        blocks: The blocks that it defines, by name.
        uptodate: The loader's function that returns whether the source is still current.
        own_tree: Whether the tree is not the one that the source parses to, so that the environment's compiled template
            does not have its blocks.
    """

    name: str
    filename: str | None
    source: str
    tree: nodes.Template
    blocks: Mapping[str, nodes.Block]
    uptodate: Callable[[], bool] | None
    own_tree: bool = False


class TemplateLibrary:
    """The parsed templates of one environment. Thread-safe."""

    def __init__(self, env: Environment) -> None:
        self._env = weakref.ref(env)
        self._parsed: dict[str, ParsedTemplate] = {}
        self._lock = threading.RLock()

    def template(self, name: str) -> ParsedTemplate:
        """Return the template ``name``. It is parsed again only if its source has changed.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
        """
        env = self._environment()
        with self._lock:
            known = self._parsed.get(name)
            if known is not None and is_current(env, known):
                return known
            source, filename, uptodate = _load(env, name)
            if known is not None and known.source == source and known.filename == filename:
                return self._store(ParsedTemplate(name, filename, source, known.tree, known.blocks, uptodate))
            return self._store(self.parse(name, source, filename, uptodate))

    def parse(
        self, name: str, source: str, filename: str | None = None, uptodate: Callable[[], bool] | None = None
    ) -> ParsedTemplate:
        """Parse ``source`` as the template ``name`` without storing the result.

        Raises:
            TemplateLoadError: The source does not parse.
        """
        env = self._environment()
        try:
            tree = env.parse(source, name, filename)
        except TemplateSyntaxError as error:
            raise _syntax_error(error, name, filename) from error
        return ParsedTemplate(name, filename, source, tree, blocks_of(tree, name, filename), uptodate)

    def exists(self, name: str) -> bool:
        """Return whether the loader has the template ``name``."""
        try:
            self.template(name)
        except TemplateLoadError as error:
            return error.line is not None
        return True

    def _environment(self) -> Environment:
        env = self._env()
        if env is None:  # pragma: no cover - the caller holds the environment
            raise ReferenceError("the environment of this library no longer exists")
        return env

    def _store(self, parsed: ParsedTemplate) -> ParsedTemplate:
        self._parsed[parsed.name] = parsed
        return parsed


def is_current(env: Environment, parsed: ParsedTemplate) -> bool:
    """Return whether ``parsed`` is still current, by the rule that the environment follows for its own templates."""
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
            f"the loader has no source of template {name!r} ({error}): use a loader that reads sources, because the "
            "analysis needs the source of a template",
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
    location = f"{filename or name}:{error.lineno}"
    return TemplateLoadError(
        f"template {name!r} does not parse at {location}: {error.message}. Correct that line",
        template=name,
        line=error.lineno,
    )


def blocks_of(tree: nodes.Template, name: str, filename: str | None) -> dict[str, nodes.Block]:
    """Return the blocks of a template by name.

    Raises:
        TemplateLoadError: Two blocks have the same name.
    """
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


_libraries: PerEnvironment[TemplateLibrary] = PerEnvironment("library", TemplateLibrary)


def library_of(env: Environment) -> TemplateLibrary:
    """Return the library of ``env``, the same for the lifetime of the environment."""
    return _libraries.of(env)
