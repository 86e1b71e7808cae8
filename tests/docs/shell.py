"""Check the commands in the documentation: those of this project must exist, with their options and extras."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import click
import typer.main

from .blocks import ROOT

__all__ = ["check_commands"]

OTHERS = {
    "cd",
    "cp",
    "curl",
    "createdb",
    "git",
    "granian",
    "gunicorn",
    "hypercorn",
    "mkdir",
    "nginx",
    "nox",
    "pre-commit",
    "psql",
    "redis-cli",
}
"""Commands of other projects, whose arguments are not checked."""

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = frozenset(PYPROJECT["project"]["optional-dependencies"])
GROUPS = frozenset(PYPROJECT["dependency-groups"])


def check_commands(text: str) -> None:
    """Check that each command of a shell block exists.

    Raises:
        AssertionError: A command does not exist, or lacks an option or extra.
    """
    for words in _commands(text):
        program = words[0].rpartition("/")[2]
        if program in ("python", "python3"):
            _check_module(words[1:])
        elif program in _CHECKS:
            _CHECKS[program](words[1:])
        else:
            assert program in OTHERS, f"unknown command {program!r}"


def _commands(text: str) -> Iterator[list[str]]:
    for line in re.split(r"\n|&&|\|\|?", text.replace("\\\n", " ")):
        words = shlex.split(line, comments=True)
        if ">" in words:
            words = words[: words.index(">")]
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        if words:
            yield words


def _check_module(words: list[str]) -> None:
    if words[0] == "-c":
        compile(words[1], "-c", "exec", dont_inherit=True)
        return
    assert words[0] == "-m", f"python {words[0]}: run a module with -m, or code with -c"
    module, arguments = words[1], words[2:]
    assert importlib.util.find_spec(module), f"there is no module {module!r}"
    if module in _CHECKS:
        _CHECKS[module](arguments)


def _check_pip(words: list[str]) -> None:
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        if "uvicorn" not in " ".join(words) or extras != "standard":
            assert set(extras.split(",")) <= EXTRAS, f"there is no extra {extras!r}"
    for group in re.findall(r"--group (\S+)", " ".join(words)):
        assert group in GROUPS, f"there is no dependency group {group!r}"


def _check_click(load: Callable[[], Any]) -> Callable[[list[str]], None]:
    """Return a function that parses the arguments of a command as the command does, without running it."""

    def check(words: list[str]) -> None:
        command = load()
        while isinstance(command, click.Group) or hasattr(command, "commands"):
            assert words[0] in command.commands, f"there is no command {words[0]!r}"
            command, words = command.commands[words[0]], words[1:]
        command.make_context(command.name, list(words)).close()

    return check


def _check_options(pattern: str) -> Callable[[list[str]], None]:
    source = "".join(path.read_text() for path in sorted(ROOT.glob(pattern)))

    def check(words: list[str]) -> None:
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert f'"{option}"' in source, f"{option} is no option in {pattern}"

    return check


def _check_benchmarks(words: list[str]) -> None:
    """Check the options, and that each word after ``--only`` is an experiment."""
    _check_options("benchmarks/*.py")(words)
    source = (ROOT / "benchmarks/__main__.py").read_text()
    named = itertools.dropwhile(lambda word: word != "--only", words)
    for name in itertools.takewhile(lambda word: not word.startswith("--"), itertools.islice(named, 1, None)):
        assert f'"{name}": ' in source, f"there is no experiment {name!r}"


def _ours() -> Any:
    from starlette_reactive._cli.main import app

    return typer.main.get_command(app)


def _uvicorn() -> Any:
    from uvicorn.main import main

    return main


def _mkdocs() -> Any:
    from mkdocs.__main__ import cli

    return cli


_CHECKS: dict[str, Callable[[list[str]], None]] = {
    "starlette-reactive": _check_click(_ours),
    "uvicorn": _check_click(_uvicorn),
    "mkdocs": _check_click(_mkdocs),
    "pip": _check_pip,
    "pytest": _check_options("tests/conftest.py"),
    "benchmarks": _check_benchmarks,
    "example_app": _check_options("example_app/*.py"),
}
