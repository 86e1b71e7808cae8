"""Attacks on the password of an engine. What an attacker who reads logs, error pages or the health would gain: the
password, or a part that makes it easy to guess.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import anyio.to_thread
import psycopg
import pytest

from starlette_reactive import ChangeEvent, EmitTimeoutError, ReactiveBus
from starlette_reactive._engines import Bridge
from starlette_reactive._engines.urls import engine_from_url
from starlette_reactive.engines import Publisher

from ..engines.conftest import POSTGRES, REDIS, level, soon
from ..engines.servers import EngineServer, PostgresServer, RedisServer, postgres_binaries, redis_binary
from ..support import quiet_port, require

PARTS = ("hunter2", "Tr0ub4dor", "xyzzy7")
"""Long enough to be found in a text only if the password got there."""

SPECIAL = "hunter2/Tr0ub4dor@xyzzy7:?#[%&=+ é"
"""A password with every character that has a meaning in a URL."""


def check_hidden(*texts: object) -> None:
    for text in texts:
        for part in PARTS:
            assert part not in str(text), part


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception with everything that caused it or was handled when it was raised."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check_error(error: BaseException) -> None:
    check_hidden("".join(traceback.format_exception(error)))
    for each in chain(error):
        check_hidden(each, repr(each), each.args)


# URLs that are refused

INVALID = [
    # no known scheme
    "hunter2",
    "Tr0ub4dor@localhost",
    ":hunter2@localhost/0",
    "bus:hunter2@localhost/0",
    "hunter2:Tr0ub4dor@localhost",
    "//bus:hunter2@localhost",
    "mysql://bus:hunter2@localhost/0",
    "postgresql+://bus:hunter2@localhost/db",
    "postgresql+psycopg:bus:hunter2@localhost/db",
    "postgresql+hunter2@localhost/db",
    "postgresql+asyncpg://bus:hunter2@localhost/db?Tr0ub4dor=xyzzy7",
    "redis+socket://bus:hunter2@/tmp/socket",
    "redis+hunter2:1@localhost",
    "host=localhost user=bus password=hunter2",
    "password=hunter2",
    "mysql://bus:hunter2@[xyzzy7/0",
    "redis+tls://[hunter2]:1@localhost",
    # ports
    "redis://bus:hunter2@localhost:Tr0ub4dor/0",
    "redis://bus:hunter2@localhost:99999999/0",
    "postgresql://bus:hunter2@localhost:Tr0ub4dor/db",
    "postgresql://bus:hunter2@localhost:1,other:Tr0ub4dor/db",
    "postgresql://bus@localhost/db?password=hunter2&port=Tr0ub4dor",
    "postgresql://bus@localhost/db?password=hunter2&connect_timeout=Tr0ub4dor",
    # hosts
    "redis://bus:hunter2@[localhost/0",
    "redis://[hunter2]@localhost/0",
    "postgresql://bus:hunter2@[::1/db",
    "postgresql://bus:hunter2\u2100@localhost:x/db",
    "redis://bus:hunter2\u2100@localhost/0",
    # characters that are not encoded
    "redis://bus:hunter2/Tr0ub4dor@localhost/0",
    "redis://bus:1234/hunter2@localhost/0",
    "redis://bus:hunter2#Tr0ub4dor@localhost/0",
    "redis://bus:1234#Tr0ub4dor@localhost/0",
    "redis://bus:1234?Tr0ub4dor@localhost/0",
    "redis://bus:1234?db=hunter2@localhost/0",
    "redis://bus:hunter2\udc80@localhost/0",
    "redis://localhost/0?password=hunter2&Tr0ub4dor=xyzzy7",
    "redis://localhost/0?password=hunter2&max_connections=Tr0ub4dor",
    "unix://bus:hunter2/Tr0ub4dor@/tmp/socket",
    "postgresql://bus:hunter2/Tr0ub4dor@localhost/db",
    "postgresql://bus:1234/hunter2@localhost/db",
    "postgresql://bus:hunter2@Tr0ub4dor@localhost/db",
    "postgresql://bus:hunter2@Tr0ub4dor/xyzzy7@localhost/db",
    "postgresql://bus:1?hunter2@localhost/db",
    "postgresql://localhost?password=hunter2@Tr0ub4dor",
    "postgresql://bus:hunter2%zz@localhost/db",
    "postgresql://bus:hunter2%00@localhost/db",
    "postgresql://bus:hunter2%ff@localhost/db",
    "postgresql://bus:hunter2\0Tr0ub4dor@localhost/db",
    "postgresql://bus:hunter2\n@localhost/db",
    "postgresql://bus:hunter2\udc80@localhost/db",
    "postgresql://localhost/db?password=hunter2&Tr0ub4dor",
    "postgresql://localhost/db?password=hunter2&Tr0ub4dor=xyzzy7",
    "postgresql:password=hunter2",
    "postgres:hunter2@localhost",
]


@pytest.mark.parametrize("make", [ReactiveBus.from_url, Publisher.from_url], ids=["bus", "publisher"])
@pytest.mark.parametrize("url", INVALID, ids=ascii)
def test_an_invalid_url_is_refused_without_showing_any_of_it(
    make: Callable[[str], object], url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker would read the password in the log of a start that failed because of a typing error."""
    with pytest.raises(ValueError, match=r"no engine has|is invalid") as caught:
        make(url)
    check_error(caught.value)
    check_hidden(caplog.text)


