"""The optional script for pages with htmx 2, and ways to serve it.

htmx 2 makes a new ``EventSource`` after an answer that is no stream, such as a proxy's 502, and forgets the last id
with the old one; it keeps streams open in hidden tabs; and all pages come back at the same intervals. The script mends
all three. Pages stay correct without it, for the server then goes by the page's own cursor. htmx 4 needs none of it.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

__all__ = ["HTMX2_SCRIPT", "htmx2_script_route"]

HTMX2_SCRIPT = Path(__file__).parent / "static" / "htmx2.js"
"""The file, to copy or to bundle."""


def htmx2_script_route(path: str = "/_reactive/htmx2.js") -> Route:
    """Return a route that serves the script; the page loads it after htmx: ``<script src="/_reactive/htmx2.js">``.

    Args:
        path: Where it is served.
    """
    return Route(path, _htmx2_script, methods=["GET"], name="reactive-htmx2-script")


async def _htmx2_script(_: Request) -> Response:
    return FileResponse(HTMX2_SCRIPT, media_type="text/javascript", headers={"Cache-Control": "public, max-age=3600"})
