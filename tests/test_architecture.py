"""The rooms of the package and its public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import starlette_reactive

PACKAGE = Path(starlette_reactive.__file__).parent

ROOMS = [
    {"paths", "events", "blocks", "errors", "loops"},
    {"changelog", "jinja"},
    {"replica"},
    {"subscribers", "tables", "shown", "relays"},
    {"bus", "index"},
    {"responses", "live", "assets", "checks"},
    {"endpoints", "mounts", "replay", "tokens", "pages", "rendering", "fastapi", "app", "drawing", "inspector"},
    {"testing", "discovery", "metrics", "sqlalchemy"},
    {"pytest_plugin", "cli"},
]
"""The rooms of the package from the ground up; a room may import from its own floor and from those below."""

NEVER = [
    ("bus", "jinja"),
    ("jinja", "bus"),
    ("jinja", "changelog"),
    ("changelog", "jinja"),
    ("responses", "live"),
    ("inspector", "app"),
]
"""Rooms that know nothing of each other though they share a floor or lie on neighbouring ones."""

ALLOWED_IN = {
    "jinja2": {"jinja", "index", "live", "app", "checks", "discovery", "inspector"},
    "sse_starlette": {"live"},
    "fastapi": {"fastapi", "app"},  # app: for type checkers only
    "itsdangerous": {"tokens"},
    "trio": {"loops"},
    "redis": {"relays"},
    "psycopg": {"relays"},
    "prometheus_client": {"metrics"},
    "pydantic_core": {"live"},
    "httpx": {"testing"},
    "justhtml": {"testing"},
    "pytest": {"pytest_plugin"},
    "pytest_asyncio": {"pytest_plugin"},
    "typer": {"cli"},
    "sqlalchemy": {"sqlalchemy"},
    "rich": {"cli"},
}
"""Libraries that only the named rooms may import."""

PUBLIC = {
    "Action": "responses",
    "OOB": "responses",
    "Reactive": "app",
    "ValidationError": "responses",
    "BlockRef": "blocks",
    "ChangeEvent": "events",
    "ConnectionInfo": "events",
    "DependencyIndex": "index",
    "EventStream": "live",
    "Fragment": "responses",
    "Issue": "checks",
    "Severity": "checks",
    "Health": "events",
    "ReactiveBus": "bus",
    "SSEEvent": "live",
    "Subscription": "bus",
    "reactive_stream": "live",
}
ERRORS = {
    "BlockNotFoundError",
    "BlockRenderError",
    "ContextBuilderError",
    "EmitTimeoutError",
    "OutboxFullError",
    "ReactiveError",
    "TemplateLoadError",
    "ViewerNameError",
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts), ast.parse(path.read_text())


def imports(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, as absolute dotted names."""
    package = ["starlette_reactive", *name.split(".")][:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


def test_imports_point_down_only() -> None:
    floors = {each: number for number, floor in enumerate(ROOMS) for each in floor}
    for name, tree in modules():
        if name == "__init__":
            continue
        assert room(name) in floors, f"the room {room(name)} has no floor yet"
        for imported in imports(name, tree):
            if not imported.startswith("starlette_reactive."):
                continue
            other = imported.split(".")[1]
            assert floors[other] <= floors[room(name)], f"{name} imports {imported}, which lies above it"
            assert (room(name), other) not in NEVER, f"{name} must not know {imported}"


def test_libraries_are_imported_only_where_they_belong() -> None:
    for name, tree in modules():
        for imported in imports(name, tree):
            rooms = ALLOWED_IN.get(imported.split(".")[0])
            assert rooms is None or room(name) in rooms, f"{name} imports {imported}"
    assert sorted(
        name for name, tree in modules() if any(each.startswith("sse_starlette") for each in imports(name, tree))
    ) == ["live.pulse", "live.stream"]


def test_the_public_names_are_exactly_those_that_are_documented() -> None:
    assert set(starlette_reactive.__all__) == set(PUBLIC) | ERRORS


@pytest.mark.parametrize("name", sorted(set(PUBLIC) | ERRORS))
def test_every_public_name_is_importable_and_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(starlette_reactive, name))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_method_has_a_docstring(name: str) -> None:
    value = getattr(starlette_reactive, name)
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{attribute}"


def test_every_module_says_what_lives_in_it_and_lists_its_names() -> None:
    for info in pkgutil.walk_packages([str(PACKAGE)], "starlette_reactive."):
        module = importlib.import_module(info.name)
        assert module.__doc__, info.name
        names = module.__all__
        assert sorted(names) == sorted(set(names)), info.name
        assert all(hasattr(module, each) for each in names), info.name


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
