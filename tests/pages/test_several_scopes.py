"""Pages with several scopes: one stream, one cursor, and one group for those who share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Fragment, Reactive, ReactiveError
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._pages.visits import Visit
from starlette_reactive.testing import TestClient
from tests.support import Connection, environment, eventually

from .share_app import LIVE, TASKS, Club, last_id, shows, text
from .support import SECRET, quiet, request, stream, view

BOTH = LIVE.format("title", "{{ title }}") + LIVE.format("bell", "{{ unread }}") + LIVE.format("both", "{{ both }}")
TOAST = "{% block toast %}<p>{{ text }}</p>{% endblock %}"
SHARED_SCOPES = ["all", "user:{request.cookies[name]}"]
ADA = {"cookie": "name=ada"}


class Board:
    """A board whose layout has a bell. The scopes of its page are that of the board and that of the viewer."""

    def __init__(self, scope: Any = ("board:{board_id}", "user:{request.cookies[name]}"), **options: Any) -> None:
        page = BOTH + "<div {{ live() }}></div><p {{ live_origin() }}></p>"
        self.reactive = Reactive(environment(page=page, toast=TOAST), secret=SECRET)
        self.values: dict[str, Any] = {"title": "first", "unread": 0, "both": 0}
        self.runs = 0
        self.during_run: Callable[[], Any] | None = None
        self.page = self.reactive.page("page.html", scope=scope, **options)(self.endpoint)
        self.app = Starlette(routes=[*self.reactive.routes, Route("/{board_id}", self.page)])

    async def endpoint(self, request: Request) -> dict[str, Any]:
        self.runs += 1
        found = dict(self.values)
        if self.during_run is not None:
            await self.during_run()
        return found

    async def change(self, scope: str, origin: str | None = None, **values: Any) -> None:
        self.values |= values
        await self.reactive.emit(scope, *values, origin=origin)

    def view(self) -> Any:
        return view(self.app, "/1", headers=ADA)

    async def url(self) -> str:
        return (await request(self.app, "/1", headers=ADA)).url

    def stream(self, url: str, last_id: str | None = None) -> Any:
        more = {} if last_id is None else {"last-event-id": last_id}
        return stream(self.app, url, headers={**ADA, **more})


def events(connection: Connection) -> list[tuple[str | None, str | None]]:
    return [(frame.event, frame.data) for frame in connection.updates]


# What is sent


async def test_changes_of_each_scope_update_the_page_over_one_stream() -> None:
    board = Board()
    async with board.view() as page:
        await board.change("board:1", title="second")
        await shows(page, "second")
        await board.change("user:ada", unread=1)
        await shows(page, ">1<")
        await board.change("user:ben", title="third")
        await board.change("board:2", title="fourth")
        await quiet(page)
        assert hub_of(board.reactive.bus).subscriber_count == 1


async def test_a_path_meets_all_blocks_whatever_its_scope() -> None:
    board = Board()
    async with board.view() as page:
        await board.change("user:ada", title="second")
        await shows(page, "second")
        await board.change("board:1", unread=2)
        await shows(page, ">2<")


async def test_one_run_shows_changes_of_two_scopes() -> None:
    board = Board()
    async with board.view() as page:
        runs = board.runs
        board.reactive.emit_sync("board:1", "title")
        board.reactive.emit_sync("user:ada", "unread")
        board.values |= {"title": "second", "unread": 3}
        await shows(page, "second", ">3<")
        assert board.runs == runs + 1


@pytest.mark.parametrize("scope", ["board:1", "user:ada"])
async def test_what_changes_between_the_page_and_its_stream_is_sent(scope: str) -> None:
    board = Board()
    url = await board.url()
    await board.change("another", title="x")
    await board.change(scope, both=1)
    async with board.stream(url) as page:
        await shows(page, ">1<")
        assert [event for event, _ in events(page)] == [None]


@pytest.mark.parametrize("scope", ["board:1", "user:ada"])
async def test_a_viewer_who_comes_back_gets_what_changed_in_each_scope_and_nothing_else(scope: str) -> None:
    board = Board()
    url = await board.url()
    async with board.stream(url) as page:
        await board.change("board:1", title="second")
        await shows(page, "second")
        await board.change("user:ada", unread=1)
        await shows(page, ">1<")
        seen = last_id(page)
    async with board.stream(url, seen) as page:
        await quiet(page)
    await board.change(scope, both=5)
    async with board.stream(url, seen) as page:
        await shows(page, ">5<")
        await quiet(page)
        assert "second" not in text(page)
        seen = last_id(page)
    async with board.stream(url, seen) as page:
        await quiet(page)


async def test_no_id_is_sent_beyond_a_change_of_the_other_scope_that_is_not_rendered_yet() -> None:
    board = Board()
    url = await board.url()
    async with board.stream(url) as page:
        started, may_end = anyio.Event(), anyio.Event()

        async def wait() -> None:
            started.set()
            await may_end.wait()

        board.during_run = wait
        await board.change("board:1", title="second")
        await started.wait()
        await board.change("user:ada", unread=7)
        may_end.set()
        await shows(page, "second")
        first = next(frame for frame in page.updates if "second" in (frame.data or ""))
    async with board.stream(url, first.id or "") as page:
        await shows(page, ">7<")


async def test_a_change_of_the_pages_own_is_its_own_in_each_scope() -> None:
    board = Board()
    seen = await request(board.app, "/1", headers=ADA)
    async with board.stream(seen.url) as page:
        await board.change("user:ada", seen.origin, unread=1)
        await quiet(page)
        await board.change("user:ada", unread=2)
        await shows(page, ">2<")


async def test_an_audience_applies_in_each_scope() -> None:
    board = Board(user=lambda request: request.cookies["name"])
    async with board.view() as page:
        await board.reactive.emit("user:ada", "unread", audience={"ben"})
        await board.reactive.emit("board:1", "title", audience={"ben"})
        await quiet(page)
        board.values["unread"] = 4
        await board.reactive.emit("user:ada", "unread", audience={"ada"})
        await shows(page, ">4<")


async def test_toasts_of_each_scope_are_shown() -> None:
    board = Board()
    async with board.view() as page:
        for scope in ("board:1", "user:ada", "user:ben"):
            toast = Fragment("toast.html", "toast", target="toasts", text=scope)
            await board.reactive.notify(scope, toast)
        await shows(page, "board:1", "user:ada")
        await quiet(page)
        assert "user:ben" not in text(page)


# Presence, and the end


async def test_a_viewer_is_present_in_each_scope_and_counts_once() -> None:
    calls: list[tuple[str, str]] = []

    def connected(scope: str, _: object) -> None:
        calls.append(("connected", scope))

    async def disconnected(scope: str, _: object) -> None:
        calls.append(("disconnected", scope))

    board = Board(on_connect=connected, on_disconnect=disconnected)
    bus = board.reactive.bus
    async with board.view():
        assert calls == [("connected", "board:1"), ("connected", "user:ada")]
        assert bus.presence("board:1") == bus.presence("user:ada") != frozenset()
        assert hub_of(bus).viewer_count == 1
    await eventually(lambda: len(calls) == 4)
    assert calls[2:] == [("disconnected", "board:1"), ("disconnected", "user:ada")]
    assert bus.presence("board:1") == bus.presence("user:ada") == frozenset()
    assert hub_of(bus).scope_count == 0


async def test_a_callback_that_fails_in_one_scope_is_called_for_the_others(caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def connected(scope: str, _: object) -> None:
        calls.append(scope)
        raise RuntimeError

    board = Board(on_connect=connected)
    async with board.view() as page:
        await board.change("user:ada", unread=1)
        await shows(page, ">1<")
    assert calls == ["board:1", "user:ada"]


@pytest.mark.parametrize("scope", ["board:1", "user:ada", None])
async def test_the_stream_ends_with_each_scope(scope: str | None) -> None:
    board = Board()
    async with board.view() as page:
        board.reactive.bus.close(scope)
        await eventually(lambda: page.complete)
        assert events(page)[-1] == ("reactive-close", "close")
    assert hub_of(board.reactive.bus).scope_count == 0


@pytest.mark.parametrize("scope", ["board:1", "user:ada", None])
async def test_a_scope_that_is_closed_before_the_viewer_is_admitted_ends_the_stream(scope: str | None) -> None:
    board = Board()
    url = await board.url()

    async def close() -> None:
        board.reactive.bus.close(scope)

    board.during_run = close
    async with board.stream(url) as page:
        await eventually(lambda: page.complete)
        assert events(page) == [("reactive-close", "close")]


@pytest.mark.parametrize("scope", ["board:1", "user:ada", None])
async def test_a_user_who_is_closed_in_one_scope_is_sent_nothing_more(scope: str | None) -> None:
    board = Board(user=lambda request: request.cookies["name"])
    async with board.view() as page:
        assert board.reactive.bus.close_user("ada", scope=scope) == 1
        await eventually(lambda: page.complete)
        assert events(page)[-1] == ("reactive-close", "close")


# Those who share


async def test_viewers_share_whatever_their_further_scopes_are() -> None:
    club = Club(scope=SHARED_SCOPES)
    async with club.view("ada", "ben") as (ada, ben):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        assert club.runs == ["ada"]
        club.unread["ben"] = 3
        await club.reactive.emit("user:ben", "unread")
        await shows(ben, "ben has 3")
        await quiet(ada)
        assert club.runs == ["ada", "ben"]


async def test_a_shared_block_is_sent_to_those_who_have_the_scope() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), scope=SHARED_SCOPES)
    async with club.view("ada", "ben") as (ada, ben):
        club.tasks["red"] = ["red 2"]
        await club.reactive.emit("user:ben", "tasks")
        await shows(ben, "red 2")
        await quiet(ada)
        assert text(ada) == ""


async def test_a_member_who_joins_is_sent_what_changed_in_its_scope_before() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), scope=SHARED_SCOPES)
    url = await club.url_for("ben")
    async with club.view("ada") as (ada,):
        club.tasks["red"] = ["red 2"]
        await club.reactive.emit("user:ben", "tasks")
        async with club.stream("ben", url) as ben:
            await shows(ben, "red 2")
            seen = last_id(ben)
            await quiet(ada)
        async with club.stream("ben", url, seen) as ben:
            await quiet(ben)


async def test_a_member_who_joins_is_not_sent_what_was_rendered_before_a_change_of_its_scope() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), scope=SHARED_SCOPES)
    url = await club.url_for("ben")
    async with club.view("ada") as (ada,):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        club.tasks["red"] = ["red 3"]
        await club.reactive.emit("user:ben", "tasks")
        await club.reactive.emit("all", "nothing")
        async with club.stream("ben", url) as ben:
            await shows(ben, "red 3")
            assert "red 2" not in text(ben)


async def test_a_tab_that_joins_from_earlier_is_sent_what_the_first_tab_of_its_user_had_seen() -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), scope=SHARED_SCOPES)
    earlier = await club.url_for("ben")
    async with club.view("ada"):
        club.tasks["red"] = ["red 2"]
        await club.reactive.emit("user:ben", "tasks")
        async with club.view("ben") as (late,):
            await quiet(late)
            async with club.stream("ben", earlier) as early:
                await shows(early, "red 2")


async def test_a_closed_scope_ends_only_those_who_have_it_and_can_be_viewed_again() -> None:
    club = Club(scope=SHARED_SCOPES)
    async with club.view("ada", "ben") as (ada, ben):
        club.reactive.bus.close("user:ben")
        await eventually(lambda: ben.complete)
        async with club.view("ben") as (again,):
            club.unread["ben"] = 4
            await club.reactive.emit("user:ben", "unread")
            await shows(again, "ben has 4")
        await club.add("red", "red 2")
        await shows(ada, "red 2")


async def test_the_bus_forgets_the_scope_of_the_last_viewer_who_had_it() -> None:
    club = Club(scope=SHARED_SCOPES)
    hub = hub_of(club.reactive.bus)
    async with club.view("ada", "ben") as (ada, _):
        async with club.view("cy", "ben"):
            assert {scope for scope in hub._roster._scopes if scope.startswith("user:")} == {
                "user:ada",
                "user:ben",
                "user:cy",
            }
        await eventually(lambda: "user:cy" not in hub._roster)
        assert "user:ben" in hub._roster
        await club.add("red", "red 2")
        await shows(ada, "red 2")
    await eventually(lambda: hub.scope_count == 0)


async def test_viewers_with_another_first_scope_do_not_share() -> None:
    club = Club(scope=SHARED_SCOPES[::-1])
    async with club.view("ada", "ben") as (ada, ben):
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        assert sorted(club.runs) == ["ada", "ben"]


async def test_an_audit_knows_what_changed_in_the_scope_of_one_viewer(caplog: pytest.LogCaptureFixture) -> None:
    club = Club("<!doctype html>" + LIVE.format("tasks", TASKS), audit=1.0, scope=SHARED_SCOPES)
    async with club.view("ada", "ben") as (ada, ben):

        async def change(_: str) -> None:
            club.tasks["red"] = [*club.tasks["red"], "more"]
            club.reactive.bus.emit_sync(_changed("user:ben", "tasks"))

        club.before_reading = change
        await club.add("red", "red 2")
        await shows(ada, "red 2")
        await shows(ben, "red 2")
        club.before_reading = None
    assert "different" not in caplog.text


def _changed(scope: str, path: str) -> Any:
    from starlette_reactive import ChangeEvent

    return ChangeEvent(scope, {path}, "somebody")


async def test_a_shared_page_may_have_several_scopes() -> None:
    board = Board(["board:{board_id}", "news"], shared=True)
    async with board.view() as one, board.view() as two:
        runs = board.runs
        await board.change("news", title="second")
        await shows(one, "second")
        await shows(two, "second")
        assert board.runs == runs + 1


# What is declared


async def test_equal_scopes_are_one() -> None:
    board = Board(["board:{board_id}", "board:{board_id}", "board:{request.path_params[board_id]}"])
    seen = await request(board.app, "/1", headers=ADA)
    assert visit_in(seen.url).scopes == "board:1"
    async with board.stream(seen.url) as page:
        await board.change("board:1", title="second")
        await shows(page, "second")
        assert len(board.reactive.presence("board:1")) == 1


def visit_in(url: str) -> Any:
    """Return the visit in a live URL, which anybody can read."""
    values = URLSafeTimedSerializer("any key").loads_unsafe(url.partition("page=")[2])[1]
    return Visit(*values)


async def test_a_url_with_one_scope_is_as_it_was_and_one_with_several_names_each() -> None:
    assert visit_in(await Board("board:{board_id}").url()).scopes == "board:1"
    assert visit_in(await Board().url()).scopes == ["board:1", "user:ada"]


@pytest.mark.parametrize(
    ("scope", "error", "message"),
    [
        ([], ValueError, "scope is an empty list: it must name something, such as 'board:{board_id}'"),
        (["a", ""], ValueError, "scope is empty: it must name something, such as 'board:{board_id}'"),
        (["a", 1], TypeError, "scope is a format such as 'board:{board_id}', not 1"),
        (7, TypeError, "scope is a format such as 'board:{board_id}' or a list of them, not 7"),
        ({"a": "b"}, TypeError, "scope is a format such as 'board:{board_id}' or a list of them, not {'a': 'b'}"),
    ],
)
def test_what_is_no_list_of_formats_is_refused_when_the_page_is_declared(
    scope: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        Board(scope)
    assert str(raised.value) == message


def test_a_stream_has_one_scope() -> None:
    reactive = Reactive(environment(page=BOTH), secret=SECRET)
    with pytest.raises(TypeError, match="scope is a format such as 'doc:{doc_id}', not"):
        reactive.stream("page.html", scope=["a", "b"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (["board:{board_id}", "user:{me}"], "the scope 'user:{me}' of the page "),
        (["{request.query_params[user]}", "a"], "the scope '{request.query_params[user]}' of the page "),
    ],
)
async def test_a_format_that_does_not_fit_is_named(scope: list[str], message: str) -> None:
    with pytest.raises(ReactiveError) as raised:
        await request(Board(scope).app, "/1?user=", headers=ADA)
    assert str(raised.value).startswith(message)


async def test_a_redirect_needs_no_scope() -> None:
    """Who is not signed in has no scope yet, and is sent to sign in."""
    from starlette.responses import RedirectResponse

    reactive = Reactive(environment(page=BOTH), secret=SECRET)

    @reactive.page("page.html", scope=["all", "user:{request.cookies[name]}"])
    async def endpoint(request: Request) -> Any:
        return RedirectResponse("/sign-in", status_code=303)

    app = Starlette(routes=[Route("/", endpoint), *reactive.routes])
    assert (await request(app, "/")).status == 303


async def test_a_live_page_of_the_test_client_follows_each_scope() -> None:
    board = Board()
    async with TestClient(board.app) as client:
        client.cookies["name"] = "ada"
        page = await client.live("/1")
        await board.change("user:ada", unread=1)
        await page.expect("#bell", "1")
        await board.change("board:1", title="second")
        await page.expect("#title", "second")
        page.go_offline()
        await board.change("user:ada", unread=2)
        await page.go_online()
        await page.expect("#bell", "2")


def test_the_check_and_the_inspector_name_all_scopes() -> None:
    board = Board()
    found = [issue.message for issue in board.reactive.check() if issue.category == "could_share"]
    assert found
    assert "scopes 'board:{board_id}' and 'user:{request.cookies[name]}' could be shared" in found[0]
    with_user = Board(user=lambda request: request.cookies["name"])
    with_user.reactive.set_contract_check_data("reactive_audience_scopes", ["user:{id}"])
    assert [issue for issue in with_user.reactive.check() if issue.category == "reactive_audience"] == []
