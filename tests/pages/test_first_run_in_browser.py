"""In debug mode, the browser's console shows what the check finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..browser.support import ROOT, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from starlette.middleware.base import BaseHTTPMiddleware
from tests.pages.test_first_run import FAULTY, application

app = application(FAULTY, nonce="n0nce")


async def restrict(request, call_next):
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'; img-src data:; script-src 'nonce-n0nce'"
    return response


app.add_middleware(BaseHTTPMiddleware, dispatch=restrict)
"""


def test_the_browser_s_console_shows_the_findings_also_under_a_strict_policy(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    page, messages = browser.new_page(), list[str]()
    page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
    with running(["-m", "uvicorn", "program:app"], cwd=tmp_path) as server:
        page.goto(f"{server.url}/boards/1")
        page.wait_for_load_state("load")
    page.close()
    assert [each for each in messages if "no_live_block" in each]
    assert not [each for each in messages if each.startswith("error")]
