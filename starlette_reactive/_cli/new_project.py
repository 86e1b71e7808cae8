"""The project that the command ``new`` writes: the files in the folder ``project``, whose names end with ``.tmpl``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from .._core.errors import ReactiveError

__all__ = ["write_project"]

_FILES = Path(__file__).parent / "project"
_SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_HIDDEN = {"gitignore", "dockerignore"}  # as .gitignore, the file would apply to this package


def write_project(folder: Path) -> list[Path]:
    """Write a small project with a live page, its tests and a Dockerfile.

    Args:
        folder: Where to write it. The project has the folder's name.

    Returns:
        The paths of the files, relative to the folder.

    Raises:
        ReactiveError: The folder is not empty, or is a file, or its name cannot be the name of a project.
        OSError: A file cannot be written.
    """
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise ReactiveError(
            f"{name!r} cannot be the name of a project: use letters, digits, '-', '_' and '.', beginning and ending "
            "with a letter or a digit"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReactiveError(f"{str(folder)!r} exists and is not an empty folder: choose another name")
    return [_write(source, path, folder, name) for source, path in _paths()]


def _paths() -> Iterator[tuple[Path, Path]]:
    """Yield the files of the project, each with its path in the project."""
    for source in sorted(_FILES.rglob(f"*{_SUFFIX}")):
        path = source.relative_to(_FILES).with_suffix("")
        yield source, path.with_name(f".{path.name}") if path.name in _HIDDEN else path


def _write(source: Path, path: Path, folder: Path, name: str) -> Path:
    text = source.read_text("utf-8").replace("__NAME__", name).replace("__VERSION__", version("starlette-reactive"))
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    return path
