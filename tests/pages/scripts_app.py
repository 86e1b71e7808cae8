"""A page with the scripts of the package, under a Content-Security-Policy, whose button changes elements elsewhere."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from jinja2 import DictLoader, Environment
from starlette.templating import Jinja2Templates

from starlette_reactive import OOB, Fragment, Reactive

PAGE = """<!doctype html>
<html lang="en"><head><title>Scripts</title><link rel="icon" href="data:,">
{{ live_scripts(htmx=version, nonce=nonce) }}
</head><body>
<button hx-post="/{{ style }}" hx-target="#main">Change</button>
<p id="main">{% block main %}main {{ n }}{% endblock %}</p>
<p id="inside">{% block inside %}inside {{ n }}{% endblock %}</p>
{% block around %}<p id="around" class="c{{ n }}">around {{ n }}</p>{% endblock %}
<ul id="log">{% block entry %}<li>entry {{ n }}</li>{% endblock %}</ul>
</body></html>"""

templates = Jinja2Templates(env=Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True))
reactive = Reactive(templates, secret="a secret for tests")
app = FastAPI()
app.include_router(reactive.router)


@app.get("/{version}/{style}/{policy}")
async def page(request: Request, version: int, style: str, policy: Literal["self", "nonce"]) -> Response:
    nonce = secrets.token_urlsafe() if policy == "nonce" else None
    values: dict[str, Any] = {"version": version, "style": style, "nonce": nonce, "n": 1}
    response = templates.TemplateResponse(request, "page.html", values)
    response.headers["Content-Security-Policy"] = "script-src " + ("'self'" if nonce is None else f"'nonce-{nonce}'")
    return response


@app.post("/{style}")
@reactive.html
async def change(style: Literal["partial", "oob"]) -> OOB:
    main, *others = (Fragment("page.html", each, n=2) for each in ("main", "inside", "around"))
    entry = Fragment("page.html", "entry", target="log", n=2)
    return OOB(main, *others, entry, style=style, swap={"log": "beforeend"})
