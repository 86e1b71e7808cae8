"""The application that runs in several worker processes, with a bus on an engine."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import random
from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from starlette_reactive import ChangeEvent, ConnectionInfo, EmitTimeoutError, ReactiveBus, reactive_stream
from starlette_reactive._engines import Bridge
from starlette_reactive._engines.urls import engine_from_url

from ..chaos.club import Club, KeyFile
from .controls import with_control
from .pages import (
    CLUB_SOURCE,
    OWN_OF_MEMBER,
    PostgresStore,
    SQLiteStore,
    Store,
    make_club_index,
    make_index,
    open_store,
)

URL = os.environ["CHAOS_ENGINE"]
BEAT = float(os.environ["CHAOS_BEAT"])
stores: dict[str, Store] = {"board": SQLiteStore(os.environ["CHAOS_STATE"])}
if "CHAOS_LEDGER" in os.environ:
    stores["ledger"] = PostgresStore(os.environ["CHAOS_LEDGER"])
index = make_index()
engine = with_control(os.environ["CHAOS_CONTROL"], engine_from_url(URL), URL)
bus = ReactiveBus(relay=Bridge(engine, heartbeat=BEAT, lease=3 * BEAT))


async def _read(scope: str, user: str) -> dict[str, Any]:
    return await to_thread.run_sync(open_store(scope, stores).context, scope, user)


club = Club(
    bus,
    make_club_index(),
    CLUB_SOURCE,
    _read,
    KeyFile(os.environ["CHAOS_KEYS"], int(os.environ["CHAOS_MEMBERS"])),
    os.environ["CHAOS_FINDINGS"],
    random.Random(),
    OWN_OF_MEMBER,
)


def _place(request: Request) -> tuple[str, str, Store]:
    scope, user = request.path_params["scope"], request.path_params["user"]
    return scope, user, open_store(scope, stores)


async def page(request: Request) -> Response:
    scope, user, store = _place(request)
    cursor = bus.cursor(scope)
    return HTMLResponse(await to_thread.run_sync(store.page, scope, user), headers={"X-Cursor": cursor})


async def stream(request: Request) -> Response:
    (scope, user, store), query = _place(request), request.query_params
    return reactive_stream(
        bus,
        scope=scope,
        index=index,
        context_builder=functools.partial(store.context, scope, user),
        origin=query.get("origin"),
        connection=ConnectionInfo(query["viewer"], user),
        share=user if "share" in query else None,
        retry=300,
        heartbeat_interval=2.0,
    )


async def change(request: Request) -> Response:
    """Change values, tell of it, and answer as a form's handler would: with the page anew and what it affects."""
    (scope, user, store), asked = _place(request), await request.json()
    accepted = await _change(scope, store, asked)
    return JSONResponse(
        {
            "accepted": accepted,
            "page": await to_thread.run_sync(store.page, scope, user),
            "blocks": [ref.target_id for ref in index.affected_blocks(asked["paths"])],
        }
    )


async def _change(scope: str, store: Store, asked: dict[str, Any]) -> bool:
    values, paths, origin, audience = asked["values"], asked["paths"], asked["origin"], asked["audience"]
    if asked["how"] == "transaction":
        assert isinstance(store, PostgresStore)
        await to_thread.run_sync(store.write_and_emit, scope, values, paths, origin, audience)
        return True
    await to_thread.run_sync(store.write, scope, values)
    await asyncio.sleep(asked["pause"])  # from the commit to the emit
    event = ChangeEvent(scope, paths, origin, audience)
    if asked["how"] == "emit_sync":
        bus.emit_sync(event)
        return False
    try:
        await bus.emit(event)
    except EmitTimeoutError:
        return False
    return True


async def health(request: Request) -> Response:
    found = bus.health()
    return JSONResponse({"connected": found.connected, "waiting": found.waiting, "last_error": found.last_error})


async def presence(request: Request) -> Response:
    return JSONResponse(sorted(each.session_id for each in bus.presence(request.path_params["scope"])))


async def close_user(request: Request) -> Response:
    return JSONResponse(bus.close_user(request.path_params["user"]))


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    bus.start()
    try:
        yield
    finally:
        bus.stop()


app = Starlette(
    routes=[
        Route("/{scope}/{user}/page", page),
        Route("/{scope}/{user}/stream", stream),
        Route("/{scope}/{user}/change", change, methods=["POST"]),
        Route("/health", health),
        Route("/presence/{scope}", presence),
        Route("/close/{user}", close_user, methods=["POST"]),
        *club.routes,
    ],
    middleware=club.middleware,
    lifespan=lifespan,
)
