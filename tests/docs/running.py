"""Run the Python of a page as its reader would: programs from files, fragments in order."""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.routing import Route

from starlette_reactive import Issue, Reactive, Severity
from starlette_reactive.testing import TestClient

from .blocks import Block, dedented, name_of

__all__ = ["PRELUDES", "run_page"]

PRELUDES = Path(__file__).parent / "preludes"
"""Code that runs before the fragments of a page, in one file for each page that needs it."""


def run_page(page: Path, blocks: list[Block], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the blocks of a page in a folder, and return the names of the last program or fragment.

    A block whose title is a file name is written to the folder and to ``templates`` in it. A Python file is then
    imported as a separate program. A block without a title is a fragment: it runs with the names of the fragments and
    the program before it. The first fragment runs with the names of the prelude of the page.

    Raises:
        AssertionError: A program's pages do not answer, or its check finds something.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REACTIVE_SECRET", "a secret for tests")
    monkeypatch.syspath_prepend(str(folder))
    (folder / "static").mkdir(exist_ok=True)
    files = [block for block in blocks if is_file(block)]
    for name in sorted({Path(block.title).stem for block in files} & set(sys.modules)):
        monkeypatch.delitem(sys.modules, name)
    for block in reversed(files):
        _write(block, folder)
    sqlmodel = sys.modules.get("sqlmodel")
    if sqlmodel is not None:  # its programs share the metadata with those of other pages
        sqlmodel.SQLModel.metadata.clear()
    names = _prelude(page, monkeypatch)
    for block in blocks:
        if is_file(block):
            _write(block, folder)
        if block.language == "python" and block.not_run is None and not Path(block.title).name.startswith("test_"):
            if is_file(block):
                names = _program(block, monkeypatch)
            else:
                _execute(block, names)
    return names


def is_file(block: Block) -> bool:
    """Return whether a block is shown as a file."""
    return block.title.endswith((".py", ".html", ".toml")) and " " not in block.title


def _write(block: Block, folder: Path) -> None:
    for path in (folder / block.title, folder / "templates" / block.title):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedented(block))


def _prelude(page: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = ModuleType(f"fragments_of_{page.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = PRELUDES / (name_of(page).replace("/", "_").replace("-", "_").removesuffix(".md") + ".py")
    if path.exists():
        exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), vars(module))
    return vars(module)


def _program(block: Block, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = ModuleType(Path(block.title).stem)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(_compiled(block), vars(module))
    _run(_look_at(vars(module).values()))
    return vars(module)


def _execute(block: Block, names: dict[str, Any]) -> None:
    result = eval(_compiled(block), names)
    if inspect.iscoroutine(result):
        _run(result)


def _run(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine in another thread, because this one may run an event loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


def _compiled(block: Block) -> CodeType:
    # Keep the line numbers of the page, so that a traceback leads there.
    text = "\n" * block.line + dedented(block)
    code: CodeType = compile(
        text, block.place.partition(":")[0], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
    )
    return code


async def _look_at(values: Iterable[Any]) -> None:
    """Check that the pages of a program answer, and that the check reports no issue."""
    for value in list(values):
        if isinstance(value, Reactive):
            assert [issue for issue in value.check() if issue.severity is not Severity.INFO] == list[Issue]()
        if isinstance(value, Starlette):
            async with TestClient(value) as client:
                for path in _plain_pages(value):
                    assert (await client.get(path)).status_code < 400, path


def _plain_pages(app: Starlette) -> list[str]:
    return [
        route.path
        for route in app.routes
        if isinstance(route, Route)
        and "GET" in (route.methods or ())
        and "{" not in route.path
        and not _is_stream(inspect.signature(route.endpoint).return_annotation)
        and not route.path.startswith(("/docs", "/redoc", "/openapi", "/_reactive"))
    ]


def _is_stream(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, EventSourceResponse)
