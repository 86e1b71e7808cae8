"""The inspector's routes, who may see it, and that it does not affect the inspected application."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, ReactiveBus
from starlette_reactive._streams.timer import timer
from tests.pages.support import request, stream, view
from tests.support import environment, eventually

from .demo import Demo
from .support import PAGE, browser, status, view_of

BROWSER = {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}


async def test_it_is_off_by_default_even_in_debug_mode() -> None:
    for debug in (False, True):
        reactive = Reactive(environment(), secret="a secret for tests", debug=debug)
        app = FastAPI()
        app.include_router(reactive.router)
        assert await status(app) == 404
        assert not any("inspector" in str(route) for route in reactive.routes)


def test_it_requires_debug_mode() -> None:
    for inspector in (True, lambda _: True):
        with pytest.raises(ValueError, match="for development only: pass debug=True"):
            Reactive(environment(), secret="a secret for tests", inspector=inspector)


def test_the_log_warns_that_it_is_on_and_where(caplog: pytest.LogCaptureFixture) -> None:
    Reactive(environment(), secret="a secret for tests", debug=True, inspector=True, prefix="/live")
    assert [record.message for record in caplog.records] == [
        "the inspector is on, at /live/inspector: it shows scopes, users and changes to this machine; it is for "
        "development"
    ]
    assert caplog.records[0].levelno == logging.WARNING
    caplog.clear()
    Reactive(environment(), secret="a secret for tests", debug=True, inspector=lambda _: True)
    assert "to those that its function allows" in caplog.text


@pytest.mark.parametrize(
    ("base", "client"),
    [
        ("http://localhost:8000", "127.0.0.1"),
        ("http://127.0.0.1:8000", "127.0.0.1"),
        ("http://127.8.9.10", "127.0.0.2"),
        ("http://[::1]:8000", "::1"),
        ("http://localhost", "::ffff:127.0.0.1"),
        ("https://board.localhost:8000", "::1"),
    ],
)
async def test_this_machine_may_see_it(base: str, client: str) -> None:
    assert await status(Demo().app, base=base, client=(client, 1), headers=BROWSER) == 200


@pytest.mark.parametrize(
    ("base", "client", "headers"),
    [
        ("http://localhost:8000", "192.0.2.7", {}),
        ("http://localhost:8000", "10.0.0.1", {}),
        ("http://localhost:8000", "2001:db8::1", {}),
        ("http://localhost:8000", "testclient", {}),
        ("http://localhost:8000", "", {}),
        ("http://board.example.org", "127.0.0.1", {}),
        ("http://localhost.example.org", "127.0.0.1", {}),
        ("http://127.0.0.1.example.org", "127.0.0.1", {}),
        ("http://192.168.1.5:8000", "127.0.0.1", {}),
        ("http://localhost", "127.0.0.1", {"host": ""}),
        ("http://localhost", "127.0.0.1", {"host": "[::1"}),
        ("http://localhost", "127.0.0.1", {"x-forwarded-for": "127.0.0.1"}),
        ("http://localhost", "127.0.0.1", {"forwarded": "for=127.0.0.1"}),
        ("http://localhost", "127.0.0.1", {"x-real-ip": "192.0.2.7"}),
        ("http://localhost", "127.0.0.1", {"via": "1.1 proxy"}),
        ("http://localhost", "127.0.0.1", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}),
        ("http://localhost", "127.0.0.1", {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}),
        ("http://localhost", "127.0.0.1", {"origin": "http://localhost:3000"}),
        ("http://localhost", "127.0.0.1", {"origin": "null"}),
    ],
)
async def test_everyone_else_receives_a_404(base: str, client: str, headers: dict[str, str]) -> None:
    app = Demo().app
    async with browser(app, base=base, client=(client, 1)) as opened:
        nothing = await opened.get("/nothing/here", headers=headers)
        for path in (PAGE, f"{PAGE}/", f"{PAGE}/static/inspector.css", f"{PAGE}/own/live?page=x"):
            answer = await opened.get(path, headers=headers)
            assert (answer.status_code, answer.content, answer.headers) == (404, nothing.content, nothing.headers)


async def test_http_1_0_is_rejected_because_proxies_speak_it() -> None:
    app = Demo().app

    async def older(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": "1.0"} if scope["type"] == "http" else scope, receive, send)

    assert await status(older) == 404


async def test_a_site_that_may_read_the_application_cannot_read_the_inspector() -> None:
    demo = Demo()
    app = Starlette(
        routes=[Mount("/", demo.app)], middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"])]
    )
    demo.reactive.app = app
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    assert await status(app, "/news", headers=evil) == 200
    assert await status(app, headers=evil) == 404
    assert await status(app, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}) == 200


async def test_only_get_and_head_are_allowed() -> None:
    async with browser(Demo().app) as opened:
        assert (await opened.head(PAGE)).status_code == 200
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert (await opened.request(method, PAGE)).status_code == 404


async def test_a_function_decides_who_may_see_it() -> None:
    async def knows(request: Request) -> bool:
        return request.headers.get("x-key") == "sesame"

    for allow in (knows, lambda request: request.headers.get("x-key") == "sesame"):
        app = Demo(inspector=allow).app
        elsewhere: dict[str, Any] = {"base": "https://dev.example.org", "client": ("192.0.2.7", 1)}
        assert await status(app, headers={"x-key": "sesame"}, **elsewhere) == 200
        assert await status(app, **elsewhere) == 404
        assert await status(app) == 404
        crossing = {"x-key": "sesame", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
        assert await status(app, headers=crossing, **elsewhere) == 404


def with_a_prefix(demo: Demo) -> ASGIApp:
    app = FastAPI()
    router = APIRouter()
    router.include_router(demo.reactive.router)
    app.include_router(router, prefix="/inner")
    return app


@pytest.mark.parametrize(
    ("make", "base", "root"),
    [
        (lambda demo: demo.app, "", ""),
        (lambda demo: demo.app, "", "/behind"),
        (lambda demo: Starlette(routes=demo.reactive.routes), "", ""),
        (lambda demo: Starlette(routes=[Mount("/sub", demo.app)]), "/sub", ""),
        (lambda demo: Starlette(routes=[Mount("/sub", demo.app)]), "/sub", "/behind"),
        (with_a_prefix, "/inner", ""),
        (with_a_prefix, "/inner", "/behind"),
        (lambda demo: demo.app, "", "/behind/"),
        (lambda demo: Starlette(routes=[Mount("/sub", demo.app)]), "/sub", "/behind/"),
    ],
)
async def test_its_urls_are_correct_wherever_it_is_mounted(
    make: Callable[[Demo], ASGIApp], base: str, root: str
) -> None:
    demo = Demo(inspector=lambda _: True)
    app = make(demo)
    for written in (PAGE, f"{PAGE}/"):
        for sent_root in {root, root if base == "/sub" else ""}:  # not all servers include the root path in the path
            seen = await request(app, f"{sent_root}{base}{written}", root_path=root, base="http://localhost")
            assert seen.status == 200, seen.text
            assert f'href="{root.rstrip("/")}{base}{PAGE}/static/inspector.css"' in seen.text
            assert seen.url.startswith(f"{root.rstrip('/')}{base}{PAGE}/own/live?page=")
    assert (await request(app, f"{base}{PAGE}/static/inspector.js")).status == 200
    assert (await request(app, f"{base}{PAGE}/static/../site.py")).status == 404
    url = root + seen.url.removeprefix(root.rstrip("/"))  # as a server writes it
    async with stream(app, url, root_path=root, host="localhost") as connection:
        assert connection.start["status"] == 200
        await demo.reactive.emit("nowhere", "x")
        await eventually(lambda: any("nowhere" in (frame.data or "") for frame in connection.updates))


async def test_a_forged_stream_url_is_rejected() -> None:
    async with browser(Demo().app) as opened:
        assert (await opened.get(f"{PAGE}/own/live?page=forged")).status_code == 403
        assert (await opened.get(f"{PAGE}/nothing")).status_code == 404


async def test_it_loads_nothing_from_elsewhere_and_is_neither_cached_nor_framed() -> None:
    async with browser(Demo().app) as opened:
        for path in (PAGE, f"{PAGE}/static/inspector.css"):
            headers = (await opened.get(path)).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'; script-src 'self'; style-src 'self';" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
        page = (await opened.get(PAGE)).text
        assert " style=" not in page
        assert not re.search(r"\son\w+=", page)
        assert "//" not in page.replace("<!doctype html>", "")


async def test_names_are_escaped() -> None:
    demo = Demo()
    markup = "'\"><img>"
    async with (
        view(demo.app, f"/boards/{quote(markup)}", headers={"Cookie": 'user="<img>"'}),
        browser(demo.app) as opened,
    ):
        await demo.reactive.emit(f"board:{markup}", markup, "tasks", origin=markup, audience={markup})
        page = (await opened.get(PAGE)).text
        assert page.count("&lt;img&gt;") > 8
        assert "<img" not in page


async def test_its_updates_do_not_run_the_middleware_of_the_application() -> None:
    demo = Demo(inspector=lambda _: True)
    paths: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            paths.append(scope["path"])
        await demo.app(scope, receive, send)

    seen = await request(app, PAGE, base="http://localhost")
    async with stream(app, seen.url, host="localhost") as connection:
        await demo.reactive.emit("nowhere", "x")
        await connection.next_update()
    assert paths == [PAGE, f"{PAGE}/own/live"]


async def test_its_streams_end_with_the_application() -> None:
    demo = Demo(inspector=lambda _: True)
    seen = await request(demo.app, PAGE, base="http://localhost")
    async with demo.reactive.lifespan(demo.app):
        opened = stream(demo.app, seen.url, host="localhost")
        connection = await opened.__aenter__()
    await eventually(lambda: connection.complete)
    await opened.__aexit__(None, None, None)


async def test_two_inspectors_may_share_one_bus() -> None:
    bus = ReactiveBus()
    demos = [Demo(bus=bus), Demo(bus=bus)]
    seen = await request(demos[0].app, "/news")
    async with stream(demos[0].app, seen.url) as connection:
        await demos[1].reactive.emit("news", "headlines")
        await connection.next_update()
        for demo in demos:
            await eventually(lambda demo=demo: view_of(demo.reactive).newest[0].effects[0].status == "rendered")  # type: ignore[misc]


async def test_an_application_without_pages_has_an_inspector_too() -> None:
    reactive = Reactive(environment(), secret="a secret for tests", debug=True, inspector=True)

    async def home(_: Request) -> PlainTextResponse:
        return PlainTextResponse("home")

    app = Starlette(routes=[*reactive.routes, Route("/", home)], lifespan=reactive.lifespan)
    async with browser(app) as opened:
        page = (await opened.get(PAGE)).text
        for text in ("There are no live blocks yet.", "No live page is open.", "No event yet."):
            assert text in page


async def test_its_timer_stops_without_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive._inspector.inspector._LINGER", 0.2)
    demo = Demo()
    assert demo.reactive._inspector not in timer()._driven
    async with browser(demo.app) as opened:
        await opened.get(PAGE)
    assert demo.reactive._inspector in timer()._driven
    await eventually(lambda: demo.reactive._inspector not in timer()._driven)


async def test_its_page_passes_the_check_and_is_not_part_of_the_applications_check() -> None:
    demo = Demo()
    inspector = demo.reactive._inspector
    assert inspector is not None
    assert isinstance(inspector._live, Reactive)
    assert inspector._live.check() == []
    assert all(issue.template in ("board.html", "news.html") for issue in demo.reactive.check())
