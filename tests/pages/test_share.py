"""Pages with ``share=``: one run and one render for viewers with an equal key, and personal blocks beside them."""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from starlette_reactive import Reactive
from tests.support import environment, eventually

from .share_app import LIVE, PAGE, TASKS, Club, Hold, last_id, shows, text
from .support import SECRET, quiet, request

NESTED = LIVE.format("outer", "{{ title }}" + LIVE.format("hello", "{{ me }}" + LIVE.format("tasks", TASKS)))


async def test_viewers_with_an_equal_key_share_one_run_and_others_have_their_own() -> None:
    club = Club()
    async with club.view("ada", "ben", "dee", "cy") as (*red, cy):
        await club.add("red", "red 2")
        for each in red:
            await shows(each, "<li>red 1</li><li>red 2</li>")
        await shows(cy, "<li>blue 1</li>")
        assert sorted(club.runs) == ["ada", "cy"]
        assert "red 1" not in text(cy)
        assert "blue 1" not in "".join(map(text, red))


async def test_a_personal_block_is_rendered_for_each_viewer_whom_a_change_concerns() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        await club.remind("ada", audience={"ada"})
        await shows(ada, "ada has 1")
        assert club.runs == ["ada"]
        await club.remind("ben")
        await shows(ben, "ben has 1")
        await eventually(lambda: len(club.runs) == 3)
        assert sorted(club.runs) == ["ada", "ada", "ben"]
        assert "ben" not in text(ada)
        assert "ada" not in text(ben)


async def test_a_page_without_personal_blocks_has_no_group_for_each_viewer() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS))
    async with club.view("ada", "ben") as (ada, ben):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada"]
        await club.reactive.emit("all", "unread")
        await quiet(ada)
        assert club.runs == ["ada"]


async def test_each_viewer_is_admitted_by_a_run_of_its_own() -> None:
    club = Club()
    url = await club.url_for("ben")
    async with club.view("ada"):
        club.refused.add("ben")
        async with club.stream("ben", url) as ben:
            await eventually(lambda: ben.complete)
        assert [frame.event for frame in ben.updates] == ["reactive-close"]


# Nested blocks


async def test_a_shared_block_in_a_personal_one_is_shared() -> None:
    club = Club(NESTED)
    async with club.view("ada", "ben") as (ada, ben):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada"]
        assert "ada" not in text(ben)


@pytest.mark.parametrize("path", ["me", "title"])
async def test_a_personal_block_and_one_around_it_are_personal(path: str) -> None:
    club = Club(NESTED)
    async with club.view("ada", "ben") as (ada, ben):
        await club.reactive.emit("all", path)
        await shows(ada, "ada", "red 1")
        await shows(ben, "ben", "red 1")
        assert sorted(club.runs) == ["ada", "ben"]
        assert "ada" not in text(ben)


async def test_an_excluded_block_that_reads_viewer_data_makes_the_block_around_it_personal() -> None:
    page = LIVE.format("all", TASKS + LIVE.format("editor", "{{ me }}"))
    club = Club(page, exclude_blocks=["editor"])
    async with club.view("ada", "ben") as (ada, ben):
        await club.add("red", "red 2")
        await shows(ada, "red 2", "ada")
        await shows(ben, "red 2", "ben")
        assert sorted(club.runs) == ["ada", "ben"]


async def test_a_personal_block_that_was_read_before_a_shared_one_in_it_does_not_leave_that_one_old() -> None:
    club = Club(NESTED)
    async with club.view("ada", "ben") as (_, ben):
        hold = Hold(club, "ben")
        await club.reactive.emit("all", "me", audience={"ben"})
        await hold.reached.wait()  # it has read the tasks as they are
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        hold.release()
        await eventually(lambda: len(ben.updates) == 3)
        assert 'hx-target="#hello"' in (ben.updates[1].data or "")
        assert "red 2" not in (ben.updates[1].data or "")
        assert "red 2" in (ben.updates[2].data or "")


