"""Attacks on cursors. What an attacker would gain: knowledge of what happens in scopes that are not theirs to see."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from itsdangerous import URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import ChangeEvent, Reactive, ReactiveBus
from starlette_reactive._pages.visits import Visit

from ..pages.support import PAGE, SECRET, request, view
from ..support import environment

MANY = 1000
ENV = environment(page=PAGE)


def numbers(cursor: str) -> set[int]:
    """Return what the number in a cursor may be read as."""
    text = cursor.rpartition("-")[2]
    bases = (base for base in (10, 16) if set(text) <= set("0123456789abcdef"[:base]))
    return {int(text, base) for base in bases}


def distances(cursors: Sequence[str]) -> set[int]:
    """Return by how much the numbers in consecutive cursors differ."""
    return {
        abs(one - other) for before, after in pairwise(cursors) for one in numbers(before) for other in numbers(after)
    }


def test_the_cursors_of_a_scope_do_not_count_the_events_of_other_scopes() -> None:
    """A viewer of one page sees in its ids how busy the whole application is, at night or after an announcement."""
    bus = ReactiveBus()
    cursors = []
    for others in (0, 1, MANY):
        for _ in range(others):
            bus.emit_sync(ChangeEvent("others", {"a"}))
        bus.emit_sync(ChangeEvent("mine", {"a"}))
        cursors.append(bus.cursor("mine"))
    assert len(set(cursors)) == 3
    assert min(distances(cursors)) > MANY * MANY
    assert {len(cursor) for cursor in cursors} == {len(cursors[0])}  # no digits to count, either


def test_cursors_are_in_no_order() -> None:
    """A viewer sorts the cursors that others have published, and knows who loaded their page first."""
    bus = ReactiveBus()
    seen = []
    for _ in range(100):
        bus.emit_sync(ChangeEvent("mine", {"a"}))
        seen.append(bus.cursor("mine"))
    ordered = sorted(seen, key=lambda cursor: (len(cursor), cursor))
    assert ordered not in (seen, seen[::-1])


async def test_neither_a_live_url_nor_the_ids_of_its_stream_count_events() -> None:
    """A visitor loads the page twice, and reads in its live URLs how much happened in between."""
    reactive = Reactive(ENV, secret=SECRET)

    async def page(request: Request) -> dict[str, Any]:
        return {"title": "t", "items": []}

    decorated = reactive.page("page.html", scope="mine")(page)
    app = Starlette(routes=[*reactive.routes, Route("/", decorated)])
    urls, ids = [], []
    for _ in range(3):
        urls.append(cursor_in((await request(app, "/")).url))
        async with view(app, "/") as connection:
            ids.append((connection.frames[0].id or "").partition("~")[0])
        for _ in range(MANY):
            reactive.emit_sync("others", "a")
    assert min(distances(urls)) > MANY * MANY
    assert all(len(cursor) == len(urls[0]) for cursor in (*urls, *ids))


def cursor_in(url: str) -> str:
    """Return the cursor in a live URL, which anybody can read."""
    values = URLSafeTimedSerializer("any key").loads_unsafe(url.partition("page=")[2])[1]
    return str(Visit(*values).cursor)


def test_each_log_hides_its_positions_in_its_own_way() -> None:
    """Whoever runs the same application at home looks up there which position a cursor stands for."""
    buses = [ReactiveBus(), ReactiveBus()]
    for bus in buses:
        bus.emit_sync(ChangeEvent("mine", {"a"}))
    one, other = (bus.cursor("mine").rpartition("-")[2] for bus in buses)
    assert one != other
