"""Settings from the environment. By default the workspace runs in one process with one SQLite file.

====================  ==============================================================================================
``DATABASE_URL``      the database: ``postgresql://…`` or ``sqlite:///file``; defaults to ``workspace.sqlite3``
``REACTIVE_BUS_URL``  the bus between processes: ``redis://…`` or ``postgresql://…``; defaults to memory
``REACTIVE_SECRET``   signs sessions and live URLs; all processes need the same secret
``EXAMPLE_HTMX``      ``2`` or ``4``: the version of htmx unless a visitor picks the other one
``EXAMPLE_DEBUG``     ``1``: failing blocks show their errors, and ``/_reactive/inspector`` is available
``EXAMPLE_PAUSE``     seconds between the words of a reply; defaults to 0.05
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
