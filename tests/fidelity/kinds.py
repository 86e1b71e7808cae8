"""The clients that the tests compare, and the kinds of markup that each of them updates as a reload would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["CLIENTS", "KINDS", "Client", "Kind"]


@dataclass(frozen=True, slots=True)
class Client:
    """How a page is connected.

    Args:
        wire: What the page declares.
        scripts: What it loads, without the live script.
        live: Whether it loads the live script.
        htmx: The version of htmx that comes with the live script.
    """

    wire: str = "htmx"
    scripts: Sequence[str] = ()
    live: bool = False
    htmx: int | None = None

    @property
    def values(self) -> Mapping[str, Any]:
        """What the layout reads."""
        return {"scripts": self.scripts, "script": self.live, "htmx": self.htmx, "turbo": self.wire == "turbo"}


CLIENTS = {
    "htmx 2, live script": Client(live=True, htmx=2),
    "htmx 4, live script": Client(live=True, htmx=4),
    "live script alone": Client(live=True),
    "htmx 2": Client(scripts=["vendor/htmx-2.0.11/htmx.min.js", "vendor/htmx-ext-sse-2.2.4/sse.min.js"]),
    "htmx 4": Client(scripts=["vendor/htmx-4.0.1/htmx.min.js", "vendor/htmx-4.0.1/hx-sse.min.js"]),
    "Turbo": Client(wire="turbo", scripts=["tests/vendor/turbo-8.0.23/turbo.es2017-umd.js"]),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of markup."""

    name: str


KINDS: Mapping[str, Kind] = {}
