"""The rooms of the package and its public names."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import starlette_reactive

PACKAGE = Path(starlette_reactive.__file__).parent
DOCS = PACKAGE.parent / "docs"

FLOORS = [
    {"_core"},
    {"_log", "_templates", "_clients", "_database"},
    {"_index", "_engines"},
    {"_bus", "_checks"},
    {"_streams"},
    {"_answers"},
    {"_pages"},
    {"_inspector"},
    {"app"},
    {"_cli", "sqlalchemy", "testing", "metrics", "assets", "engines", "templates"},
    {"pytest_plugin"},
]
"""The rooms of the package from the ground up; a room imports from itself and from the floors below it only."""

ALLOWED_IN = {
    "jinja2": {"_templates", "_index", "_streams", "_pages", "_answers", "_checks", "_cli", "_inspector", "app"},
    "sse_starlette": {"_streams"},
    "fastapi": {"_pages", "app"},  # app: for type checkers only
    "itsdangerous": {"_pages"},
    "trio": {"_core"},
    "redis": {"_engines.redis"},
    "psycopg": {"_engines.postgres"},
    "prometheus_client": {"metrics"},
    "pydantic_core": {"_streams"},
    "httpx": {"testing._http_library"},
    "httpx2": {"testing._http_library"},
    "justhtml": {"_templates.elements", "testing"},
    "pytest": {"pytest_plugin"},
    "pytest_asyncio": {"pytest_plugin"},
    "typer": {"_cli"},
    "sqlalchemy": {"sqlalchemy", "_database", "_cli.triggers"},
    "rich": {"_cli"},
}
"""Libraries that only the named rooms may import."""

PUBLIC = {
    "Action",
    "BlockRef",
    "ChangeEvent",
    "ConnectionInfo",
    "DependencyIndex",
    "EventStream",
    "Fragment",
    "Health",
    "Issue",
    "OOB",
    "Reactive",
    "ReactiveBus",
    "ReactiveMiddleware",
    "SSEEvent",
    "Severity",
    "Subscription",
    "ValidationError",
    "is_update",
    "reactive_stream",
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
    floor_of = {each: number for number, floor in enumerate(FLOORS) for each in floor}
    for name, tree in modules():
        if name == "__init__":
            continue
        assert room(name) in floor_of, f"the room {room(name)} has no floor yet"
        for imported in imports(name, tree):
            if not imported.startswith("starlette_reactive."):
                continue
            other = imported.split(".")[1]
            if other != room(name):
                assert floor_of[other] < floor_of[room(name)], f"{name} imports {imported}, which is not below it"


def test_modules_within_a_room_import_each_other_in_one_direction() -> None:
    graph = {name: set[str]() for name, _ in modules()}
    for name, tree in modules():
        for imported in imports(name, tree):
            parts = imported.split(".")[1:]
            for end in range(len(parts), 0, -1):
                module = ".".join(parts[:end])
                found = next((each for each in (module, f"{module}.__init__") if each in graph), None)
                if found is not None:
                    if found != name:
                        graph[name].add(found)
                    break
    TopologicalSorter(graph).prepare()  # raises CycleError with the modules of a cycle


def test_libraries_are_imported_only_where_they_belong() -> None:
    for name, tree in modules():
        for imported in imports(name, tree):
            rooms = ALLOWED_IN.get(imported.split(".")[0])
            assert rooms is None or any(f"{name}.".startswith(f"{each}.") for each in rooms), (
                f"{name} imports {imported}"
            )


def test_modules_are_small() -> None:
    for name, _ in modules():
        lines = len((PACKAGE / Path(*name.split("."))).with_suffix(".py").read_text().splitlines())
        assert lines <= 400, f"{name} has {lines} lines: split it by idea"


def test_the_public_names_are_exactly_those_that_are_documented() -> None:
    assert set(starlette_reactive.__all__) == PUBLIC | ERRORS


@pytest.mark.parametrize("name", sorted(PUBLIC | ERRORS))
def test_every_public_name_is_importable_and_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(starlette_reactive, name))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_method_has_a_docstring(name: str) -> None:
    value = getattr(starlette_reactive, name)
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            if not attribute.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(member), f"{name}.{attribute}"


def public_modules() -> list[str]:
    """Return the modules that users import. ``app`` is not one: its only public name is exported by the package."""
    found = [info.name for info in pkgutil.iter_modules([str(PACKAGE)]) if not info.name.startswith("_")]
    return ["starlette_reactive", *(f"starlette_reactive.{name}" for name in found if name != "app")]


def reference() -> str:
    return "\n".join(path.read_text() for path in (DOCS / "reference.md", *sorted((DOCS / "reference").glob("*.md"))))


def reference_entries() -> set[str]:
    """Return the names that the reference documents, those of the fixtures in its table included."""
    fixtures = re.findall(r"^\| `(\w+)` \|", (DOCS / "reference" / "testing.md").read_text(), re.MULTILINE)
    entries = re.findall(r"^::: ([\w.]+)$", reference(), re.MULTILINE)
    return {*entries, *(f"starlette_reactive.pytest_plugin.{name}" for name in fixtures)}


@pytest.mark.parametrize("module", public_modules())
def test_every_public_name_has_an_entry_in_the_reference(module: str) -> None:
    names = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert names - reference_entries() == set()


def test_the_reference_names_public_modules_only() -> None:
    named = set(re.findall(r"starlette_reactive(?:\.[a-z_]\w*)+", reference()))
    modules = {name for name in named if not any(name.rpartition(".")[0] == module for module in public_modules()[1:])}
    functions = {f"starlette_reactive.{name}" for name in starlette_reactive.__all__}
    assert modules - {*public_modules(), *functions} == set()


def test_the_design_page_describes_every_room_and_names_only_modules_that_exist() -> None:
    page = (DOCS / "design.md").read_text()
    table = page.partition("## Rooms")[2].partition("\n## ")[0]
    rooms = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert rooms == set().union(*FLOORS)
    for name in re.findall(r"`(_\w+(?:/\w+)+)`", page):
        assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists(), name


def test_the_picture_of_the_rooms_shows_every_room() -> None:
    picture = (DOCS / "images" / "rooms.svg").read_text()
    shown = {name for text in re.findall(r'class="code">(.*?)<', picture) for name in re.findall(r"\w+", text)}
    assert shown == set().union(*FLOORS)


def test_every_module_says_what_lives_in_it_and_lists_its_names() -> None:
    for info in pkgutil.walk_packages([str(PACKAGE)], "starlette_reactive."):
        module = importlib.import_module(info.name)
        assert module.__doc__, info.name
        names = module.__all__
        assert sorted(names) == sorted(set(names)), info.name
        assert all(hasattr(module, each) for each in names), info.name


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
