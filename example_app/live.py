"""All that makes the boards live: one bus, one index, one stream.

Each board is a scope. A mutation names what it changed, the index knows from ``board.html`` which blocks show that, and
the stream sends those blocks to everybody who has the board open.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.templating import Jinja2Templates

from starlette_reactive import ChangeEvent, ConnectionInfo, DependencyIndex, EventStream, ReactiveBus, reactive_stream

CLOSE_EVENT = "reactive-close"  # the board's page names it in sse-close

templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
bus = ReactiveBus()
index = DependencyIndex()
index.register_from_sse_swaps(templates.env, "board.html")


def scope_of(slug: str) -> str:
    return f"board:{slug}"


def cursor_of(slug: str) -> str:
    """Return the board's position: a page takes it before it reads its data, and its stream goes on from there."""
    return bus.cursor(scope_of(slug))


def people_on(slug: str) -> int:
    """Return how many tabs have the board open."""
    return len(bus.presence(scope_of(slug)))


async def changed(slug: str, *paths: str) -> None:
    """Tell everybody on the board that these context paths have new values. Call it after the commit."""
    await bus.emit(ChangeEvent(scope_of(slug), paths))


def board_stream(slug: str, tab: str, build_context: Callable[[], Awaitable[Mapping[str, Any]]]) -> EventStream:
    """Return the stream of a board's live blocks, rendered once for all who watch it."""
    return reactive_stream(
        bus,
        scope=scope_of(slug),
        index=index,
        context_builder=build_context,
        templates=templates,
        connection=ConnectionInfo(session_id=tab),
        on_connect=_people_changed,
        on_disconnect=_people_changed,
        share="board",
        close_event=CLOSE_EVENT,
    )


def _people_changed(scope: str, _: ConnectionInfo | None) -> None:
    bus.emit_sync(ChangeEvent(scope, {"people"}))
