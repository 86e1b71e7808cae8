"""Helpers that read the inspector without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from starlette_reactive import Reactive
from starlette_reactive._inspector import Inspector
from starlette_reactive._inspector.event_rows import EffectRow, EventRow
from starlette_reactive._inspector.view import View
from tests.support import eventually

PAGE = "/_reactive/inspector"


def inspector_of(reactive: Reactive) -> Inspector:
    assert reactive._inspector is not None
    return reactive._inspector


def view_of(reactive: Reactive) -> View:
    return inspector_of(reactive)._view


def newest(reactive: Reactive) -> EventRow:
    return view_of(reactive).newest[0]


def only_effect(reactive: Reactive) -> EffectRow:
    (effect,) = newest(reactive).effects
    return effect


async def settled(reactive: Reactive, status: str = "rendered") -> EffectRow:
    """Wait until all groups of the newest event have a status. Return its only row of effects."""
    await eventually(
        lambda: newest(reactive).effects and {each.status for each in newest(reactive).effects} == {status}
    )
    return only_effect(reactive)


def block_statuses(effect: EffectRow) -> dict[str, str]:
    return {block.ref.block_name: str(block.status) for block in effect.blocks}


@asynccontextmanager
async def browser(
    app: ASGIApp,
    *,
    base: str = "http://localhost:8000",
    client: tuple[str, int] | None = ("127.0.0.1", 4711),
    root: str = "",
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client on this machine, or elsewhere."""
    transport = httpx.ASGITransport(app, client=client or ("", 0), root_path=root)
    async with httpx.AsyncClient(transport=transport, base_url=base) as opened:
        yield opened


async def status(app: ASGIApp, path: str = PAGE, *, headers: dict[str, str] | None = None, **options: Any) -> int:
    async with browser(app, **options) as opened:
        return (await opened.get(path, headers=headers)).status_code