@pytest.mark.parametrize(
    "url",
    [
        "redis://bus:hunter2@localhost/0",
        "redis://bus:hunter2@Tr0ub4dor@localhost/0",
        "redis://localhost/0?username=bus&password=hunter2",
        "rediss://bus:hunter2%2FTr0ub4dor@localhost",
        "unix://bus:hunter2@/tmp/socket?db=1",
        "postgresql://bus:hunter2%40Tr0ub4dor@localhost/db",
        "postgresql://bus:hunter2#Tr0ub4dor@one:1,two:2/db?target_session_attrs=read-write",
        "postgresql:///db?user=me@company&password=hunter2",
        "postgres://bus@localhost?sslpassword=hunter2&password=xyzzy7",
        "postgresql+psycopg://bus:hunter2@localhost/db",
    ],
)
def test_the_representation_of_a_bus_and_a_publisher_shows_no_password(url: str) -> None:
    """An attacker would read it in an error report, which shows variables."""
    engine = engine_from_url(url)
    check_hidden(repr(engine), str(engine), repr(engine.connect("process")))
    bus, publisher = ReactiveBus.from_url(url), Publisher.from_url(url)
    check_hidden(repr(bus), str(bus), bus.health(), repr(publisher), str(publisher))


# Connections that fail


@pytest.fixture(scope="module")
def guarded_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server with a user ``bus``, who needs a password."""
    require(redis_binary(), "redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        answer = server.command("ACL", "SETUSER", "bus", "on", f">{SPECIAL}", "~*", "&*", "+@all")
        assert answer.startswith(b"+OK")
        yield server


@pytest.fixture(scope="module")
def guarded_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server with a superuser ``bus``, who needs a password."""
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute(psycopg.sql.SQL("create role bus superuser login password {}").format(SPECIAL))
            (path,) = admin.execute("show hba_file").fetchone() or ("",)
            rules = Path(path).read_text()
            Path(path).write_text(f"host all bus all scram-sha-256\n{rules}")
            admin.execute("select pg_reload_conf()")
        yield server


@pytest.fixture(params=[REDIS, POSTGRES])
def guarded(request: pytest.FixtureRequest) -> EngineServer:
    server: EngineServer = request.getfixturevalue(f"guarded_{request.param}")
    return server


def address(server: EngineServer, port: int | None = None, host: str = "127.0.0.1") -> str:
    return f"{host}:{port or server.port}/{0 if isinstance(server, RedisServer) else 'postgres'}"


def scheme(server: EngineServer) -> str:
    return "redis" if isinstance(server, RedisServer) else "postgresql"


def urls(server: EngineServer, password: str, where: str) -> list[str]:
    """Return URLs with a password at different places."""
    coded = quote(password, safe="")
    user = "username" if isinstance(server, RedisServer) else "user"
    return [f"{scheme(server)}://bus:{coded}@{where}", f"{scheme(server)}://{where}?{user}=bus&password={coded}"]


async def check_failure(url: str, caplog: pytest.LogCaptureFixture) -> str:
    """Check that nothing shows the password while a bus and a publisher fail to connect, and return the error."""
    caplog.set_level(logging.DEBUG)
    bus = ReactiveBus.from_url(url)
    bus.start()
    try:
        await soon(lambda: bus.health().last_error)
        check_hidden(bus.health())
    finally:
        await anyio.to_thread.run_sync(bus.stop)
    with pytest.raises(EmitTimeoutError) as caught:
        await anyio.to_thread.run_sync(Publisher.from_url(url, patience=0.5).emit, "s", "a")
    check_error(caught.value)
    check_emit_and_stop(url)
    check_hidden(caplog.text)
    assert "stopped with 1 change" in caplog.text
    return f"{bus.health().last_error} {caught.value}"


def check_emit_and_stop(url: str) -> None:
    """Check that nothing shows the password when a bus that was not started emits and stops."""
    bus = ReactiveBus(relay=Bridge(engine_from_url(url), patience=0.3))
    with pytest.raises(EmitTimeoutError) as caught:
        bus.emit_sync(ChangeEvent("s", {"a"}))
    check_error(caught.value)
    check_hidden(bus.health())
    bus.stop()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_right_password_connects(guarded: EngineServer, caplog: pytest.LogCaptureFixture) -> None:
    """The counterpart: the servers of these tests do ask for the password, and the URLs contain it."""
    caplog.set_level(logging.DEBUG)
    for url in urls(guarded, SPECIAL, address(guarded)):
        bus = ReactiveBus.from_url(url)
        bus.start()
        try:
            await level(bus)
            with Publisher.from_url(url) as publisher:
                await anyio.to_thread.run_sync(publisher.emit, "s", "a")
            check_hidden(bus.health(), caplog.text)
        finally:
            await anyio.to_thread.run_sync(bus.stop)


@pytest.mark.parametrize("password", ["hunter2", f"no {SPECIAL}"])
async def test_a_refused_password_is_not_shown(
    guarded: EngineServer, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker would read the password of another server, or an older one, in the log."""
    for url in urls(guarded, password, address(guarded)):
        shown = await check_failure(url, caplog)
        assert "password" in shown


async def test_the_password_for_an_unreachable_server_is_not_shown(
    guarded: EngineServer, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker would read the password in the log whenever the engine is restarted."""
    for where in (address(guarded, quiet_port()), address(guarded, host="no-such-host.invalid")):
        for url in urls(guarded, SPECIAL, where):
            await check_failure(url, caplog)


@pytest.mark.engine
async def test_a_server_without_the_command_auth_does_not_show_the_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An attacker would read the password in the log: such a server answers with what it was sent."""
    require(redis_binary(), "redis-server")
    with RedisServer(tmp_path, settings=("--rename-command", "AUTH", "")) as server:
        for url in urls(server, "hunter2 Tr0ub4dor", address(server)):
            assert "unknown command 'AUTH'" in await check_failure(url, caplog)
