"""What the inspector, the check and the description say of a page whose viewers share renders by key."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from starlette_reactive import Severity
from tests.pages.share_app import LIVE, PAGE, TASKS, Club, shows
from tests.support import eventually

from .support import block_statuses, newest, settled, view_of


class Mistaken(Club):
    async def endpoint(self, request: Request) -> dict[str, Any]:
        found = await super().endpoint(request)
        return {**found, "tasks": [self.name_of(request)]}


async def test_a_shared_block_is_one_run_for_all_viewers_with_a_key() -> None:
    club = Club(debug=True, inspector=True)
    async with club.view("ada", "ben", "dee") as (ada, *_):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        effect = await settled(club.reactive)
        assert (effect.personal, effect.groups, effect.viewers, effect.runs) == (False, 1, 3, 1)
        assert block_statuses(effect) == {"tasks": "sent"}
        (scope,) = [row for row in view_of(club.reactive).presence if row.scope == "all"]
        assert (scope.viewers, scope.groups) == (3, 1)


async def test_a_personal_block_is_one_run_for_each_viewer_whom_the_change_concerns() -> None:
    club = Club(debug=True, inspector=True)
    async with club.view("ada", "ben") as (ada, ben):
        await club.remind("ada")
        await shows(ada, "ada has 1")
        await shows(ben, "ben has 0")
        await eventually(lambda: [effect.runs for effect in newest(club.reactive).effects if effect.personal] == [2])
        (own,) = [effect for effect in newest(club.reactive).effects if effect.personal]
        assert block_statuses(own) == {"hello": "sent"}


async def test_it_says_which_blocks_are_personal_and_why() -> None:
    club = Club(debug=True, inspector=True)
    (page,) = (page.described for page in club.reactive._site)
    reasons = {ref.block_name: why.describe(ref.block_name) for ref, why in page.personal({"me", "unread"}).items()}
    assert reasons == {"hello": "reads 'me'"}
    assert page.render_serves("tasks", None) == "once for each key"


async def test_a_difference_is_shown_and_its_block_counts_as_personal_from_then_on() -> None:
    club = Mistaken("<!doctype html>" + LIVE.format("tasks", TASKS), audit=1.0, debug=True, inspector=True)
    async with club.view("ada", "ben") as (ada, _):
        await club.reactive.emit("all", "tasks")
        await eventually(lambda: ada.complete)
    (difference,) = view_of(club.reactive).differences
    assert "the block 'tasks' of the page" in difference.message
    (page,) = (page.described for page in club.reactive._site)
    reasons = {ref.block_name: why.describe(ref.block_name) for ref, why in page.personal(frozenset()).items()}
    assert reasons == {"tasks": "was different for two viewers with an equal key"}
    assert club.reactive.bus.differing_block_count == 1


def test_the_check_accepts_the_page_and_names_no_viewer() -> None:
    club = Club(f"{PAGE}<script src='/app.js'></script>")
    assert [issue for issue in club.reactive.check() if issue.severity is not Severity.INFO] == []
