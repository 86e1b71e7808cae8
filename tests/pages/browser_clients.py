"""What applications for browser tests have in common: their clients, and the markup and scripts that these need."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive

__all__ = ["SCRIPTS", "WIRES", "live_app"]

ROOT = Path(__file__).parents[2]

SCRIPTS = {
    "htmx2": ["/vendor/htmx-2.0.11/htmx.min.js", "/vendor/htmx-ext-sse-2.2.4/sse.min.js"],
    "htmx4": ["/vendor/htmx-4.0.1/htmx.min.js", "/vendor/htmx-4.0.1/hx-sse.min.js"],
    "turbo": ["/tests-vendor/turbo-8.0.23/turbo.es2017-umd.js"],
}
WIRES = {"htmx2": "htmx", "htmx4": "htmx", "turbo": "turbo"}

_HEAD = """<!doctype html>
<html lang="en"><head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Live</title><link rel="icon" href="data:,">
{% for script in scripts %}<script src="{{ script }}"></script>{% endfor %}
</head>
<body {{ live_origin() }}>
"""
_SINK = """
{% if scripts[0].startswith("/tests-vendor") %}<turbo-stream-source {{ live() }}></turbo-stream-source>
{% else %}<div {{ live() }}></div>{% endif %}
</body></html>"""


def live_app(content: str, **templates: str) -> tuple[FastAPI, Reactive]:
    """Return an application that serves the scripts, and its ``Reactive`` object.

    Args:
        content: What the template ``page.html`` shows. Its endpoints give it the ``scripts`` of their client.
        **templates: Further templates. Each is named ``name.html``.
    """
    app = FastAPI()
    sources = {f"{name}.html": source for name, source in templates.items()} | {"page.html": _HEAD + content + _SINK}
    env = Environment(loader=DictLoader(sources), autoescape=True)
    reactive = Reactive(env, secret="a secret for tests")
    app.include_router(reactive.router)
    app.mount("/vendor", StaticFiles(directory=ROOT / "example_app" / "static" / "vendor"))
    app.mount("/tests-vendor", StaticFiles(directory=ROOT / "tests" / "vendor"))
    return app, reactive
