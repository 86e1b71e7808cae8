"""A page that shows a number from a file, for each kind of client."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from starlette_reactive import Reactive
from starlette_reactive._pages import page as pages
from starlette_reactive._streams.group_options import GroupOptions
from starlette_reactive._streams.live_response import LiveStream, ViewerOptions

VENDOR = Path(__file__).parents[2] / "example_app" / "static" / "vendor"
NUMBER = Path(os.environ["RECOVERY_NUMBER"])

SCRIPTS = {
    "htmx2": ["/vendor/htmx-2.0.11/htmx.min.js", "/vendor/htmx-ext-sse-2.2.4/sse.min.js"],
    "htmx4": ["/vendor/htmx-4.0.1/htmx.min.js", "/vendor/htmx-4.0.1/hx-sse.min.js"],
}

PAGE = """<!doctype html>
<html lang="en"><head><title>A number</title><link rel="icon" href="data:,">
{% for script in scripts %}<script src="{{ script }}"></script>{% endfor %}</head>
<body><p id="number">{% block number %}{{ number }}{% endblock %}</p><div {{ live() }}></div></body></html>"""


class QuickStream(LiveStream):
    """A stream whose clients reconnect soon, to keep the tests short."""

    def __init__(self, group_options: GroupOptions, options: ViewerOptions) -> None:
        super().__init__(group_options, replace(options, retry=300))


pages.LiveStream = QuickStream  # type: ignore[attr-defined]

reactive = Reactive(
    Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True), secret="the same after a restart"
)


@reactive.page("page.html", scope="number")
def page(request: Request) -> dict[str, Any]:
    return {"number": NUMBER.read_text(), "scripts": SCRIPTS[request.path_params["client"]]}


def change(request: Request) -> Response:
    NUMBER.write_text(request.query_params["to"])
    reactive.emit_sync("number", "number")
    return JSONResponse({})


async def viewers(_: Request) -> Response:
    return JSONResponse(len(reactive.presence("number")))


app = Starlette(
    routes=[
        *reactive.routes,
        Route("/pages/{client}", page),
        Route("/change", change, methods=["POST"]),
        Route("/viewers", viewers),
        Mount("/vendor", StaticFiles(directory=VENDOR)),
    ],
    lifespan=reactive.lifespan,
)
