"""The log of what a group of viewers cannot render."""

from __future__ import annotations

import logging

from .._core.failures import Failures
from .rendering import Rendered

__all__ = ["RenderLog"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")


class RenderLog:
    """Logs the failures of one group. Those of its page that have the same reason are the same for all groups.

    Args:
        failures: Those of the bus.
        scope: The group's scope.
        page: What identifies its page.
    """

    def __init__(self, failures: Failures, scope: str, page: str | None) -> None:
        self._failures = failures
        self._scope = scope
        self._page = page

    def ended(self, why: str) -> None:
        """Log that streams end as they should."""
        logger.info("%s", why)

    def failed(self, error: Exception) -> None:
        """Log that nothing could be rendered."""
        self._failures.log(self._what, error, self, kind=self._page)

    def rendered(self, rendered: Rendered) -> None:
        """Log which blocks could not be rendered, and what can be rendered again."""
        if self._failures.has_failed(self):
            self._failures.recover(self._what, self)
            for key in (key for key, html in rendered.items() if isinstance(html, str)):
                self._failures.recover(_rendering(key), self, part=key)
        for key, html in rendered.items():
            if isinstance(html, Exception):
                self._failures.log(_rendering(key), html, self, part=key, kind=key)

    def broke(self, error: Exception) -> None:
        """Log an internal error, which closes the streams."""
        self._failures.log(f"serving the streams of scope {self._scope!r}, which are closed,", error)

    def end(self) -> None:
        """Forget what has failed, because it will not be tried again."""
        self._failures.forget(self)

    @property
    def _what(self) -> str:
        return f"rendering the blocks of scope {self._scope!r}"


def _rendering(key: tuple[str, str]) -> str:
    template, block = key
    return f"rendering the block {block!r} of {template!r}"
