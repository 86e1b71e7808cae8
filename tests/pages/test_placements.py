"""Pages whose blocks have no element of their own, as a browser shows them after a change."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive
from starlette_reactive.testing import TestClient
from tests.support import environment

from .support import SECRET

CLIENTS = {
    "htmx 2": "{{ live_scripts(htmx=2) }}",
    "htmx 4": "{{ live_scripts(htmx=4) }}",
    "script": "{{ live_scripts() }}",
}
PLACEMENTS = {
    "beside text": '<p id="total">Total: {% block total %}{{ n }}{% endblock %}</p>',
    "a root under a condition": '{% block note %}{% if n %}<p id="note">{{ n }}</p>{% endif %}{% endblock %}',
    "two roots": "{% block two %}<p>{{ n }}</p><p>{{ n }}</p>{% endblock %}",
    "an element under a condition": '{% if n %}<p id="x">{% block x %}{{ n }}{% endblock %}</p>{% endif %}',
    "attributes": '<p id="x" class="c{{ n }}">{% block x %}{{ n }}{% endblock %}</p>',
    "an attribute under a condition": '<p id="x" {% if n %}hidden{% endif %}>{% block x %}{{ n }}{% endblock %}</p>',
    "a paragraph that a list closes": '<p id="x">{% block x %}<ul><li>{{ n }}</ul>{% endblock %}</p>',
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_after_changes_the_page_is_what_a_reload_shows(placement: str, client: str) -> None:
    body = f'<main id="main"><h1>A</h1>{PLACEMENTS[placement]}</main><div {{{{ live() }}}}></div>'
    status = '<p id="status">{% block status %}{{ n }}{% endblock %}</p>'
    reactive = Reactive(environment(page=CLIENTS[client] + body + status), secret=SECRET)
    values: dict[str, Any] = {"n": 1}

    @reactive.page("page.html", scope="n")
    async def show(request: Request) -> dict[str, Any]:
        return dict(values)

    app = Starlette(routes=[*reactive.routes, Route("/", show)], lifespan=reactive.lifespan)
    async with TestClient(app) as tab:
        page = await tab.live("/")
        for n in (2, 0, 0, 3):
            values["n"] = n
            await reactive.emit("n", "n")
            await page.expect("#status", str(n))
            fresh = await tab.live("/")
            assert page.html("main") == fresh.html("main")
            await fresh.close()


async def test_a_change_of_an_attribute_alone_replaces_the_element() -> None:
    source = '<p id="x" class="{{ kind }}">{% block x %}{{ n }}{% endblock %}</p><div {{ live() }}></div>'
    reactive = Reactive(environment(page=CLIENTS["script"] + source), secret=SECRET)
    values = {"n": 1, "kind": "a"}

    @reactive.page("page.html", scope="n")
    async def show(request: Request) -> dict[str, Any]:
        return dict(values)

    app = Starlette(routes=[*reactive.routes, Route("/", show)], lifespan=reactive.lifespan)
    async with TestClient(app) as tab:
        page = await tab.live("/")
        values["kind"] = "b"
        await reactive.emit("n", "kind")
        await page.expect("p.b", "1")
