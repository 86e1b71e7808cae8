"""Root paths that end with a slash, behind a proxy that strips them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from starlette_reactive import Reactive

from ..pages.support import PAGE, SECRET, Seen
from ..support import environment, eventually


@contextlib.contextmanager
def running(app: Any, root_path: str) -> Iterator[str]:
    """Run uvicorn in a thread, and yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, root_path=root_path, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        anyio.run(lambda: eventually(lambda: server.started or not thread.is_alive()))
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.mark.parametrize("live_path", [None, "/live"])
@pytest.mark.parametrize(
    "kind", ["starlette under --root-path", "fastapi under --root-path", "fastapi with root_path", "mount"]
)
@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_a_page_its_stream_and_its_updates_work_below_a_root_path_with_a_slash(
    kind: str, live_path: str | None
) -> None:
    reactive = Reactive(environment(page=PAGE), secret=SECRET, live_path=live_path)

    async def page(request: Request) -> dict[str, Any]:
        return {"title": request.url_for("page"), "items": []}

    decorated = reactive.page("page.html", scope="all")(page)
    routes = [*reactive.routes, Route("/board", decorated, name="page")]
    if kind == "mount":
        routes = [*reactive.routes, Mount("/board", routes=[Route("/", decorated, name="page")])]
    if "fastapi" in kind:
        app: Starlette = FastAPI(root_path="/app/" if "with" in kind else "", routes=routes)
    else:
        app = Starlette(routes=routes)
    path = "/board/" if kind == "mount" else "/board"

    def lines() -> Iterator[str]:
        with httpx.Client(base_url=address, timeout=30) as client:
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            seen = Seen(answer.text, answer.status_code, answer.headers)
            expected = "/app/_reactive/live?" if live_path is None else f"/app{path.rstrip('/')}/live?"
            assert seen.url.startswith(expected), seen.url
            assert "Path=/app;" in answer.headers["set-cookie"]
            with client.stream("GET", seen.url.removeprefix("/app"), headers=seen.cookies) as stream:
                assert stream.status_code == 200
                received = stream.iter_lines()
                yield next(received)
                reactive.emit_sync("all", "title")
                yield from received

    with running(app, "" if "with" in kind else "/app/") as address:
        update = next(line for line in lines() if "hx-target" in line)
    assert f"{address}/app{path}" in update
