"""The example under viewers who leave while their update is being read from the database."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx
import pytest

from tests.browser.support import running_example

VISITORS = 6
VISITS = 25


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_viewers_who_come_and_go_leave_the_database_free(tmp_path: Path) -> None:
    with running_example(tmp_path / "taskboard.sqlite3") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client, anyio.create_task_group() as tasks:
            for number in range(VISITORS):
                tasks.start_soon(visit, client, f"board-{number}")
    output = "".join(server.output)
    assert "Traceback" not in output
    assert "was destroyed" not in output


async def visit(client: httpx.AsyncClient, board: str) -> None:
    """Open a board, change it, and leave without waiting for the update, again and again."""
    await client.post("/boards", data={"name": board})
    for number in range(VISITS):
        async with client.stream("GET", f"/boards/{board}/stream", params={"tab": f"{board}-{number}"}):
            answer = await client.post(
                f"/boards/{board}/tasks", data={"title": f"Task {number}"}, headers={"HX-Request": "true"}
            )
            assert answer.status_code == 204
