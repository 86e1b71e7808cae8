"""Toasts: what is appended once to the pages that are connected now, and to none that connects later."""

from __future__ import annotations

import functools
import secrets
import threading
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi import Request as FastRequest
from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import (
    BlockNotFoundError,
    BlockRenderError,
    Fragment,
    Reactive,
    ReactiveError,
    TemplateLoadError,
    reactive_stream,
)
from starlette_reactive._clients.turbo import Turbo
from starlette_reactive._core.toasts import LONGEST_TOAST
from starlette_reactive._streams.toasts import MOST_WAITING
from starlette_reactive.testing import TestClient
from tests.support import Connection, connect, environment, eventually

from .share_app import Club, Hold, last_id, shows
from .support import PAGE, SECRET, quiet, request, stream, view

TOAST = "{% block toast %}<p>{{ text }}</p>{% endblock %}"
HTMX_4 = {"HX-Request-Type": "partial"}


def toast(text: str, target: str | None = "toasts") -> Fragment:
    return Fragment("toast.html", "toast", target=target, text=text)


class Site:
    """An application with a page for each wire, private and shared. A viewer's name is in a header."""

    def __init__(self, env: Environment | None = None) -> None:
        self.reactive = Reactive(env or environment(page=PAGE, toast=TOAST), secret=SECRET)
        self.runs: list[str] = []
        self.app = FastAPI()
        self.app.include_router(self.reactive.router)
        for path, options in {
            "/": {"user": self.name_of},
            "/shared": {"shared": True},
            "/datastar": {"wire": "datastar"},
            "/turbo": {"wire": "turbo"},
        }.items():
            self.add_page(path, options)

    def add_page(self, path: str, options: Any) -> None:
        async def page(request: FastRequest) -> dict[str, Any]:
            self.runs.append(path)
            return {"title": path, "items": []}

        self.app.get(path)(self.reactive.page("page.html", scope="all", **options)(page))

    @staticmethod
    def name_of(request: Request) -> str | None:
        return request.headers.get("name")


@pytest.fixture
def site() -> Site:
    return Site()


def texts(connection: Connection) -> list[str]:
    """Return the data of all updates that are toasts."""
    return [data for frame in connection.updates if "<p>" in (data := frame.data or "")]


def htmx(*said: str) -> list[str]:
    return [
        f'<hx-partial hx-target="#toasts" hx-swap="beforeend transition:false"><p>{each}</p></hx-partial>'
        for each in said
    ]


def is_shown(connection: Connection, text: str) -> bool:
    return htmx(text)[0] in texts(connection)


async def is_told(connection: Connection, *said: str) -> None:
    """Wait until a viewer has been sent exactly these toasts."""
    await eventually(lambda: len(texts(connection)) >= len(said))
    assert texts(connection) == htmx(*said)


# What is sent


@pytest.mark.parametrize(
    ("path", "headers", "event", "data"),
    [
        ("/", {}, None, htmx("Hello")[0]),
        ("/", HTMX_4, None, htmx("Hello")[0]),
        ("/shared", {}, None, htmx("Hello")[0]),
        ("/datastar", {}, "datastar-patch-elements", "selector #toasts\nmode append\nelements <p>Hello</p>"),
        (
            "/turbo",
            {},
            None,
            '<turbo-stream action="append" target="toasts"><template><p>Hello</p></template></turbo-stream>',
        ),
    ],
)
async def test_each_client_is_sent_what_appends_the_toast(
    site: Site, path: str, headers: dict[str, str], event: str | None, data: str
) -> None:
    async with view(site.app, path, headers=headers) as connection:
        await site.reactive.notify("all", toast("Hello"))
        frame = await connection.next_update()
        assert (frame.event, frame.data, frame.id) == (event, data, None)


async def test_the_script_is_told_to_append_the_toast(site: Site) -> None:
    url = (await request(site.app, "/")).url
    async with stream(site.app, f"{url}&script=1") as connection:
        await site.reactive.notify("all", toast("Hello"))
        frame = await connection.next_update()
        assert (frame.event, frame.data, frame.id) == (None, '{"id":"toasts","swap":"append"}\n<p>Hello</p>', None)


