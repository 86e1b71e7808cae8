"""Creating the schema in a database that does not have it yet."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import psycopg

from ..._core.errors import ReactiveError
from .connection import PostgresConnection
from .schema import DDL, SCHEMA, VERSION

__all__ = ["install", "installation"]


async def install(connection: PostgresConnection) -> None:
    """Create the schema unless it exists.

    Raises:
        ReactiveError: It does not exist and the role may not create it, or it belongs to another release.
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
    """Yield the queries that create the schema unless it exists.

    The caller runs each query, and sends the first value of its answer or throws its exception. This serves both
    connections that wait in an event loop and those that do not.

    Args:
        user: The role that runs the queries.

    Raises:
        ReactiveError: The schema does not exist and the role may not create it, or it belongs to another release.
    """
    try:
        if (yield f"select (to_regprocedure('{SCHEMA}.rx_version()') is not null)::text") != "true":
            yield DDL
        found = yield f"select {SCHEMA}.rx_version()::text"
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReactiveError(
            f"the role {user!r} may neither use nor create the schema {SCHEMA}: run "
            "starlette_reactive.engines.POSTGRES_DDL once, in a migration, as a role that may create schemas, and then "
            f"'grant usage on schema {SCHEMA} to …; grant select on all tables in schema {SCHEMA} to …': {error}"
        ) from error
    if found != str(VERSION):
        raise ReactiveError(
            f"the schema {SCHEMA} has layout {found}, but this release of starlette-reactive needs layout {VERSION}: "
            "run the same release in all processes"
        )
