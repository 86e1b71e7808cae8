"""The inspector shows a group in each of its scopes, with the viewers who have that scope."""

from __future__ import annotations

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._index.registry import Registry
from starlette_reactive._inspector.effects import GroupStatus
from starlette_reactive._inspector.recorder import Recorder
from starlette_reactive._log.changelog import Change
from starlette_reactive._streams.trace import TracedChange, TracedReading
from tests.pages.share_app import LIVE, TASKS, Club, shows
from tests.support import eventually

from .support import newest, settled, view_of

SCOPES = ["all", "user:{request.cookies[name]}"]


async def test_each_scope_lists_the_viewers_who_have_it() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), inspector=True, debug=True, scope=SCOPES)
    view = view_of(club.reactive)
    async with club.view("ada", "ben"):
        found = {row.scope: (row.viewers, row.groups, row.users) for row in view.presence}
        assert found == {
            "all": (2, 1, [("ada", 1), ("ben", 1)]),
            "user:ada": (1, 1, [("ada", 1)]),
            "user:ben": (1, 1, [("ben", 1)]),
        }
        totals = view_of(club.reactive)._recorder.totals()
        assert (totals.groups, totals.viewers) == (1, 2)
    await eventually(lambda: view_of(club.reactive).presence == [])


async def test_an_event_of_one_viewers_scope_shows_whom_it_reached() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), inspector=True, debug=True, scope=SCOPES)
    async with club.view("ada", "ben") as (_, ben):
        club.tasks["red"] = ["red 2"]
        await club.reactive.emit("user:ben", "tasks")
        await shows(ben, "red 2")
        effect = await settled(club.reactive)
        assert (effect.viewers, effect.reached) == (2, 1)
        assert "Not sent to 1 viewer in other scopes." in effect.notes
        assert newest(club.reactive).record.event.scope == "user:ben"


async def test_who_shares_is_listed_with_all_scopes() -> None:
    club = Club(inspector=True, debug=True, scope=SCOPES)
    (row,) = view_of(club.reactive).sharing
    assert list(row.scopes) == SCOPES


def test_events_of_two_scopes_with_one_path_are_two() -> None:
    recorder = Recorder(lambda paths: paths, len)
    group = recorder.group("all", Registry())
    group.viewers_in("user", 1)
    recorder.observe(ChangeEvent("user", {"x"}))
    group.read(TracedReading([TracedChange(Change("x", None, 1, None, 0, "user"), own=0, outside=0)], [], 1))
    recorder.observe(ChangeEvent("all", {"x"}))
    with recorder.locked():
        statuses = [effect.status for record in recorder.newest() for effect in record.effects]
    assert statuses == [GroupStatus.DELIVERED, GroupStatus.UNSEEN]
