"""Engines by their URLs."""

from __future__ import annotations

import importlib
from urllib.parse import urlsplit

from .._core.errors import ReactiveError
from .bridge import Bridge
from .engine import Engine
from .relay import Relay

__all__ = ["engine_from_url", "relay_from_url"]

_SCHEMES = {
    "redis": ("redis", "redis"),
    "rediss": ("redis", "redis"),
    "unix": ("redis", "redis"),
    "postgresql": ("postgres", "psycopg"),
    "postgres": ("postgres", "psycopg"),
}
"""The module and the library for a URL's scheme."""


def engine_from_url(url: str) -> Engine:
    """Return the engine at a URL.

    Raises:
        ValueError: There is no engine for such a URL.
        ReactiveError: The engine's extra is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise ValueError(
            f"there is no engine for {scheme or url!r} URLs: write redis://…, rediss://…, unix://…, postgresql://… or, "
            "for a bus of one process, memory://"
        )
    module, library = _SCHEMES[scheme]
    try:
        found = importlib.import_module(f".{module}.engine", __package__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise ReactiveError(
            f"a bus at {scheme}:// needs the package {library}, which is not installed: install "
            f"starlette-reactive[{module}]"
        ) from error
    engine: Engine = found.engine(url)
    return engine


def relay_from_url(url: str) -> Relay | None:
    """Return a relay to the engine at a URL; ``None`` for ``memory://``.

    Raises:
        ValueError: There is no engine for such a URL.
        ReactiveError: The engine's extra is not installed.
    """
    return None if urlsplit(url).scheme == "memory" else Bridge(engine_from_url(url))