async def test_a_stream_without_a_sink_gets_an_event_that_is_named_after_the_element(site: Site) -> None:
    async def board(request: Request) -> Any:
        return reactive_stream(
            site.reactive.bus, scope="all", index=site.reactive.index, context_builder=lambda: {"title": ""}
        )

    async with connect(Starlette(routes=[Route("/", board)])) as connection:
        await site.reactive.notify("all", toast("Hello"))
        frame = await connection.next_update()
        assert (frame.event, frame.data) == ("toasts", "<p>Hello</p>")


async def test_text_is_escaped_as_in_a_page(site: Site) -> None:
    async with view(site.app, "/") as connection:
        await site.reactive.notify("all", toast("<script>"))
        await is_told(connection, "&lt;script&gt;")


async def test_lines_and_unusual_ids_arrive_as_they_are(site: Site) -> None:
    async with view(site.app, "/") as connection:
        await site.reactive.notify("all", toast("one\r\ntwo\rthree\n", target='a"b'))
        data = (await connection.next_update()).data or ""
        assert data.startswith(
            '<hx-partial hx-target="[id=&quot;a\\&quot;b&quot;]" hx-swap="beforeend transition:false">'
        )
        assert "<p>one\ntwo\nthree\n</p>" in data


async def test_a_toast_is_rendered_once_and_runs_no_page(site: Site) -> None:
    rendered: list[int] = []

    class Text:
        def __html__(self) -> str:
            rendered.append(1)
            return "Hello"

    async with view(site.app, "/") as ann, view(site.app, "/") as bob, view(site.app, "/shared") as other:
        site.runs.clear()
        await site.reactive.notify("all", Fragment("toast.html", "toast", target="toasts", text=Text()))
        for each in (ann, bob, other):
            await is_told(each, "Hello")
        assert (rendered, site.runs) == ([1], [])


