"""Creating the schema in a database that does not have it yet, and bringing that of an older release up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import psycopg

from ..._core.errors import ReactiveError
from .connection import PostgresConnection
from .schema import DDL, SCHEMA, VERSION

__all__ = ["install", "installation", "refused"]

_GRANTS = (
    f"'grant usage on schema {SCHEMA} to …; grant select on all tables in schema {SCHEMA} to …; grant execute on all "
    f"functions in schema {SCHEMA} to …'"
)
"""What a role needs that runs a bus."""


async def install(connection: PostgresConnection) -> None:
    """Create the schema, or bring it up to date.

    Raises:
        ReactiveError: The role may not do so, or the schema belongs to a newer release.
    """
    steps = installation(connection.user)
    with contextlib.suppress(StopIteration):
        query = next(steps)
        while True:
            try:
                rows = await connection.fetch(query)
            except psycopg.Error as error:
                query = steps.throw(error)
            else:
                query = steps.send(rows[0][0] if rows else None)


def installation(user: str) -> Generator[str, str | None, None]:
    """Yield the queries that create the schema, or bring it up to date.

    The caller runs each query, and sends the first value of its answer or throws its exception. This serves both
    connections that wait in an event loop and those that do not.

    Args:
        user: The role that runs the queries.

    Raises:
        ReactiveError: The role may not do so, or the schema belongs to a newer release.
    """
    try:
        if (yield f"select (to_regprocedure('{SCHEMA}.rx_version()') is not null)::text") != "true":
            yield DDL
        found = yield f"select {SCHEMA}.rx_version()::text"
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReactiveError(
            f"the role {user!r} may neither use nor create the schema {SCHEMA}: run "
            "starlette_reactive.engines.POSTGRES_DDL once, in a migration, as a role that may create schemas, and then "
            f"{_GRANTS}: {error}"
        ) from error
    if int(found or 0) < VERSION:
        found = yield from _upgrade(user, found)
    if found != str(VERSION):
        raise ReactiveError(
            f"the schema {SCHEMA} has layout {found}, but this release of starlette-reactive needs layout {VERSION}: "
            "run the same release in all processes"
        )


def _upgrade(user: str, found: str | None) -> Generator[str, str | None, str | None]:
    try:
        yield DDL
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReactiveError(
            f"the schema {SCHEMA} has layout {found}, this release of starlette-reactive needs layout {VERSION}, and "
            f"the role {user!r} may not change it: run starlette_reactive.engines.POSTGRES_DDL in a migration, as the "
            f"owner of the schema: {error}"
        ) from error
    return (yield f"select {SCHEMA}.rx_version()::text")


def refused(user: str, error: psycopg.errors.InsufficientPrivilege) -> ReactiveError:
    """Return what to raise if a role that uses the schema may not run a bus."""
    return ReactiveError(f"the role {user!r} may not run a bus, although it may emit: {_GRANTS}: {error}")
