"""With ``--reload``, open pages stay live and people stay signed in when the code changes."""

from __future__ import annotations

import html
import re
from pathlib import Path

import httpx

from tests.browser.support import ROOT, running
from tests.support import eventually


async def test_a_page_outlives_a_restart_of_the_code(tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/workspace.sqlite3", "PYTHONPATH": str(ROOT)}
    code = tmp_path / "code.py"
    code.write_text("")
    with running(["-m", "example_app", "--reload"], cwd=tmp_path, env=env) as server:

        def starts() -> int:
            return "".join(server.output).count("Application startup complete")

        await eventually(lambda: starts() == 1)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            await client.post("/sign-in", data={"name": "Ada"})
            page = (await client.get("/boards/1")).text
            (address,) = re.findall(r' sse-connect="([^"]+)"', page)
            code.write_text("changed = True")
            await eventually(lambda: starts() == 2, timeout=60)
            assert (await client.get("/boards/1")).status_code == 200
            async with client.stream("GET", html.unescape(address)) as stream:
                assert stream.status_code == 200