async def test_a_personal_block_that_is_rendered_as_before_is_sent_if_a_shared_one_in_it_has_been_since() -> None:
    club = Club(NESTED)
    async with club.view("ada") as (ada,):
        await club.reactive.emit("all", "me")
        await shows(ada, "red 1")
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        club.tasks["red"] = ["red 1"]
        await club.reactive.emit("all", "me")
        await eventually(lambda: len(ada.updates) == 3)
        assert ada.updates[2].data == ada.updates[0].data


async def test_a_change_of_the_viewers_own_is_not_lost_below_an_older_personal_block() -> None:
    club = Club(NESTED)
    seen = await request(club.app, "/", headers={"cookie": "name=ben"})
    async with club.stream("ben", seen.url) as ben:
        hold = Hold(club)
        await club.reactive.emit("all", "me")
        await hold.reached.wait()  # it has read the tasks as they are
        club.tasks["red"] = ["red 2"]
        await club.reactive.emit("all", "tasks", origin=seen.origin)
        hold.release()
        await eventually(lambda: 'hx-target="#hello"' in text(ben))
        await eventually(lambda: 'hx-target="#tasks"' in (ben.updates[-1].data or ""))
        assert "red 2" in (ben.updates[-1].data or "")


# Ids


async def test_no_id_is_sent_beyond_a_personal_block_that_is_still_being_rendered() -> None:
    club = Club()
    url = await club.url_for("ada")
    async with club.stream("ada", url) as ada:
        before = last_id(ada)
        held = anyio.Event()

        async def hold(name: str) -> None:
            if not club.reactive.bus.presence("none"):
                await held.wait()

        club.before_reading = hold
        await club.remind("ada")
        await eventually(lambda: len(club.runs) == 3)
        club.before_reading = None
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        assert last_id(ada) == before
        club.runs.clear()
        async with club.stream("ada", url, before) as again:
            await shows(again, "red 2", "ada has 1")
        held.set()
        await shows(ada, "ada has 1")
        assert last_id(ada) != before


async def test_a_viewer_who_comes_back_gets_what_it_missed_of_both_kinds() -> None:
    club = Club()
    url = await club.url_for("ada")
    async with club.view("ben"):
        async with club.stream("ada", url) as ada:
            await club.add("red", "red 2")
            await shows(ada, "red 2")
            known = last_id(ada)
        await club.remind("ada")
        await club.add("red", "red 3")
        async with club.stream("ada", url, known) as ada:
            await shows(ada, "red 3", "ada has 1")
        async with club.stream("ada", url, last_id(ada)) as ada:
            await quiet(ada)


# Keys


async def test_a_viewer_with_another_key_is_sent_nothing_more_of_the_first_and_all_blocks_of_the_second() -> None:
    club = Club()
    url = await club.url_for("ada")
    async with club.stream("ada", url) as ada, club.view("ben", "cy") as (ben, cy):
        club.teams["ada"] = "blue"
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        await eventually(lambda: ada.complete)
        assert [frame.event for frame in ada.updates] == ["reactive-restart"]
        async with club.stream("ada", url, last_id(ada)) as again:
            await shows(again, "<li>blue 1</li>", "ada has 0")
            await club.add("blue", "blue 2")
            await shows(again, "blue 2")
            await shows(cy, "blue 2")
        assert "red 1" not in text(again)
    assert "blue 1" not in text(ben)


@pytest.mark.parametrize("resumes", [True, False])
async def test_a_key_that_changed_while_the_viewer_was_away_sends_all_blocks(*, resumes: bool) -> None:
    club = Club()
    url = await club.url_for("ada")
    known = None
    if resumes:
        async with club.stream("ada", url) as ada:
            known = last_id(ada)
    club.teams["ada"] = "blue"
    async with club.stream("ada", url, known) as ada:
        await shows(ada, "<li>blue 1</li>", "ada has 0")
    async with club.stream("ada", url, last_id(ada)) as ada:
        await quiet(ada)


