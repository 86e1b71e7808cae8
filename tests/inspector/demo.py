"""An application to inspect, with every reason why an event renders nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from fastapi import FastAPI, Request, Response
from jinja2 import DictLoader, Environment
from starlette.staticfiles import StaticFiles

from starlette_reactive import BlockRef, Reactive
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._index.registry import Registry
from starlette_reactive._pages.signer import Signer
from starlette_reactive._streams.groups import end_streams
from starlette_reactive._streams.trace import GroupTraces

VENDOR = Path(__file__).parents[2] / "example_app" / "static" / "vendor" / "htmx-4.0.1"

BOARD = """<!doctype html>
<html lang="en"><title>{{ board.name }}</title><link rel="icon" href="data:,">
<script src="/vendor/htmx.min.js"></script><script src="/vendor/hx-sse.min.js"></script>
<body {{ live_origin() }}>
<h1 id="title">{% block title %}{{ board.name }}{% endblock %}</h1>
<section id="overview">{% block overview %}
  <p id="progress">{% block progress %}{{ done }} of {{ tasks | length }}{% endblock %}</p>
  <p>{{ board.owner }}</p>
{% endblock %}</section>
<ul id="tasks">{% block tasks %}{% for task in tasks %}<li>{{ task }}</li>{% endfor %}{% endblock %}</ul>
<p id="people">{% block people %}{{ people }} here{% endblock %}</p>
<div {{ live() }}></div>
</body></html>"""

NEWS = """<!doctype html>
<html lang="en"><title>News</title><link rel="icon" href="data:,">
<script src="/vendor/htmx.min.js"></script><script src="/vendor/hx-sse.min.js"></script>
<body>
<ul id="headlines">{% block headlines %}{% for line in headlines %}<li>{{ line }}</li>{% endfor %}{% endblock %}</ul>
<p id="weather">{% block weather %}{{ weather.town }}: {{ weather.degrees }}{% endblock %}</p>
<div {{ live() }}></div>
</body></html>"""


class Demo:
    """Boards with one scope each, and a shared page of news."""

    def __init__(self, **options: Any) -> None:
        env = Environment(loader=DictLoader({"board.html": BOARD, "news.html": NEWS}), autoescape=True)
        self.reactive = Reactive(env, **{"secret": "a secret for tests", "debug": True, "inspector": True, **options})
        self.reactive.index.derive("done", from_paths=["tasks"])
        self.tasks: dict[str, list[str]] = {}
        self.headlines = ["Nothing new"]
        self.fails = False
        self.forbidden = False
        self.pause: anyio.Event | None = None
        self.app = FastAPI()
        self.app.include_router(self.reactive.router)
        self.app.mount("/vendor", StaticFiles(directory=VENDOR))
        self._add_pages()
        self._add_actions()

    def _add_pages(self) -> None:
        def user_of(request: Request) -> str | None:
            return request.cookies.get("user")

        @self.app.get("/boards/{name}")
        @self.reactive.page("board.html", scope="board:{name}", user=user_of)
        async def board(name: str) -> Any:
            if self.pause is not None:
                await self.pause.wait()
            if self.fails:
                raise RuntimeError("the database is down")
            if self.forbidden:
                return Response(status_code=403)
            return {
                "board": {"name": name, "owner": "Ada"},
                "tasks": self.tasks.setdefault(name, []),
                "done": 0,
                "people": len(self.reactive.presence(f"board:{name}")),
            }

        @self.app.get("/news")
        @self.reactive.page("news.html", scope="news", shared=True)
        async def news() -> Any:
            return {"headlines": self.headlines, "weather": {"town": "Graz", "degrees": 21}}

    def _add_actions(self) -> None:
        reactive = self.reactive

        @self.app.post("/boards/{name}/tasks")
        async def add_task(request: Request, name: str, title: str) -> None:
            self.tasks.setdefault(name, []).append(title)
            await reactive.emit(f"board:{name}", "tasks", origin=reactive.origin(request))

        @self.app.post("/emit")
        async def emit(scope: str, paths: str, origin: str | None = None, audience: str | None = None) -> None:
            await reactive.emit(
                scope, *paths.split(), origin=origin, audience=None if audience is None else audience.split()
            )

        @self.app.post("/headlines")
        async def add_headline(text: str) -> None:
            self.headlines.insert(0, text)
            await reactive.emit("news", "headlines")

        @self.app.post("/forget")
        async def forget() -> None:
            """Reject the inspector's open page, as a new process would."""
            inspector = reactive._inspector
            assert inspector is not None
            assert isinstance(inspector._live, Reactive)
            inspector._live._site._signer = Signer("another secret for tests", None, purpose="/own")
            end_streams(hub_of(inspector._live.bus))

        @self.app.post("/differ")
        async def differ(message: str) -> None:
            """Report what an audit of shared renders would report."""
            traces = GroupTraces(hub_of(reactive.bus), "news", Registry())
            traces.differed(BlockRef("news.html", "headlines", "headlines"), message)
            traces.ended(None)

        @self.app.post("/fails")
        async def fails(value: bool) -> None:
            self.fails = value


def create_app() -> FastAPI:
    """Return the demo application."""
    return Demo().app
