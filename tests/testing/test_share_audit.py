"""The test client audits pages with ``share=``."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive
from starlette_reactive.testing import TestClient
from tests.support import environment

PAGE = '<html><p id="list">{% block list %}{{ mine }}{% endblock %}</p><div {{ live() }}></div>'


class Board:
    """An application whose page shows what depends on the viewer, and claims the contrary."""

    def __init__(self, **options: Any) -> None:
        self.count = 0
        self.reactive = Reactive(environment(page=PAGE), secret="a secret for tests")
        page = self.reactive.page("page.html", scope="all", share=lambda _: "everybody", **options)(self.page)
        self.app = Starlette(routes=[*self.reactive.routes, Route("/", page)], lifespan=self.reactive.lifespan)

    async def page(self, request: Request) -> dict[str, str]:
        return {"mine": f"{self.count} tasks of {request.cookies['name']}"}

    async def change(self) -> None:
        self.count += 1
        await self.reactive.emit("all", "mine")


async def use(board: Board) -> None:
    async with (
        TestClient(board.app, cookies={"name": "ada"}) as ada,
        TestClient(board.app, cookies={"name": "ben"}) as ben,
    ):
        pages = [await ada.live("/"), await ben.live("/")]
        await board.change()
        for page in pages:
            await page.expect("#list", contains="1 tasks of")


async def test_a_test_fails_if_viewers_with_an_equal_key_are_shown_different_things() -> None:
    with pytest.raises(AssertionError, match="page.html:1: the block 'list' .* was different for two viewers"):
        await use(Board())


async def test_a_page_without_audits_is_not_audited() -> None:
    await use(Board(share_audit=0.0))
