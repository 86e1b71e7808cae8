"""The optional script for pages with htmx 2, and a route that serves it.

After a response that is not a stream, such as a proxy's 502, htmx 2 makes a new ``EventSource``, which lacks the last
id. It also keeps the streams of hidden tabs open, and all pages reconnect at the same intervals. The script fixes all
three. Pages stay correct without it, because the server then uses the page's own cursor, as long as the page's live URL
has not expired. htmx 4 does not need it.

The script adds query parameters to the URLs of streams: ``resumable``, which asks for the first id as an event that it
can read, and ``resume``, which is the last id.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

__all__ = ["HTMX2_SCRIPT", "htmx2_script_route"]

HTMX2_SCRIPT = Path(__file__).parent / "static" / "htmx2.js"
"""The path of the script, to copy or bundle it."""


def htmx2_script_route(path: str = "/_reactive/htmx2.js") -> Route:
    """Return a route that serves the script.

    The page loads it after htmx: ``<script src="/_reactive/htmx2.js"></script>``.

    Args:
        path: The URL path of the script.
    """
    return Route(path, _htmx2_script, methods=["GET"], name="reactive-htmx2-script")


async def _htmx2_script(_: Request) -> Response:
    return FileResponse(HTMX2_SCRIPT, media_type="text/javascript", headers={"Cache-Control": "public, max-age=3600"})
