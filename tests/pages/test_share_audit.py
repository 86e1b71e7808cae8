"""Audits: what two viewers with an equal key are shown is compared, because equal keys are only a claim."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from starlette.requests import Request

from starlette_reactive._pages.shared_runs import watch_differences
from tests.support import eventually

from .share_app import LIVE, TASKS, Club, last_id, shows, text
from .support import view

WRONG = "<!doctype html>" + LIVE.format("mine", "{{ own_tasks }}") + LIVE.format("tasks", TASKS)


class Mistaken(Club):
    """Its page shows what depends on the member, under a name that is not declared."""

    async def endpoint(self, request: Request) -> dict[str, Any]:
        found = await super().endpoint(request)
        return {**found, "own_tasks": f"tasks of {self.name_of(request)}: {len(found['tasks'])}"}

    async def change(self) -> None:
        self.tasks["red"] = [*self.tasks["red"], "red 2"]
        await self.reactive.emit("all", "own_tasks", "tasks")


async def test_a_block_that_depends_on_the_viewer_is_never_sent_to_another_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    club = Mistaken(WRONG, audit=1.0)
    urls = {name: await club.url_for(name) for name in ("ada", "ben")}
    async with club.stream("ada", urls["ada"]) as ada, club.stream("ben", urls["ben"]) as ben:
        with watch_differences() as found:
            await club.change()
            await eventually(lambda: ada.complete and ben.complete)
        assert "tasks of" not in text(ada) + text(ben)
        assert [(each.block.block_name, each.template, each.line, each.always) for each in found] == [
            ("mine", "page.html", 1, False)
        ]
        message = next(record.getMessage() for record in caplog.records if "was different" in record.getMessage())
        assert "page.html:1: the block 'mine' of the page" in message
        assert "for two viewers whose keys are both str 'red'" in message
        assert "tasks of" not in message
        async with (
            club.stream("ada", urls["ada"], last_id(ada)) as next_of_ada,
            club.stream("ben", urls["ben"], last_id(ben)) as next_of_ben,
        ):
            await shows(next_of_ada, "tasks of ada: 2", "<li>red 2</li>")
            await shows(next_of_ben, "tasks of ben: 2", "<li>red 2</li>")
            club.runs.clear()
            await club.add("red", "red 3")
            await shows(next_of_ada, "red 3")
            await shows(next_of_ben, "red 3")
            assert sorted(club.runs) == ["ada", "ben"]  # the run of one, and the audit
            await club.reactive.emit("all", "own_tasks")
            await shows(next_of_ada, "tasks of ada: 3")
            await shows(next_of_ben, "tasks of ben: 3")
            assert "ben" not in text(next_of_ada)


async def test_other_groups_of_the_page_no_longer_share_the_block_either() -> None:
    club = Mistaken(WRONG, audit=1.0)
    async with club.view("ada", "ben", "cy") as (ada, _, cy):
        await club.reactive.emit("all", "own_tasks")
        await eventually(lambda: ada.complete)
        await shows(cy, "tasks of cy: 1")
        await club.reactive.emit("all", "own_tasks")
        await eventually(lambda: cy.complete)


async def test_blocks_that_are_the_same_are_shared_although_data_changes_between_two_runs() -> None:
    club = Club(audit=1.0)
    async with club.view("ada", "ben") as (ada, ben):

        async def change(name: str) -> None:
            if len(club.runs) == 2:  # after the first run has read
                club.tasks["red"] = ["red 9"]

        club.before_reading = change
        with watch_differences() as found:
            await club.add("red", "red 2")
            await shows(ada, "red 2")
            await shows(ben, "red 2")
            await club.reactive.emit("all", "tasks")
            await shows(ben, "red 9")
        assert not found


async def test_a_block_that_differs_in_every_run_is_reported_with_the_way_out(caplog: pytest.LogCaptureFixture) -> None:
    counter = itertools.count()
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS + "{{ nonce() }}"), audit=1.0)
    club.env.globals["nonce"] = lambda: next(counter)
    async with club.view("ada", "ben") as (ada, ben):
        with watch_differences() as found:
            await club.add("red", "red 2")
            await eventually(lambda: ada.complete and ben.complete)
    assert [each.always for each in found] == [True]
    assert "{{ varies(value) }}" in caplog.text


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("{{ varies(nonce()) }}", "number &lt;{}&gt;"),
        ("{{ varies(nonce())|safe }}", "number <{}>"),
        ("{{ varies(nonce()|upper) }}", "NUMBER &lt;{}&gt;"),
        ("{{ varies(nonce())|upper }}", "NUMBER &lt;{}&gt;"),
        ('<i title="{{ varies(nonce()) }}"></i>', "number &lt;{}&gt;"),
        ("{% autoescape false %}{{ varies(nonce()) }}{% endautoescape %}", "number <{}>"),
    ],
)
async def test_what_varies_by_nature_is_not_compared_and_sent_as_it_is(expression: str, shown: str) -> None:
    counter = itertools.count()
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS + expression), audit=1.0)
    club.env.globals["nonce"] = lambda: f"number <{next(counter)}>"
    async with club.view("ada", "ben") as (ada, ben):
        before = next(counter)
        await club.add("red", "red 2")
        await shows(ada, "red 2", shown.format(before + 1))
        await shows(ben, "red 2", shown.format(before + 1))
        assert text(ada).isascii()
        assert len(club.runs) == 2


@pytest.mark.parametrize(("audit", "debug", "runs"), [(0.0, False, 1), (1.0, False, 2), (None, True, 2)])
async def test_the_part_of_the_updates_that_is_audited(audit: float, runs: int, *, debug: bool) -> None:
    club = Club(audit=audit, debug=debug)
    async with club.view("ada", "ben") as (ada, _):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        assert len(club.runs) == runs


async def test_two_tabs_of_one_browser_are_not_compared() -> None:
    club = Club(audit=1.0)
    seen = {"cookie": "name=ada; reactive_session=0123456789abcdef0123"}

    async with view(club.app, "/", headers=seen) as first, view(club.app, "/", headers=seen) as second:
        club.runs.clear()
        await club.add("red", "red 2")
        await shows(first, "red 2")
        await shows(second, "red 2")
        assert club.runs == ["ada"]


async def test_an_audit_whose_second_run_fails_or_is_refused_is_left_to_the_next_update() -> None:
    club = Mistaken(WRONG, audit=1.0)
    async with club.view("ada", "ben") as (ada, ben):
        club.failing.add("ben")
        with watch_differences() as found:
            await club.add("red", "red 2")
            await shows(ada, "red 2")
            club.failing.clear()
            club.refused.add("ben")
            await club.add("red", "red 3")
            await shows(ada, "red 3")
            await eventually(lambda: ben.complete)
        assert not found


async def test_a_difference_is_logged_once_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    club = Mistaken(WRONG, audit=1.0)
    async with club.view("ada", "ben") as (ada, _):
        await club.change()
        await eventually(lambda: ada.complete)
    differences = [record for record in caplog.records if "was different" in record.getMessage()]
    assert [record.levelno for record in differences] == [logging.WARNING]
