"""The workspace under viewers who leave while their update is being read from the database."""

from __future__ import annotations

import html
import re
from pathlib import Path

import anyio
import httpx
import pytest

from tests.browser.support import running_example

VISITORS = 6
VISITS = 25


@pytest.mark.slow
@pytest.mark.anyio
async def test_viewers_who_come_and_go_leave_the_database_free(tmp_path: Path) -> None:
    with running_example(tmp_path / "workspace.sqlite3") as server:
        async with anyio.create_task_group() as tasks:
            for number in range(VISITORS):
                tasks.start_soon(visit, server.url, f"Visitor {number}")
    output = "".join(server.output)
    assert "Traceback" not in output
    assert "was destroyed" not in output


async def visit(url: str, name: str) -> None:
    """Open a board, change it, and leave without waiting for the update, again and again."""
    async with httpx.AsyncClient(base_url=url, timeout=30, follow_redirects=True) as client:
        await client.post("/sign-in", data={"name": name})
        page = await client.post("/boards", data={"name": name})
        board, stream = page.url.path, html.unescape(re.findall(r'sse-connect="([^"]+)"', page.text)[0])
        for number in range(VISITS):
            async with client.stream("GET", stream):
                answer = await client.post(
                    f"{board}/tasks", data={"title": f"Task {number}"}, headers={"HX-Request": "true"}
                )
                assert answer.status_code == 200