async def test_a_page_that_was_sent_another_key_and_has_lost_its_id_is_sent_all_blocks() -> None:
    club = Club()
    url = await club.url_for("ada")
    club.teams["ada"] = "blue"
    async with club.stream("ada", url) as ada:
        await shows(ada, "blue 1")
    club.teams["ada"] = "red"
    async with club.stream("ada", url) as again:  # as htmx 2 does without the script after a 502
        await shows(again, "red 1")


async def test_a_run_during_which_the_member_gets_another_key_serves_nobody() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):

        async def move(name: str) -> None:
            if name == "ada":
                club.teams["ada"] = "blue"

        club.before_reading = move
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada", "ben"]
        assert "blue 1" not in text(ben)
        await eventually(lambda: ada.complete)
        assert "red 2" not in text(ada)
        assert "blue 1" not in text(ada)


async def test_keys_that_are_equal_but_of_another_type_are_different_keys() -> None:
    club = Club()
    club.teams = {"ada": 1, "ben": True, "cy": (1,), "dee": (True,)}
    club.tasks = {1: ["red 1"], (1,): ["blue 1"]}  # type: ignore[dict-item]
    async with club.view("ada", "ben", "cy", "dee") as connections:
        await club.reactive.emit("all", "tasks")
        for connection in connections:
            await connection.next_update()
        assert sorted(club.runs) == ["ada", "ben", "cy", "dee"]


class _Plain:
    pass


class _Role(enum.Enum):
    ADMIN = 1


@pytest.mark.parametrize("key", [["a"], {"a": 1}, _Plain(), ("a", _Plain()), math.nan, ("a", ["b"])])
async def test_a_key_that_is_not_hashable_or_only_equal_to_itself_is_an_error(key: Any) -> None:
    club = Club(share=lambda _: key)
    with pytest.raises(TypeError, match=r"share= of the page .*endpoint.* returned .*: return a"):
        await club.url_for("ada")


@pytest.mark.parametrize("key", ["a", 1, _Role.ADMIN, ("a", None), frozenset({"a", ("b", 1)}), (), _Plain])
async def test_any_other_value_is_a_key(key: Any) -> None:
    club = Club(share=lambda _: key)
    async with club.view("ada", "ben") as (ada, ben):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada"]


# Access


def _answers(value: object) -> Callable[[], Any]:
    def answer() -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return answer


@pytest.mark.parametrize("answer", [_answers(None), _answers(HTTPException(403)), _answers(HTTPException(404))])
@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_a_viewer_without_a_key_is_sent_nothing(answer: Callable[[], Any], *, is_coroutine: bool) -> None:
    club = Club()
    revoked: set[str] = set()

    def team_of(request: Request) -> Any:
        return answer() if club.name_of(request) in revoked else "red"

    async def awaited_team_of(request: Request) -> Any:
        return team_of(request)

    share = awaited_team_of if is_coroutine else team_of
    club = Club(share=share, recheck=0)
    url = await club.url_for("ada")
    async with club.stream("ada", url) as ada, club.view("ben") as (ben,):
        revoked.add("ada")
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        second = await ada.closed_for_good()
        assert "red 2" not in text(ada) + text(second)
        assert "red 1" not in text(ada) + text(second)


async def test_a_revoked_viewer_is_sent_no_personal_block_either() -> None:
    club = Club()
    async with club.view("ada") as (ada,):
        del club.teams["ada"]
        await club.remind("ada")
        await eventually(lambda: ada.complete)
        assert "ada has" not in text(ada)


async def test_a_key_function_that_fails_sends_nothing_and_the_browser_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failing: set[str] = set()

    def team_of(request: Request) -> str:
        if request.cookies["name"] in failing:
            raise RuntimeError("the directory is down")
        return "red"

    club = Club(share=team_of)
    url = await club.url_for("ada")
    async with club.stream("ada", url) as ada, club.view("ben") as (ben,):
        failing.add("ada")
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        await eventually(lambda: ada.complete)
        assert [frame.event for frame in ada.updates] == ["reactive-restart"]
        failing.clear()
        async with club.stream("ada", url, last_id(ada)) as again:
            await shows(again, "red 2")
    assert "looking for the key of a viewer" in caplog.text


