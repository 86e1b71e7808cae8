"""The application under test. It shares its data with the test, in a file that survives it.

A page is a tree of ``div`` elements, one for each block, some inside others. Every path appears as ``name=value``, so
that the test can parse a page and compare it with the expected values.
"""

from __future__ import annotations

import asyncio
import functools
import os
import random
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from starlette_reactive import ConnectionInfo, DependencyIndex, ReactiveBus, reactive_stream

from .club import Club, KeyFile, events_of, marked, page_source
from .controls import lose
from .state import PATHS, ROW_PATHS, State, rows_of
from .watchdog import BEAT

BLOCKS = {
    "single": ["p0"],
    "pair": ["p1", "p2"],
    "sums": ["total"],  # derived from p3, p4 and p5
    "addends": ["p3", "p4", "p5"],
    "again": ["p0", "p6"],
    "rest": ["p7", "p8", "p9"],
    "tree": ["p10", "p11"],
    "branch": ["p12", "p13"],
    "leaf": ["p14", "p15"],
    "twig": ["p16"],
    "wide": ["p17", "p18"],
    "heavy": ["p19"],
    "list": ["rows"],  # derived too, and shown as one element for each row
}
"""Each block with the paths that it shows itself, without those of the blocks in it."""
INSIDE = {"branch": "tree", "leaf": "branch", "twig": "tree"}
"""The parent of each nested block."""
DERIVED = {"total": ("p3", "p4", "p5"), "rows": ROW_PATHS}
ROWS = '{% for name, value in rows %}<div id="row-{{ name }}">{{ name }}={{ value }}</div>\n{% endfor %}'
WEIGHT = "<!-- ballast -->" * (int(os.environ["CHAOS_WEIGHT"]) // 16)
PERSONAL = frozenset({"again", "branch"})
"""Blocks of members that are personal, beside shared ones, around one, and in one that becomes personal by it."""


def _source(block: str, personal: frozenset[str] = frozenset()) -> str:
    shown = ROWS if block == "list" else " ".join(f"{path}={{{{ {path} }}}}" for path in BLOCKS[block])
    shown += " {{ me }}" if block in personal else ""
    inner = "".join(_source(name, personal) for name, outer in INSIDE.items() if outer == block)
    weight = WEIGHT if block == "heavy" else ""
    return f'<div id="{block}">{{% block {block} %}}{shown}{weight}{inner}{{% endblock %}}</div>\n'


SOURCE = "".join(_source(block) for block in BLOCKS if block not in INSIDE)
CLUB_SOURCE = page_source("".join(_source(block, PERSONAL) for block in BLOCKS if block not in INSIDE))

env = Environment(loader=DictLoader({"page.html": SOURCE}), autoescape=True)
club_page = env.from_string(CLUB_SOURCE)
index, club_index = DependencyIndex(), DependencyIndex()
index.register_template(env, "page.html")
for derived, sources in DERIVED.items():
    index.derive(derived, from_paths=sources)
    club_index.derive(derived, from_paths=sources)
bus = ReactiveBus()
state = State(os.environ["CHAOS_STATE"])
chance = random.Random(os.environ["CHAOS_SEED"])


class Faults:
    """Faults of the context builders of a scope."""

    def __init__(self) -> None:
        self.failing = 0.0  # the share that raises
        self.delay = 0.0  # seconds between reading the data and rendering

    async def strike(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay * chance.random())
        if chance.random() < self.failing:
            raise RuntimeError("injected failure to read the data")


faults: dict[str, Faults] = {}


def context(scope: str) -> dict[str, Any]:
    values = dict(zip(PATHS, state.read(scope), strict=True))
    return {**values, "total": sum(values[each] for each in DERIVED["total"]), "rows": rows_of(values)}


async def read(scope: str, user: str) -> dict[str, Any]:
    values = context(scope)
    await faults.setdefault(scope, Faults()).strike()
    return values


keys = KeyFile(os.environ["CHAOS_KEYS"], int(os.environ["CHAOS_MEMBERS"]))
club = Club(bus, club_index, CLUB_SOURCE, read, keys, os.environ["CHAOS_FINDINGS"], chance, heartbeat=BEAT)
lose(os.environ["CHAOS_LOSES"])


async def page(request: Request) -> Response:
    scope = request.path_params["scope"]
    cursor = bus.cursor(scope)
    return HTMLResponse(env.get_template("page.html").render(context(scope)), headers={"X-Cursor": cursor})


async def stream(request: Request) -> Response:
    scope, query = request.path_params["scope"], request.query_params

    return reactive_stream(
        bus,
        scope=scope,
        index=index,
        context_builder=functools.partial(read, scope, query["user"]),
        origin=query.get("origin"),
        connection=ConnectionInfo(query["viewer"], query["user"]),
        share=query.get("share"),
        compress=True,
        retry=300,
        heartbeat_interval=1.0,
        send_timeout=float(query.get("patience", 2)),
    )


async def change(request: Request) -> Response:
    """Change values, emit the change, and answer as the handler of a form: with the page and the affected blocks."""
    scope, asked = request.path_params["scope"], await request.json()
    state.write(scope, asked["values"])
    await asyncio.sleep(asked["pause"])  # from the commit to the emit
    audience = None if asked["audience"] is None else frozenset(asked["audience"])
    for event in events_of(scope, asked["values"], asked["origin"], audience):
        await bus.emit(event)
    values = context(scope)
    if asked["key"] is None:
        page = env.get_template("page.html").render(values)
    else:
        page = club_page.render(**marked(values, asked["key"], asked["member"]), live=str, live_origin=str)
    return JSONResponse(
        {
            "page": page,
            "blocks": [ref.target_id for ref in index.affected_blocks(asked["values"])],
        }
    )


async def burst(request: Request) -> Response:
    scope, asked = request.path_params["scope"], await request.json()
    for number in range(asked["events"]):
        path = chance.choice(asked["paths"])
        state.write(scope, {path: asked["first"] + number})
        for event in events_of(scope, {path}):
            bus.emit_sync(event)
    return JSONResponse({})


async def trouble(request: Request) -> Response:
    asked = await request.json()
    fault = faults.setdefault(request.path_params["scope"], Faults())
    fault.failing, fault.delay = asked["failing"], asked["delay"]
    return JSONResponse({})


async def stuff(request: Request) -> Response:
    """Emit many events, a few at a time, so that other tasks run in between."""
    scope, asked = request.path_params["scope"], await request.json()
    for number in range(asked["events"]):
        state.write(scope, {"p19": number})
        for event in events_of(scope, {"p19"}):
            await bus.emit(event)
        if number % asked["together"] == 0:
            await asyncio.sleep(asked["pause"])
    return JSONResponse({})


app = Starlette(
    routes=[
        Route("/{scope}/page", page),
        Route("/{scope}/stream", stream),
        Route("/{scope}/change", change, methods=["POST"]),
        Route("/{scope}/burst", burst, methods=["POST"]),
        Route("/{scope}/trouble", trouble, methods=["POST"]),
        Route("/{scope}/stuff", stuff, methods=["POST"]),
        *club.routes,
    ],
    middleware=club.middleware,
)
