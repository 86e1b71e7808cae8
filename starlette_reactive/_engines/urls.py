"""Finding the engine of a URL. An engine's driver is imported only when it is needed.

SQLAlchemy writes a driver into a URL, such as ``postgresql+asyncpg://``. It is left out, because an engine has its own.

A URL may contain a password, so no error shows more of it than its scheme.
"""

from __future__ import annotations

import importlib
import re

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

_SQLALCHEMY = re.compile(r"^postgres(ql)?\+\w+://", re.IGNORECASE | re.ASCII)


def engine_from_url(url: str) -> Engine:
    """Return the engine at a URL.

    Raises:
        ValueError: No engine has such a URL, or it is invalid. The error shows nothing of it but its scheme.
        ReactiveError: The engine's extra is not installed.
    """
    url = _SQLALCHEMY.sub("postgresql://", url)
    scheme = _scheme(url)
    if scheme not in _SCHEMES:
        raise ValueError(_unknown(scheme, url))
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
        ValueError: No engine has such a URL, or it is invalid. The error shows nothing of it but its scheme.
        ReactiveError: The engine's extra is not installed.
    """
    return None if _scheme(url) == "memory" else Bridge(engine_from_url(url))


def _unknown(scheme: str, url: str) -> str:
    if scheme.startswith(("redis+", "rediss+")) and url.lower().startswith(f"{scheme}://"):
        return (
            f"no engine has {scheme}:// URLs, as other packages have: use redis://host:port/0, rediss:// for TLS, or "
            "unix:///path for a socket. Sentinel and clusters are not possible"
        )
    what = f"{scheme}://" if url.lower().startswith(f"{scheme}://") else "such"
    return (
        f"no engine has {what} URLs: use redis://…, rediss://…, unix://…, postgresql://… or, for a bus of one process, "
        "memory://"
    )


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()
