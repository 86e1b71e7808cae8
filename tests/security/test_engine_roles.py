"""Attacks from a role of PostgreSQL that may only emit. What an attacker would gain: they end the streams of others,
show people who are not there, and read who is.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import psycopg
import pytest

from starlette_reactive import ChangeEvent, ConnectionInfo, EmitTimeoutError, ReactiveBus
from starlette_reactive.engines import POSTGRES_DDL, Publisher

from ..engines.conftest import POSTGRES, World, level, soon
from ..engines.servers import PostgresServer
from ..engines.test_conformance import take_until

LAYOUT_1 = Path(__file__).with_name("layout_1.sql")
"""The schema as releases before layout 2 created it."""

EMITTING = {"rx_emit", "rx_wake", "rx_version"}


@contextlib.contextmanager
def sql(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as user:
        yield user


@pytest.fixture
def admin(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A superuser in a database without the schema."""
    with sql(postgres.url) as user:
        user.execute("drop schema if exists reactive cascade")
        yield user
        user.execute("drop schema if exists reactive cascade")


@pytest.fixture
def emitter(postgres: PostgresServer, admin: psycopg.Connection[Any]) -> Iterator[str]:
    """The URL of a role that may only emit."""
    admin.execute(POSTGRES_DDL.encode())
    with role(postgres, admin, "grant usage on schema reactive to {}") as url:
        yield url


@contextlib.contextmanager
def role(postgres: PostgresServer, admin: psycopg.Connection[Any], *grants: str) -> Iterator[str]:
    """Create a role, and yield its URL. ``{}`` in a grant stands for its name."""
    name = f"role_{secrets.token_hex(4)}"
    admin.execute(f"create role {name} login".encode())
    for grant in grants:
        admin.execute(grant.format(name).encode())
    yield postgres.url.replace("postgres@", f"{name}@")
    admin.execute(f"drop owned by {name}; drop role {name}".encode())


def functions(user: psycopg.Connection[Any], condition: str = "true") -> set[str]:
    rows = user.execute(
        f"select proname from pg_proc where pronamespace = 'reactive'::regnamespace and {condition}".encode()
    )
    return {name for (name,) in rows}


async def test_an_emitting_role_can_emit(postgres: PostgresServer, emitter: str) -> None:
    """The counterpart: what such a role is for still works, in SQL and with a publisher."""
    with contextlib.ExitStack() as stack:
        world = World(POSTGRES, postgres, stack)
        bus = world.process()
        await level(bus)
        with bus.subscribe(world.scope) as subscription, sql(emitter) as user:
            await bus.ready(world.scope)
            for number, wake in enumerate(("notify reactive", "select reactive.rx_wake()")):
                user.execute("select reactive.rx_emit(%s, %s)", (world.scope, [f"p{number}"]))
                user.execute(wake)
                await take_until(subscription, f"p{number}")
            with Publisher.from_url(emitter) as publisher:
                await anyio.to_thread.run_sync(publisher.emit, world.scope, "published")
            await take_until(subscription, "published")
        assert bus.health().ignored == 0


@pytest.mark.parametrize(
    "call",
    [
        """rx_send('forged', '{"members": [], "ended": [{"user": "ann"}], "events": []}')""",
        """rx_enroll('forged', '[{"scope": "s", "key": "1", "session": "tab", "since": 1}]')""",
        "rx_beat('forged', interval '1 year')",
        "rx_trim('0', 0, 1000)",
        "rx_begin()",
    ],
    ids=lambda call: call.partition("(")[0],
)
def test_an_emitting_role_can_call_nothing_else(emitter: str, call: str) -> None:
    """An attacker would end the streams of any user, forge who is present, or delete changes before they are read."""
    with sql(emitter) as user, pytest.raises(psycopg.errors.InsufficientPrivilege, match="function"):
        user.execute(f"select reactive.{call}".encode())


def test_every_function_but_the_emitting_ones_is_refused_to_an_emitting_role(
    admin: psycopg.Connection[Any], emitter: str
) -> None:
    """An attacker would use a function that was added without a thought of roles."""
    with sql(emitter) as user:
        allowed = functions(user, "has_function_privilege(oid, 'execute')")
        assert allowed == EMITTING
        assert functions(user) > allowed


def test_an_emitting_role_cannot_sign_for_a_transaction_of_others(admin: psycopg.Connection[Any], emitter: str) -> None:
    """An attacker would announce changes before they are committed, which hides them when they are."""
    admin.execute("select reactive.rx_begin()")
    admin.execute("listen reactive")
    with sql(emitter) as user:
        user.execute("select reactive.rx_wake('7 []')")  # without a transaction that wrote something
        user.execute("select reactive.rx_emit('s', '{a}'), reactive.rx_wake('7 []')")
        rows = user.execute("select txid_current() - 1").fetchall()
    first, second = admin.notifies(stop_after=2, timeout=30)
    assert first.payload == ""
    assert second.payload.split(" ", 1)[1] == f"{rows[0][0]} 7 []"


