"""An application whose pages are declared while it runs: a test sends a template, and changes what it shows."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive

from .kinds import CLIENTS

ROOT = Path(__file__).parents[2]
LAYOUT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fidelity</title><link rel="icon" href="data:,">
{% block head %}{% endblock %}
{% for script in scripts %}<script src="/{{ script }}"></script>{% endfor %}
{% if script %}{{ live_scripts(htmx=htmx, nonce=nonce) }}{% endif %}
<script src="/tests/fidelity/compare.js"></script><script src="/tests/fidelity/drive.js"></script>
</head><body>
{% block body %}{% endblock %}
<p id="version">{% block version %}{{ number }}{% endblock %}</p>
{% if turbo %}<turbo-stream-source {{ live() }}></turbo-stream-source>{% else %}<div {{ live() }}></div>{% endif %}
</body></html>"""

app = FastAPI()
sources = {"layout.html": LAYOUT}
reactive = Reactive(Environment(loader=DictLoader(sources), autoescape=True), secret="a secret for tests")
app.include_router(reactive.router)
app.mount("/vendor", StaticFiles(directory=ROOT / "example_app" / "static" / "vendor"))
app.mount("/tests", StaticFiles(directory=ROOT / "tests"))
states: dict[str, dict[str, Any]] = {}
FIXED = len(app.router.routes)


@app.post("/declare/{client}/{name}")
async def declare(request: Request, client: str, name: str) -> None:
    """Declare a page. It is the only one from now on."""
    declared = await request.json()
    used = CLIENTS[client]
    has_policy: bool = declared.get("has_policy", False)
    states.clear()
    states[name] = {"number": 0, **declared["state"]}
    sources[f"{name}.html"] = (
        '{% extends "layout.html" %}'
        f"{{% block head %}}{declared.get('head', '')}{{% endblock %}}"
        f"{{% block body %}}{declared['body']}{{% endblock %}}"
    )

    async def page(response: Response) -> Any:
        nonce = secrets.token_urlsafe() if has_policy else None
        if nonce:
            response.headers["Content-Security-Policy"] = f"script-src 'self' 'nonce-{nonce}'"
        return {**states[name], **used.values, "nonce": nonce}

    del app.router.routes[FIXED + 2 :]
    app.get(f"/{name}")(reactive.page(f"{name}.html", scope=name, wire=used.wire)(page))


@app.post("/change/{name}")
async def change(request: Request, name: str) -> None:
    """Change what a page shows."""
    values = await request.json()
    states[name].update(values, number=states[name]["number"] + 1)
    await reactive.emit(name, "number", *values)
