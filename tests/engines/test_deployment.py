"""The settings in the deployment guide are sufficient."""

from __future__ import annotations

import re
from pathlib import Path

import anyio.to_thread

from starlette_reactive import ChangeEvent, ConnectionInfo, ReactiveBus
from starlette_reactive._engines import Publisher

from ..support import eventually, require
from .conftest import level
from .servers import RedisServer, redis_binary

PAGE = (Path(__file__).parents[2] / "docs/deployment.md").read_text()


async def test_the_documented_redis_acl_is_sufficient(tmp_path: Path) -> None:
    require(redis_binary(), "redis-server")
    acl = re.search(r"^user bus on >password (.*)$", PAGE, re.MULTILINE)
    assert acl is not None
    with RedisServer(tmp_path) as server:
        assert server.command("ACL", "SETUSER", "bus", "on", ">password", *acl[1].split()).startswith(b"+OK")
        url = server.url.replace("redis://", "redis://bus:password@")
        here, there = ReactiveBus.from_url(url), ReactiveBus.from_url(url)
        here.start()
        there.start()
        try:
            await level(here, there)
            with (
                here.subscribe("s", connection=ConnectionInfo("tab", "ann")) as ann,
                there.subscribe("s", connection=ConnectionInfo("tab", "bob")) as bob,
            ):
                await here.ready("s")
                await there.ready("s")
                await here.emit(ChangeEvent("s", {"a"}))
                assert (await anext(bob)).changed_paths == {"a"}
                await eventually(lambda: len(here.presence("s")) == 2)

                def publish() -> None:
                    with Publisher.from_url(url) as publisher:
                        publisher.emit("s", "b")

                await anyio.to_thread.run_sync(publish)
                assert (await anext(bob)).changed_paths == {"b"}
                here.close_user("bob")
                await eventually(lambda: bob._subscriber.closed)
                assert ann.drain()
            assert here.health().last_error is None
            assert there.health().last_error is None
        finally:
            await anyio.to_thread.run_sync(here.stop)
            await anyio.to_thread.run_sync(there.stop)
        assert server.command("ACL", "LOG") == b"*0\r\n"
