"""Pages with ``share=``: one run and one render for viewers with an equal key, and personal blocks beside them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive
from tests.support import Connection, environment, eventually

from .support import SECRET, view

LIVE = '<div id="{0}">{{% block {0} %}}{1}{{% endblock %}}</div>'
PAGE = (
    "<!doctype html>"
    + LIVE.format("tasks", "{% for task in tasks %}<li>{{ task }}</li>{% endfor %}")
    + LIVE.format("hello", "{{ me }} has {{ unread }}")
    + "<div {{ live() }}></div>"
)


class Club:
    """An application whose members see what their team may see.

    Args:
        page: The template.
        options: Further arguments of the page.
    """

    def __init__(self, page: str = PAGE, **options: Any) -> None:
        self.teams = {"ada": "red", "ben": "red", "cy": "blue"}
        self.tasks = {"red": ["r1"], "blue": ["b1"]}
        self.unread = dict.fromkeys(self.teams, 0)
        self.runs: list[str] = []
        self.reactive = Reactive(environment(page=page), secret=SECRET, viewer_names=["me", "unread"])
        options = {"share": self.team_of, "user": self.name_of, **options}
        decorated = self.reactive.page("page.html", scope="all", **options)(self.endpoint)
        self.app = Starlette(routes=[*self.reactive.routes, Route("/", decorated)])

    def name_of(self, request: Request) -> str:
        return request.cookies["name"]

    def team_of(self, request: Request) -> str | None:
        return self.teams.get(self.name_of(request))

    async def endpoint(self, request: Request) -> dict[str, Any]:
        name = self.name_of(request)
        self.runs.append(name)
        return {"tasks": self.tasks[self.teams[name]], "me": name, "unread": self.unread[name]}

    async def add(self, team: str, task: str) -> None:
        self.tasks[team] = [*self.tasks[team], task]
        await self.reactive.emit("all", "tasks")

    async def view(self, stack: AsyncExitStack, name: str) -> Connection:
        return await stack.enter_async_context(view(self.app, "/", headers={"cookie": f"name={name}"}))


def text(connection: Connection) -> str:
    return b"".join(connection.chunks).decode()


async def test_viewers_with_an_equal_key_share_one_run_and_others_get_their_own() -> None:
    club = Club()
    async with AsyncExitStack() as stack:
        ada, ben, cy = [await club.view(stack, name) for name in ("ada", "ben", "cy")]
        club.runs.clear()
        await club.add("red", "r2")
        for each in (ada, ben):
            assert "<li>r1</li><li>r2</li>" in (await each.next_update()).data
        await cy.next_update()
        assert len(club.runs) == 2
        assert "r1" not in text(cy)


async def test_personal_blocks_are_rendered_for_each_viewer_and_only_for_those_concerned() -> None:
    club = Club()
    async with AsyncExitStack() as stack:
        ada, ben = [await club.view(stack, name) for name in ("ada", "ben")]
        club.runs.clear()
        club.unread["ada"] = 1
        await club.reactive.emit("all", "unread", audience={"ada"})
        assert "ada has 1" in (await ada.next_update()).data
        assert club.runs == ["ada"]
        club.unread["ben"] = 2
        await club.reactive.emit("all", "unread")
        assert "ben has 2" in (await ben.next_update()).data
        await eventually(lambda: len(club.runs) == 3)
        assert sorted(club.runs) == ["ada", "ada", "ben"]
        assert "ben" not in text(ada)
        assert "ada" not in text(ben)
