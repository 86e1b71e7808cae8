"""Attacks on pages with ``share=``: others' bytes, old bytes, and members who stop the others."""

from __future__ import annotations

import collections
import itertools
import time
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.requests import Request

from starlette_reactive._pages.places import PAGE_SHARE
from starlette_reactive._pages.shared_runs import watch_differences
from starlette_reactive._streams import backoff, viewer

from ..pages.share_app import LIVE, PAGE, TASKS, Club, last_id, shows, text
from ..pages.support import request
from ..pages.test_share_applications import SignedIn
from ..support import eventually
from .support import open_tab

MINE = "<!doctype html>" + LIVE.format("mine", "{{ own_tasks }}")
SHARED = "<!doctype html>" + LIVE.format("tasks", TASKS)
Team = collections.namedtuple("Team", ["name"])


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.01)


class Mistaken(Club):
    """Its page shows what depends on the member, under a name that is not declared.

    Args:
        wrong: The members for whom it is something else.
    """

    def __init__(self, *wrong: str, page: str = MINE, **options: Any) -> None:
        super().__init__(page, audit=1.0, **options)
        self.wrong = set(wrong)

    async def endpoint(self, request: Request) -> dict[str, Any]:
        found = await super().endpoint(request)
        name = self.name_of(request)
        return {**found, "own_tasks": f"tasks of {name if name in self.wrong else 'all'}"}


# The audit


async def test_a_member_who_is_always_third_is_compared_too() -> None:
    club = Mistaken("dee")
    async with club.view("ada", "ben", "dee"):
        with watch_differences() as found:
            for _ in range(100):
                await club.reactive.emit("all", "own_tasks")
                runs = len(club.runs)
                await eventually(lambda runs=runs: len(club.runs) > runs or bool(found))  # type: ignore[misc]
                if found:
                    break
        assert [each.block.block_name for each in found] == ["mine"]


async def test_a_member_whose_runs_fail_does_not_keep_others_from_being_compared() -> None:
    club = Mistaken("dee")
    club.teams["eve"] = "red"
    club.unread["eve"] = 0
    async with club.view("ada", "ben", "dee", "eve") as (ada, *_):
        club.failing |= {"ben", "eve"}
        with watch_differences() as found:
            await club.reactive.emit("all", "own_tasks")
            await eventually(lambda: ada.complete)
        assert found
        assert "tasks of" not in text(ada)


async def test_a_difference_that_cannot_be_confirmed_is_not_sent() -> None:
    club = Mistaken("ada", "ben")
    async with club.view("ada", "ben") as (ada, ben):

        async def fail(name: str) -> None:
            if club.runs == ["ada", "ben", "ada"]:
                raise RuntimeError("the database is gone")

        club.before_reading = fail
        await club.reactive.emit("all", "own_tasks")
        await eventually(lambda: ada.complete and ben.complete)
        assert "tasks of" not in text(ada) + text(ben)


async def test_a_member_whose_run_hangs_does_not_delay_audited_updates_for_long() -> None:
    club = Mistaken()
    async with club.view("ada", "ben") as (ada, _):

        async def hang(name: str) -> None:
            if name == "ben":
                await anyio.sleep_forever()

        club.before_reading = hang
        await club.reactive.emit("all", "own_tasks")
        await eventually(lambda: "tasks of all" in text(ada), timeout=20)


async def test_data_that_changes_all_the_time_is_no_difference() -> None:
    club = Club(SHARED, audit=1.0)

    async def change(_: str) -> None:
        known = club.tasks["red"]
        await eventually(lambda: club.tasks["red"] is not known)

    async with club.view("ada", "ben") as (ada, _), anyio.create_task_group() as tasks:
        club.before_reading = change

        async def keep_changing() -> None:
            for number in itertools.count():
                club.tasks["red"] = [f"red {number}"]
                await club.reactive.emit("all", "tasks")
                await anyio.lowlevel.checkpoint()

        with watch_differences() as found:
            tasks.start_soon(keep_changing)
            await eventually(lambda: len(ada.updates) > 2 or ada.complete)
            tasks.cancel_scope.cancel()
        assert not found
        assert not ada.complete


@pytest.mark.parametrize(
    "expression",
    [
        "{{ varies('x')|tojson }}",
        "{{ varies('x')|urlencode }}",
        "{{ varies('x' * 80)|truncate(9, True) }}",
        "{{ varies('x')|list }}",
        "{{ varies('x')|reverse }}",
        "{{ varies('x')|length }}",
        "{{ varies(1) + 1 }}",
        "{{ cached('key', varies('x')) }}",
    ],
)
async def test_nothing_of_an_audit_reaches_a_browser(expression: str) -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS + f"<b>{expression}</b>"), audit=1.0)
    cache: dict[str, Any] = {}
    club.env.globals["cached"] = cache.setdefault
    async with club.view("ada", "ben") as (ada, _):
        cache.clear()
        expected = club.env.from_string(expression).render()
        cache.clear()
        await club.add("red", "red 2")
        await shows(ada, "red 2", f"<b>{expected}</b>")


