"""What debug mode reports by itself: findings of the check, in the log and the console, and near misses of scopes."""

from __future__ import annotations

import html
import json
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import anyio
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .._bus.bus import ReactiveBus
from .._checks import Issue, Severity
from .._core.errors import ReactiveError
from .mounts import path_in
from .near_misses import NearMisses

__all__ = ["FirstRun", "summary"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

_MOST_NAMED = 3


def summary(issues: Iterable[Issue]) -> str:
    """Return errors and warnings in short. Empty if there are none."""
    found = sorted((issue for issue in issues if issue.severity is not Severity.INFO), key=lambda each: each.severity)
    if not found:
        return ""
    counts = Counter(issue.category for issue in found)
    lines = [f"{each.place} {each.severity} {each.category}: {each.message}" for each in found[:_MOST_NAMED]]
    if len(found) > _MOST_NAMED:
        lines.append(f"and {len(found) - _MOST_NAMED} more")
    numbers = ", ".join(f"{category} {count}" for category, count in counts.items())
    first = f"the check of the live pages finds {len(found)} problem{'s' * (len(found) > 1)} ({numbers}):"
    last = "Run 'starlette-reactive check MODULE:APP' for all of them, each with a fix."
    return "\n  ".join([first, *lines, last])


class FirstRun:
    """Reports what debug mode finds by itself.

    Args:
        prefix: The path prefix of the routes.
        check: Returns what cannot work.
        formats: Returns the scopes of the pages and streams, with parameters in braces.
    """

    def __init__(self, prefix: str, check: Callable[[], Sequence[Issue]], formats: Callable[[], Iterable[str]]) -> None:
        self._path = f"{prefix}/findings.js"
        self._route_name = f"reactive-findings:{secrets.token_hex(4)}"  # an application may have several
        self._check = check
        self._formats = formats
        self._summary = ""

    @asynccontextmanager
    async def lifespan(self, bus: ReactiveBus) -> AsyncIterator[None]:
        """Check the application, and log near misses until the block ends."""
        try:
            self._summary = summary(await anyio.to_thread.run_sync(self._check))
        except ReactiveError as error:
            self._summary = f"the live pages cannot be checked: {error}"
        if self._summary:
            logger.warning("%s", self._summary)
        stop = bus.observe(NearMisses(self._formats()))
        try:
            yield
        finally:
            stop()

    def routes(self) -> list[Route]:
        """Return the route of the script that shows the findings in the browser's console."""
        return [Route(self._path, self._serve, methods=["GET"], name=self._route_name)]

    async def _serve(self, _: Request) -> Response:
        text = f"console.warn({json.dumps(f'starlette-reactive: {self._summary}')})\n" if self._summary else ""
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-store"})

    def script_tag(self, request: Request, nonce: object) -> Markup:
        """Return the tag that loads the script. Empty if there are no findings."""
        path = path_in(request, self._route_name) if self._summary else None
        if path is None:
            return Markup()
        root_path: str = request.scope.get("app_root_path", request.scope.get("root_path", ""))
        own = f' nonce="{html.escape(str(nonce))}"' if nonce is not None and str(nonce) else ""
        address = html.escape(root_path.rstrip("/") + path)
        return Markup(f'\n<script src="{address}"{own} async></script>')  # noqa: S704 - escaped above
