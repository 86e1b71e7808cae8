"""Finding the engine of a URL. An engine's driver is imported only when it is needed."""

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
"""The sub-package, which is named like the extra, and the driver of a URL's scheme."""


def engine_from_url(url: str) -> Engine:
    """Return the engine at a URL.

    Raises:
        ValueError: No engine has such a URL.
        ReactiveError: The engine's extra is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        raise ValueError(
            f"no engine has {scheme or url!r} URLs: use redis://…, rediss://…, unix://…, postgresql://… or, for a bus "
            "of one process, memory://"
        )
    extra, driver = _SCHEMES[scheme]
    try:
        module = importlib.import_module(f".{extra}.engine", __package__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != driver:
            raise
        raise ReactiveError(
            f"a bus at {scheme}:// needs the package {driver}, which is not installed: install "
            f"starlette-reactive[{extra}]"
        ) from error
    engine: Engine = module.engine(url)
    return engine


def relay_from_url(url: str) -> Relay | None:
    """Return a relay to the engine at a URL, or ``None`` for ``memory://``.

    Raises:
        ValueError: No engine has such a URL.
        ReactiveError: The engine's extra is not installed.
    """
    return None if urlsplit(url).scheme == "memory" else Bridge(engine_from_url(url))