async def test_a_coroutine_function_is_called_at_most_every_ten_seconds() -> None:
    calls: list[str] = []

    async def team_of(request: Request) -> str:
        calls.append(request.cookies["name"])
        return "red"

    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), share=team_of)
    async with club.view("ada", "ben") as (_ada, ben):
        calls.clear()
        for number in range(5):
            await club.add("red", f"red {number + 2}")
            await shows(ben, f"red {number + 2}")
        assert set(calls) == {"ada"}  # before and after the runs that serve both


async def test_a_run_for_personal_blocks_notices_another_key_at_once() -> None:
    async def team_of(request: Request) -> Any:
        return club.team_of(request)

    club = Club(share=team_of)
    async with club.view("ada") as (ada,):
        club.teams["ada"] = "blue"
        await club.remind("ada")
        await eventually(lambda: ada.complete)
        assert [frame.event for frame in ada.updates] == ["reactive-restart"]


async def test_the_function_is_called_with_the_pages_own_request() -> None:
    seen: list[tuple[str, str]] = []

    def team_of(request: Request) -> str:
        seen.append((request.url.path, request.cookies["name"]))
        return "red"

    club = Club(share=team_of)
    async with club.view("ada") as (ada,):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
    assert set(seen) == {("/", "ada")}


# Members


async def test_a_member_who_is_refused_is_restarted_and_another_one_serves() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        club.refused.add("ada")
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada", "ben"]
        second = await ada.closed_for_good()
        assert "red 2" not in text(ada) + text(second)


async def test_a_member_whose_browser_is_busy_is_passed_over() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        held = anyio.Event()

        async def hold(name: str) -> None:
            if name == "ada":
                await held.wait()

        club.before_reading = hold
        await club.remind("ada", audience={"ada"})
        await eventually(lambda: club.runs == ["ada"])
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada", "ben"]
        held.set()
        await shows(ada, "ada has 1")


async def test_if_all_members_are_refused_all_streams_end() -> None:
    club = Club()
    async with club.view("ada", "ben", "dee") as connections:
        club.refused.update({"ada", "ben", "dee"})
        await club.add("red", "red 2")
        for connection in connections:
            await eventually(functools.partial(getattr, connection, "complete"))
            assert "red 2" not in text(connection)


async def test_an_endpoint_that_fails_for_one_member_leaves_nobody_behind(caplog: pytest.LogCaptureFixture) -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        club.failing.add("ada")
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        await club.add("red", "red 3")
        await shows(ada, "red 3")
        assert club.runs == ["ada", "ben", "ben"]


async def test_an_endpoint_that_fails_for_all_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    club = Club()
    async with club.view("ada", "ben", "dee") as (ada, *_):
        club.failing.update(club.teams)
        await club.add("red", "red 2")
        await eventually(lambda: len(club.runs) == 3)
        club.failing.clear()
        await club.reactive.emit("all", "tasks")
        await shows(ada, "red 2")
    assert "the endpoint fails for ada" in caplog.text


async def test_the_viewers_go_on_when_the_member_who_serves_leaves() -> None:
    club = Club()
    async with club.view("ben") as (ben,):
        url = await club.url_for("ada")
        async with club.stream("ada", url) as ada:
            await club.add("red", "red 2")
            await shows(ada, "red 2")
        await club.add("red", "red 3")
        await shows(ben, "red 3")


# Declarations


def _declare(**options: Any) -> None:
    reactive = Reactive(environment(page=PAGE), secret=SECRET)
    reactive.page("page.html", scope="all", **options)(dict)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shared": True, "share": lambda _: 1}, "has shared=True and share="),
        ({"recheck": 1.0}, "which need share="),
        ({"share_audit": 1.0}, "which need share="),
        ({"share": lambda _: 1, "recheck": -1.0}, "recheck is -1.0"),
        ({"share": lambda _: 1, "share_audit": 2.0}, "share_audit is 2.0"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _declare(**options)


def test_share_must_be_a_function() -> None:
    with pytest.raises(TypeError, match="share is a function of the request that returns a key, not str"):
        _declare(share="team")
