"""A script for new environments. Its arguments are the packages that are missing there.

What needs none of them must work. What needs one of them must name the extra that installs it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.util import find_spec

from jinja2 import DictLoader, Environment

import starlette_reactive
from starlette_reactive import Reactive, ReactiveBus, ReactiveError

ABSENT = set(sys.argv[1:])
PAGE = "<html><p id='a'>{% block a %}{{ x }}{% endblock %}</p></html>"


def load(module: str) -> Callable[[], object]:
    return lambda: importlib.import_module(f"starlette_reactive.{module}")


def needs(package: str, extra: str, use: Callable[[], object]) -> None:
    if package not in ABSENT:
        use()
        return
    said = "nothing"
    try:
        use()
    except (ImportError, ReactiveError, RuntimeError, SystemExit) as error:
        said = str(error)
    assert f"starlette-reactive[{extra}]" in said, f"without {package}, {said} is said"


assert "site-packages" in str(starlette_reactive.__file__)
assert [package for package in sorted(ABSENT) if find_spec(package) is not None] == []
assert all(hasattr(starlette_reactive, name) for name in starlette_reactive.__all__)
reactive = Reactive(Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="a secret for tests")
assert reactive.index.register_template(reactive.templates.env, "page.html") == 1
assert [ref.block_name for ref in reactive.index.affected_blocks({"x"})] == ["a"]
assert reactive.check() == []
assert len(reactive.routes) > 0
load("assets")()
load("_inspector")()
ReactiveBus.from_url("memory://")

needs("fastapi", "fastapi", lambda: reactive.router)
needs("redis", "redis", lambda: ReactiveBus.from_url("redis://127.0.0.1:1/0"))
needs("psycopg", "postgres", lambda: ReactiveBus.from_url("postgresql://127.0.0.1:1/x"))
needs("sqlalchemy", "sqlalchemy", load("sqlalchemy"))
needs("prometheus_client", "metrics", load("metrics"))
needs("httpx2", "testing", load("testing"))
needs("typer", "cli", load("_cli.main"))
