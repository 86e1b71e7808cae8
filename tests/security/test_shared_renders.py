"""Attacks on shared pages. What an attacker would gain: what was rendered for the viewers of something else."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive

from ..pages.support import PAGE, SECRET, view
from ..support import environment

ENV = environment(page=PAGE)


async def test_applications_with_one_reactive_object_do_not_share_renders() -> None:
    """A customer whose tenant is an application of its own is sent the board of whoever opened the same path first."""
    reactive = Reactive(ENV, secret=SECRET)

    async def board(request: Request) -> dict[str, Any]:
        return {"title": request.app.state.tenant, "items": []}

    page = reactive.page("page.html", scope="all", shared=True)(board)
    async with AsyncExitStack() as stack:
        viewers = {}
        for tenant in ("one", "two"):
            app = Starlette(routes=[*reactive.routes, Route("/", page)])
            app.state.tenant = tenant
            viewers[tenant] = await stack.enter_async_context(view(app, "/"))
        await reactive.emit("all", "title")
        for tenant, viewer in viewers.items():
            assert f">{tenant}<" in ((await viewer.next_update()).data or "")