async def test_values_that_vary_are_not_compared_whatever_filters_follow() -> None:
    counter = itertools.count(100)
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS + "{{ varies(nonce())|tojson|urlencode }}"), audit=1.0)
    club.env.globals["nonce"] = lambda: next(counter)
    async with club.view("ada", "ben") as (ada, ben):
        with watch_differences() as found:
            await club.add("red", "red 2")
            await shows(ada, "red 2")
            await shows(ben, "red 2")
        assert not found


async def test_page_data_is_never_taken_for_what_varies() -> None:
    """Private-use characters, as a viewer may type them, neither hide a difference nor get lost."""
    club = Mistaken(
        "ada", "ben", page="<!doctype html>" + LIVE.format("mine", "\ue0001\ue002{{ own_tasks }}\ue0011\ue002")
    )
    async with club.view("ada", "ben") as (ada, _):
        with watch_differences() as found:
            await club.reactive.emit("all", "own_tasks")
            await eventually(lambda: ada.complete)
        assert found


# Keys


class _Word(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "'a word'"


class _Value:
    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and other.value == self.value

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "a value"


@pytest.mark.parametrize(
    ("before", "after"),
    [(Team("red"), ("red",)), (_Word("a"), _Word("b")), (_Value(1), _Value(2)), (("a", _Value(1)), ("a", _Value(2)))],
)
async def test_a_viewer_who_comes_back_with_a_key_that_looks_the_same_is_sent_all_blocks(
    before: Any, after: Any
) -> None:
    club = Club(SHARED)
    club.teams["ada"] = before
    club.tasks = {before: ["red 1"], after: ["red 1"]}
    url = await club.url_for("ada")
    async with club.stream("ada", url) as ada:
        known = last_id(ada)
    club.teams["ada"] = after
    async with club.stream("ada", url, known) as ada:
        await shows(ada, "red 1")


# Members who stop the others


async def test_somebody_with_many_tabs_whose_runs_fail_delays_the_others_once() -> None:
    club = Club(SHARED)
    async with club.view(*["dee"] * 7, "ada") as (*_, ada):
        club.failing.add("dee")
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        assert club.runs == ["dee", "ada"]


async def test_viewers_whose_personal_runs_hang_leave_places_to_the_runs_for_all() -> None:
    club = Club()
    names = [f"eve {number}" for number in range(PAGE_SHARE)]
    club.teams |= dict.fromkeys(names, "red")
    club.unread |= dict.fromkeys(names, 0)

    async def hang(name: str) -> None:
        if name in names:
            await anyio.sleep_forever()

    async with club.view("ada", *names) as (ada, *_):
        club.before_reading = hang
        await club.remind("eve 0", audience=set(names))
        await eventually(lambda: len(club.runs) == PAGE_SHARE)
        await club.add("red", "red 2")
        await shows(ada, "red 2")


# What a viewer is shown


@pytest.mark.parametrize("page", [SHARED, PAGE])
async def test_a_viewer_who_signs_out_while_the_stream_is_admitted_is_sent_nothing_more(page: str) -> None:
    club = SignedIn(page=page)
    browser, other = await club.browser("ada"), await club.browser("ben")
    async with open_tab(other, "/") as ben:
        seen = await browser.request("/")
        reached, released = anyio.Event(), anyio.Event()

        async def hold(name: str) -> None:
            if name == "ada":
                reached.set()
                await released.wait()

        club.before_answering = hold
        async with browser.stream(seen.url, wait=False) as ada:
            await reached.wait()
            await browser.request("/sign-out")
            released.set()
            await eventually(lambda: bool(ada.chunks))
            await club.add("red", "red 2")
            await eventually(lambda: "red 2" in ben.sent)
            await eventually(lambda: ada.complete)
            assert "red 2" not in text(ada)


async def test_a_key_function_that_hangs_holds_up_neither_the_end_of_its_stream_nor_the_others() -> None:
    hanging: set[str] = set()
    asked = anyio.Event()

    async def team_of(request: Request) -> str:
        if club.name_of(request) in hanging:
            asked.set()
            await anyio.sleep_forever()
        return "red"

    club = Club(share=team_of, recheck=0)
    async with club.view("ben", "ada") as (ben, ada):
        hanging.add("ada")
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        await asked.wait()
        club.reactive.bus.close_user("ada")
        await eventually(lambda: ada.complete)
        assert "red 2" not in text(ada)


async def test_an_own_change_that_a_slow_personal_block_crosses_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block was taken long ago, but it is still on its way when its viewer changes what it shows."""
    later = 0.0
    monkeypatch.setattr(viewer, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + later))
    monkeypatch.setattr(viewer, "REPEAT_DELAY", -60.0)
    noted, note_crossed = anyio.Event(), viewer.Viewer.note_crossed

    def note(*args: Any) -> None:
        note_crossed(*args)
        if args[2]:  # in the group that renders what the change touches
            noted.set()

    monkeypatch.setattr(viewer.Viewer, "note_crossed", note)
    club = Club()
    seen = await request(club.app, "/", headers={"cookie": "name=ada"})
    async with club.stream("ada", seen.url) as ada:
        await anyio.wait_all_tasks_blocked()
        ada.accepts = anyio.Event()
        await club.remind("ada")
        await eventually(lambda: len(club.runs) == 3)
        await anyio.wait_all_tasks_blocked()
        later = 30.0
        await club.remind("ada", origin=seen.origin)
        await noted.wait()
        ada.accepts.set()
        await shows(ada, "ada has 1", "ada has 2")
