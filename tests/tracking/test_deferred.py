"""Deferred values that are read from a tracked database."""

from __future__ import annotations

from typing import Any

import pytest

from .site import LIVE, TITLE, Site, shows

TASKS = LIVE.format(
    "tasks",
    "{% if tasks is deferred %}Please wait.{% else %}{% for task in tasks %}<li>{{ task.name }}</li>{% endfor %}"
    "{% endif %}",
)


class Slow(Site):
    """A site whose tasks are deferred."""

    def __init__(self, **options: Any) -> None:
        super().__init__(TITLE + TASKS, deferred=["tasks"], **options)
        self.read = self.read_slowly
        self.calls = 0

    def read_slowly(self) -> dict[str, Any]:
        return {"title": self.db.one("board", id=1)["title"], "tasks": self.read_tasks}

    async def read_tasks(self) -> list[dict[str, Any]]:
        self.calls += 1
        return self.db.select("task", board=1)


@pytest.mark.parametrize("options", [{}, {"shared": True}, {"share": lambda _: "all"}])
async def test_the_stream_brings_a_value_that_was_read_from_the_database_and_its_changes(
    options: dict[str, Any],
) -> None:
    site = Slow(**options)
    url = await site.visit()
    assert site.calls == 0
    async with site.stream(url) as page:
        await shows(page, "<li>sow</li>")
        await site.change("task", 1, name="weed")
        await shows(page, "<li>weed</li>")
        await site.change("board", 1, title="renamed")
        await shows(page, "renamed")
