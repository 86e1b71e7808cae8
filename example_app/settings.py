"""What the environment decides. Without any of it, the workspace lives in one SQLite file and one process.

====================  ==============================================================================================
``DATABASE_URL``      where the data is: ``postgresql://…`` or ``sqlite:///file``; ``workspace.sqlite3`` by default
``REACTIVE_BUS_URL``  how processes tell each other of changes: ``redis://…``, ``postgresql://…``; memory by default
``REACTIVE_SECRET``   signs sessions and live URLs; the same text for all processes
``EXAMPLE_HTMX``      ``2`` or ``4``: the version that pages load until somebody picks the other one
``EXAMPLE_DEBUG``     ``1``: failing blocks say so in the page, and ``/_reactive/inspector`` shows what happens
``EXAMPLE_PAUSE``     seconds between the words of a reply; 0.05 by default
====================  ==============================================================================================
"""

from __future__ import annotations

import os

from sqlalchemy import URL, make_url

__all__ = ["HTMX_VERSIONS", "bus_url", "database_url", "debug", "default_htmx", "pause", "secret"]

HTMX_VERSIONS = (2, 4)
_ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def database_url() -> URL:
    url = make_url(os.environ.get("DATABASE_URL", "sqlite:///workspace.sqlite3"))
    return url.set(drivername=_ASYNC_DRIVERS.get(url.drivername, url.drivername))


def bus_url() -> str:
    return os.environ.get("REACTIVE_BUS_URL", "memory://")


def secret() -> str | None:
    return os.environ.get("REACTIVE_SECRET")


def debug() -> bool:
    return os.environ.get("EXAMPLE_DEBUG") == "1"


def default_htmx() -> int:
    return 4 if os.environ.get("EXAMPLE_HTMX") == "4" else 2


def pause() -> float:
    return float(os.environ.get("EXAMPLE_PAUSE", "0.05"))
