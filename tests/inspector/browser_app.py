"""Three applications for the browser tests: the demo, one without pages, and one with many and long names."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.routing import Mount

from starlette_reactive import BlockRef, Reactive
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._index.registry import Registry
from starlette_reactive._streams.trace import GroupTraces

from .demo import Demo

LONG = "a_name_of_a_context_variable_that_is_so_long_that_it_fits_nowhere_at_all"
FOLDER = "pages/of/the/administration/that/nobody/has/ever/opened/"

demo = Demo()
empty = Reactive(
    Environment(loader=DictLoader({}), autoescape=True),
    secret="a secret for tests",
    debug=True,
    inspector=True,
    prefix="/_empty",
)
reactives = [empty, demo.reactive]


def with_many_names() -> FastAPI:
    page = "".join(
        f'<p id="b{n}">{{% block b{n} %}}{{{{ {LONG}_{n} }}}} {{{{ x{n % 7}.y }}}}{{% endblock %}}</p>'
        for n in range(40)
    )
    inner = f'<p id="own">{{% block inner_{LONG} %}}{{{{ user }}}}{{% endblock %}}</p>'
    page += f'<div id="{LONG}">{{% block {LONG} %}}{inner}{{% endblock %}}</div>'
    name = f"{FOLDER}{LONG}.html"
    templates = Environment(loader=DictLoader({name: f"{page}<div {{{{ live() }}}}></div>"}), autoescape=True)
    reactive = Reactive(templates, secret="a secret for tests", debug=True, inspector=True, prefix="/_many")
    reactives.append(reactive)
    app = FastAPI()
    app.include_router(reactive.router)

    @app.get("/page")
    @reactive.page(name, scope="many")
    async def many() -> dict[str, Any]:
        return {}

    @app.post("/emit")
    async def emit(number: int) -> None:
        for each in range(number):
            await reactive.emit(f"{LONG} {LONG} {each}", LONG, f"{LONG}_{each}.{LONG}", origin=LONG, audience={LONG})
        traces = GroupTraces(hub_of(reactive.bus), LONG, Registry())
        traces.differed(BlockRef(name, LONG, LONG), f"{name}:1: the block {LONG!r} was different for two viewers")
        traces.ended(None)

    return app


app = Starlette(
    routes=[
        Mount("/empty", Starlette(routes=empty.routes)),
        Mount("/many", with_many_names()),
        Mount("/", demo.app),
    ]
)
for reactive in reactives:
    reactive.app = app
