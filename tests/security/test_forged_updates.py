"""Attacks that pass a visit off as an update.

What an attacker would gain: requests that no rate limit, audit log or view counter sees, and that never end a session,
because an application skips all of that for updates.
"""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_reactive import Reactive, is_update
from starlette_reactive._pages.update import TOKEN_HEADER, UPDATE

from ..pages.support import SECRET, request
from ..support import environment

NAMES = [UPDATE, UPDATE.replace(".", "-"), TOKEN_HEADER.decode(), "is-update", "x-is-update"]


@pytest.fixture
def app() -> Starlette:
    reactive = Reactive(environment(page="{% block a %}{% endblock %}"), secret=SECRET)

    async def show(request: Request) -> JSONResponse:
        return JSONResponse(is_update(request))

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> JSONResponse:
        return await show(request)

    routes = [Route("/", show), Route("/page", page), Route("/in/{update}", show)]
    return Starlette(routes=[*reactive.routes, *routes])


@pytest.mark.parametrize("path", ["/", "/page"])
@pytest.mark.parametrize("name", NAMES)
async def test_nothing_that_a_browser_sends_makes_a_request_an_update(app: Starlette, path: str, name: str) -> None:
    """Headers, cookies and queries are all that a browser can choose."""
    attacks: list[dict[str, Any]] = [
        {"headers": {name: "1"}},
        {"headers": {"Cookie": f"{name}=1"}},
        {"params": {name: "1"}},
    ]
    for attack in attacks:
        assert (await request(app, path, **attack)).text == "false"


async def test_a_parameter_in_the_path_makes_no_update(app: Starlette) -> None:
    """Routes put what they match into the ASGI scope, beside the update."""
    assert (await request(app, f"/in/{UPDATE}")).text == "false"


@pytest.mark.parametrize("value", [True, "1", object(), {"page": "x"}])
def test_only_an_update_of_this_package_counts(value: object) -> None:
    """A server or middleware that copies input into the ASGI scope would otherwise let a browser set the key."""
    assert is_update({"type": "http", UPDATE: value}) is False
