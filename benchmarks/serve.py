"""A server process: one variant on the server's core, and a control line on a port of its own.

Commands are lines of text: ``emit NUMBER`` makes a change; what else a variant understands is in its ``commands``.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
from typing import Any

import uvicorn
import uvloop

from .machine import pin, raise_file_limit
from .variants import SIGNED_IN, VARIANTS, Variant

__all__: list[str] = []


class _Control(asyncio.Protocol):
    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            command, *args = line.decode().split()
            if command == "emit":
                self._variant.emit(int(args[0]))
                continue
            if command == "collect":
                gc.collect()
                answer: Any = True
            else:
                answer = self._variant.commands[command](*args)
            if self._transport is not None and answer is not None:
                self._transport.write(json.dumps(answer).encode() + b"\n")


async def _main(options: dict[str, Any]) -> None:
    module, name = {**VARIANTS, **SIGNED_IN}[options["variant"]].rsplit(":", 1)
    variant: Variant = getattr(importlib.import_module(module), name)(options)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: _Control(variant), "127.0.0.1", options["control"])
    if variant.protocol is not None:
        server = await loop.create_server(variant.protocol, "127.0.0.1", options["port"], backlog=4096)
        await server.serve_forever()
    assert variant.app is not None
    config = uvicorn.Config(
        variant.app,
        port=options["port"],
        interface="asgi3",
        http="httptools",
        loop="uvloop",
        log_level="warning",
        access_log=False,
        backlog=4096,
        lifespan="off",
        timeout_keep_alive=600,  # no connection ends while it waits for its turn, and none is asked whether it is alive
        ws_ping_interval=None,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    pin(told["core"])  # this process cannot tell: its parent is pinned to the other one
    raise_file_limit()
    uvloop.run(_main(told))