async def test_a_toast_is_encoded_once_for_each_kind_of_client(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = Turbo.encode_append

    def note(client: Turbo, target_id: str, content: str) -> bytes:
        encoded.append(content)
        return encode(client, target_id, content)

    monkeypatch.setattr(Turbo, "encode_append", note)
    async with view(site.app, "/turbo") as ann, view(site.app, "/turbo") as bob:
        text = secrets.token_hex(8)
        await site.reactive.notify("all", toast(text))
        await ann.next_update()
        await bob.next_update()
        assert encoded == [f"<p>{text}</p>"]


async def test_toasts_arrive_in_the_order_in_which_they_were_sent(site: Site) -> None:
    async with view(site.app, "/") as connection:
        for number in range(10):
            await site.reactive.notify("all", toast(str(number)))
        await is_told(connection, *map(str, range(10)))


async def test_any_thread_sends_toasts_without_waiting(site: Site) -> None:
    async with view(site.app, "/") as connection:
        thread = threading.Thread(target=site.reactive.notify_sync, args=("all", toast("from a thread")))
        thread.start()
        await is_told(connection, "from a thread")
        thread.join()
        site.reactive.notify_sync("all", toast("from the loop"))
        await is_told(connection, "from a thread", "from the loop")


async def test_updates_go_on_with_their_ids(site: Site) -> None:
    async with view(site.app, "/") as connection:
        first = last_id(connection)
        await site.reactive.notify("all", toast("Hello"))
        await is_told(connection, "Hello")
        assert last_id(connection) == first
        await site.reactive.emit("all", "title")
        await eventually(lambda: last_id(connection) != first)
        assert 'hx-target="#title"' in (connection.updates[-1].data or "")


async def test_an_asynchronous_environment_renders_toasts() -> None:
    loader = environment(page=PAGE, toast=TOAST.replace("text", "text()")).loader
    env = Environment(loader=loader, autoescape=True, enable_async=True)
    site = Site(env)

    async def text() -> str:
        return "later"

    async with view(site.app, "/") as connection:
        await site.reactive.notify("all", Fragment("toast.html", "toast", target="toasts", text=text))
        await is_told(connection, "later")
        with pytest.raises(ReactiveError, match=r"notify_sync\(\) is not: write await reactive.notify"):
            site.reactive.notify_sync("all", toast("now"))


# For whom it is


async def test_only_viewers_of_the_scope_are_told(site: Site) -> None:
    async with view(site.app, "/") as connection:
        await site.reactive.notify("other", toast("elsewhere"))
        await site.reactive.notify("all", toast("here"))
        await is_told(connection, "here")


async def test_only_the_audience_is_told(site: Site) -> None:
    async with AsyncExitStack() as stack:
        ann, bob, nobody = [
            await stack.enter_async_context(view(site.app, "/", headers=headers))
            for headers in ({"name": "7"}, {"name": "bob"}, {})
        ]
        await site.reactive.notify("all", toast("to Ann"), audience=[7])
        await site.reactive.notify("all", toast("to nobody"), audience=[])
        await site.reactive.notify("all", toast("to all"))
        await is_told(ann, "to Ann", "to all")
        await is_told(bob, "to all")
        await is_told(nobody, "to all")


async def test_who_connects_later_or_comes_back_is_not_told(site: Site) -> None:
    url = (await request(site.app, "/")).url
    await site.reactive.notify("all", toast("before"))
    async with stream(site.app, url) as connection:
        await site.reactive.notify("all", toast("now"))
        await is_told(connection, "now")
        since = last_id(connection)
    await site.reactive.notify("all", toast("meanwhile"))
    async with stream(site.app, url, headers={"last-event-id": since}) as connection:
        await site.reactive.notify("all", toast("after"))
        await is_told(connection, "after")


async def test_a_viewer_who_is_not_admitted_yet_is_not_told(site: Site) -> None:
    club = Club()
    url = await club.url_for("ada")
    hold = Hold(club)
    async with stream(club.app, url, headers={"cookie": "name=ada"}, wait=False) as connection:
        await hold.reached.wait()
        await club.reactive.notify("all", fragment_of(club, "before"))
        hold.release()
        await eventually(lambda: connection.chunks)
        await club.reactive.notify("all", fragment_of(club, "after"))
        await is_told(connection, "after")


async def test_somebody_whose_streams_have_ended_is_told_nothing_more(site: Site) -> None:
    async with view(site.app, "/", headers={"name": "ann"}) as ann, view(site.app, "/") as other:
        site.reactive.bus.close_user("ann")
        await site.reactive.notify("all", toast("secret"))
        await is_told(other, "secret")
        await eventually(lambda: ann.complete)
        assert texts(ann) == []


# Pages that are shared by key


def fragment_of(club: Club, text: str) -> Fragment:
    club.env.loader.mapping["toast.html"] = TOAST  # type: ignore[union-attr]
    return toast(text)


async def test_a_member_of_two_groups_is_told_once(site: Site) -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        await club.reactive.notify("all", fragment_of(club, "first"))
        await is_told(ada, "first")
        await club.add("red", "red 2")
        await club.remind("ada")
        await shows(ada, "red 2", "ada has 1")
        await club.reactive.notify("all", toast("to Ada"), audience=["ada"])
        await club.reactive.notify("all", toast("last"))
        await is_told(ada, "first", "to Ada", "last")
        await is_told(ben, "first", "last")


async def test_the_key_is_asked_for_before_a_toast_is_sent() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        del club.teams["ben"]
        await club.reactive.notify("all", fragment_of(club, "for members"))
        await is_told(ada, "for members")
        await eventually(lambda: ben.complete)
        assert texts(ben) == []


async def test_a_toast_that_waits_for_the_key_is_sent_once() -> None:
    asked, answer = anyio.Event(), anyio.Event()

    async def team_of(request: Request) -> str:
        if asking:
            asked.set()
            await answer.wait()
        return "red"

    asking: list[bool] = []
    club = Club(share=team_of, recheck=0)
    async with club.view("ada") as (ada,):
        asking.append(True)
        await club.reactive.notify("all", fragment_of(club, "first"))
        await asked.wait()
        await club.reactive.notify("all", toast("second"))
        assert texts(ada) == []
        answer.set()
        await is_told(ada, "first", "second")


# Slow viewers


async def test_a_slow_viewer_gets_the_newest_toasts_only(site: Site) -> None:
    url = (await request(site.app, "/")).url
    async with stream(site.app, url) as slow, view(site.app, "/") as quick:
        slow.accepts = anyio.Event()
        await site.reactive.notify("all", toast("on its way"))
        await is_told(quick, "on its way")
        sent = [str(number) for number in range(MOST_WAITING + 5)]
        for text in sent:
            await site.reactive.notify("all", toast(text))
            await eventually(functools.partial(is_shown, quick, text))
        assert site.reactive.bus.dropped_toast_count == 5
        slow.accepts.set()
        await is_told(slow, "on its way", *sent[5:])
        assert texts(quick) == htmx("on its way", *sent)


# What cannot be sent


@pytest.mark.parametrize(
    ("fragment", "error", "message"),
    [
        ("text", TypeError, "notify takes a Fragment, not str"),
        (toast("x", target=None), ValueError, r"Fragment\('toast.html', 'toast'\) has no target: pass target="),
        (toast("x", target=""), ValueError, "the target of a toast is ''"),
        (toast("x", target="two words"), ValueError, "without white space"),
        (toast("x", target="line\nbreak"), ValueError, "without white space"),
        (toast("x", target="x" * 201), ValueError, "at most 200 characters"),
        (toast("é" * 2050), ValueError, f"'toasts' has 4107 bytes of HTML, which is more than {LONGEST_TOAST}"),
        (toast("\ud800"), BlockRenderError, "'toast' of 'toast.html' could not be rendered as a toast: Unicode"),
        (Fragment("toast.html", "none", target="t"), BlockNotFoundError, "none"),
        (Fragment("none.html", "toast", target="t"), TemplateLoadError, "none.html"),
    ],
)
@pytest.mark.parametrize("is_sync", [False, True])
async def test_what_cannot_be_sent_is_refused(
    site: Site, fragment: Any, error: type[Exception], message: str, is_sync: bool
) -> None:
    async with view(site.app, "/") as connection:
        with pytest.raises(error, match=message):
            await send(site.reactive, is_sync, fragment)
        await quiet(connection)


@pytest.mark.parametrize("is_sync", [False, True])
@pytest.mark.parametrize(
    ("audience", "error", "message"),
    [
        ("ann", TypeError, "audience is a bare string"),
        ([""], ValueError, "is empty"),
        ([None], TypeError, "str, int or UUID"),
        (["\x1fsession"], ValueError, "reserved"),
    ],
)
async def test_an_audience_is_ids_of_users(
    site: Site, audience: Iterable[Any], error: type[Exception], message: str, is_sync: bool
) -> None:
    with pytest.raises(error, match=message):
        await send(site.reactive, is_sync, toast("x"), audience=audience)


async def test_an_empty_scope_is_refused_and_one_that_nobody_views_is_not(site: Site) -> None:
    with pytest.raises(ValueError, match="scope is empty"):
        await site.reactive.notify("", toast("x"))
    await site.reactive.notify("nobody", toast("x"))
    site.reactive.notify_sync("nobody", toast("x"))


@pytest.mark.parametrize("is_sync", [False, True])
@pytest.mark.parametrize("expression", ["url_for('page')", "request.url", "user.name"])
async def test_what_a_toast_reads_of_a_request_is_reported_with_its_place(expression: str, is_sync: bool) -> None:
    env = environment(page=PAGE, toast="{% block toast %}{{ " + expression + " }}{% endblock %}")
    env.undefined = StrictUndefined
    site = Site(env)
    with pytest.raises(BlockRenderError, match="'toast' of 'toast.html'.*without a request, url_for") as caught:
        await send(site.reactive, is_sync, toast("x"))
    assert (caught.value.template, caught.value.block) == ("toast.html", "toast")


async def send(reactive: Reactive, is_sync: bool, *arguments: Any, **options: Any) -> None:
    if is_sync:
        reactive.notify_sync("all", *arguments, **options)
    else:
        await reactive.notify("all", *arguments, **options)


# In tests


@pytest.mark.parametrize("htmx_version", [2, 4])
async def test_a_live_page_appends_toasts(htmx_version: int) -> None:
    page = PAGE.replace("<ul", '<div id="toasts"><p>Welcome</p></div><ul')
    site = Site(environment(page=page, toast=TOAST))
    async with TestClient(site.app) as client:
        live = await client.live("/", htmx=htmx_version)
        await site.reactive.notify("all", toast("Hello"))
        await site.reactive.notify("all", toast("again"))
        await live.expect("#toasts p:nth-child(3)", "again")
        await live.expect("#toasts p:nth-child(2)", "Hello")
        await live.expect("#toasts p:nth-child(1)", "Welcome")
