"""Programs that start uvicorn themselves: ``python -m tests.servers.programs NAME PORT``.

Each of them tells its server to stop when it gets SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from .conftest import APP


def server_on(port: int, **options: Any) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(APP, port=port, log_level="warning", **options))


async def serve_with_own_handler(server: uvicorn.Server) -> None:
    def stop() -> None:
        server.should_exit = True

    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
        await asyncio.sleep(0.01)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await serving


def own_handler(port: int) -> None:
    """The program handles SIGTERM in the place of uvicorn."""
    asyncio.run(serve_with_own_handler(server_on(port)))


def own_handler_without_lifespan(port: int) -> None:
    """As above, and uvicorn sends the application no lifespan events."""
    asyncio.run(serve_with_own_handler(server_on(port, lifespan="off")))


def thread(port: int) -> None:
    """uvicorn runs in a thread, where it cannot handle signals."""
    server = server_on(port)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    running = threading.Thread(target=server.run)
    running.start()
    signal.sigwait({signal.SIGTERM})
    server.should_exit = True
    running.join()


PROGRAMS: dict[str, Callable[[int], None]] = {
    "own_handler": own_handler,
    "own_handler_without_lifespan": own_handler_without_lifespan,
    "thread": thread,
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](int(sys.argv[2]))