@pytest.mark.parametrize("table", ["life", "log", "ended", "processes", "members"])
@pytest.mark.parametrize("statement", ["select from {}", "delete from {}", "truncate {}", "drop table {}"])
def test_an_emitting_role_cannot_use_the_tables(emitter: str, table: str, statement: str) -> None:
    """An attacker would read who views what, or delete changes before they are read."""
    with sql(emitter) as user, pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute(statement.format(f"reactive.{table}").encode())


def test_an_emitting_role_cannot_add_to_the_schema(emitter: str) -> None:
    """An attacker would put a function of their own in the way of those of the schema."""
    with sql(emitter) as user, pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("create function reactive.rx_emit(text) returns void language sql as ''")


def test_functions_with_the_rights_of_their_owner_have_a_fixed_search_path(admin: psycopg.Connection[Any]) -> None:
    """An attacker would run code as the owner of the schema, with an operator or a table of the same name."""
    admin.execute(POSTGRES_DDL.encode())
    assert functions(admin, "prosecdef") == functions(admin) - {"rx_version"}
    assert functions(admin, "prosecdef") == functions(admin, """proconfig = array['search_path=pg_catalog, pg_temp']""")


async def test_an_emitting_role_is_told_why_it_cannot_run_a_bus(emitter: str) -> None:
    """The counterpart: the error names the grants that are missing."""
    bus = ReactiveBus.from_url(emitter)
    bus.start()
    try:
        await soon(lambda: "may not run a bus" in (bus.health().last_error or ""))
        assert "grant execute on all functions in schema reactive to" in (bus.health().last_error or "")
    finally:
        await anyio.to_thread.run_sync(bus.stop)


# Installations that exist


@pytest.mark.parametrize("layout", [1, 2])
async def test_a_bus_closes_an_older_installation_to_emitting_roles(
    postgres: PostgresServer, admin: psycopg.Connection[Any], layout: int
) -> None:
    """An attacker would go on as before in every database that was installed before the fix."""
    admin.execute(LAYOUT_1.read_bytes())
    if layout == 2:
        admin.execute("create or replace function reactive.rx_version() returns integer language sql as 'select 2'")
        admin.execute("revoke execute on all functions in schema reactive from public")
    with role(postgres, admin, "grant usage on schema reactive to {}") as url, sql(url) as user:
        if layout == 1:
            assert functions(user, "has_function_privilege(oid, 'execute')") > EMITTING
        else:
            admin.execute("grant execute on function reactive.rx_version() to public")
        admin.execute("insert into reactive.ended (process, user_id) values ('kept', 'ann')")
        with contextlib.ExitStack() as stack:
            await level(World(POSTGRES, postgres, stack).process())
        assert functions(user, "has_function_privilege(oid, 'execute')") == EMITTING
    assert admin.execute("select reactive.rx_version(), user_id from reactive.ended").fetchall() == [(3, "ann")]


async def test_the_role_of_an_application_keeps_what_it_needs(
    postgres: PostgresServer, admin: psycopg.Connection[Any]
) -> None:
    """The counterpart: a role with the grants that were documented for layout 1 still runs a bus afterwards."""
    admin.execute(LAYOUT_1.read_bytes())
    grants = ("grant usage on schema reactive to {}", "grant select on all tables in schema reactive to {}")
    with role(postgres, admin, *grants) as url:
        early = ReactiveBus.from_url(url)
        early.start()
        try:
            await soon(lambda: "as the owner of the schema" in (early.health().last_error or ""))
        finally:
            await anyio.to_thread.run_sync(early.stop)
        with pytest.raises(EmitTimeoutError, match="may not change it: run .*POSTGRES_DDL in a migration"):
            await anyio.to_thread.run_sync(Publisher.from_url(url, patience=3).emit, "s", "a")
        admin.execute(POSTGRES_DDL.encode())
        await check_bus(url)


async def test_the_documented_grants_are_sufficient(postgres: PostgresServer, admin: psycopg.Connection[Any]) -> None:
    """The counterpart: the two roles in the deployment guide can do what they are for."""
    page = (Path(__file__).parents[2] / "docs/deployment.md").read_text()
    grants = [line.rstrip(";").replace(" to app", " to {}") for line in page.splitlines() if line.endswith(" to app;")]
    assert len(grants) == 3
    admin.execute(POSTGRES_DDL.encode())
    with role(postgres, admin, *grants) as url:
        await check_bus(url)


async def check_bus(url: str) -> None:
    """Check that a role can do everything that a bus does."""
    buses = ReactiveBus.from_url(url), ReactiveBus.from_url(url)
    here, there = buses
    for bus in buses:
        bus.start()
    try:
        await level(*buses)
        with (
            here.subscribe("s", connection=ConnectionInfo("1", "ann")) as ann,
            there.subscribe("s", connection=ConnectionInfo("2", "bob")) as bob,
        ):
            await here.ready("s")
            await there.ready("s")
            await here.emit(ChangeEvent("s", {"a"}))
            await take_until(bob, "a")
            await soon(lambda: len(here.presence("s")) == 2)
            there.close_user("ann")
            await soon(lambda: ann._subscriber.closed)
        assert [bus.health().last_error for bus in buses] == [None, None]
    finally:
        for bus in buses:
            await anyio.to_thread.run_sync(bus.stop)
