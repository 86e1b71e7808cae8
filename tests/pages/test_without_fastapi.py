"""Starlette without FastAPI, which only the router needs."""

from __future__ import annotations

import subprocess
import sys
import textwrap

PROGRAM = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fastapi":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())

import anyio
from starlette.applications import Starlette
from starlette.routing import Route
from starlette_reactive import Reactive, ReactiveError
from tests.pages.support import PAGE, view
from tests.support import environment

reactive = Reactive(environment(page=PAGE), secret="a secret for tests")

@reactive.page("page.html", scope="all")
async def page():
    return {"title": "t", "items": ["x"]}

app = Starlette(routes=[*reactive.routes, Route("/", page)], lifespan=reactive.lifespan)

async def main():
    async with app.router.lifespan_context(app), view(app, "/") as connection:
        await reactive.emit("all", "items")
        print((await connection.next_update()).data)

anyio.run(main)
try:
    reactive.router
except ReactiveError as error:
    print(error)
assert not [name for name in sys.modules if name.partition(".")[0] == "fastapi"]
"""


def test_a_page_is_live_without_fastapi() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == [
        '<hx-partial hx-target="#list" hx-swap="innerHTML transition:false"><li>x</li></hx-partial>',
        "reactive.router needs FastAPI, which is not installed: install starlette-reactive[fastapi], or use "
        "reactive.routes with Starlette",
    ]
