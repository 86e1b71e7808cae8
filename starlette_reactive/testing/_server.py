"""Server: an application with its lifespan, running in the test's own event loop.

All tasks of an application belong to one host task per event loop, not to the task that sends a request: a test
framework may set fixtures up and tear them down in different tasks. Clients of one application share its lifespan.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar, checkpoint
from starlette.types import ASGIApp, Message, Scope

from .._core.loops import spawn

__all__ = ["NOT_RUNNING", "Server", "enter_server", "leave_server"]

NOT_RUNNING = "the application is not running: use the client as a context manager, in `async with`"

_servers: RunVar[dict[int, Server]] = RunVar("starlette_reactive_testing_servers")


class Server:
    """An application with its lifespan, and the host of all its tasks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.users = 0
        self._ready = anyio.Event()
        self._stop = anyio.Event()
        self._stopped = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._error: BaseException | None = None

    def start_soon(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a function as a task of the server; it must not raise."""
        if self._tasks is None:
            raise RuntimeError(NOT_RUNNING)
        self._tasks.start_soon(function)

    async def start(self) -> None:
        """Start the application, or wait until it has started.

        Raises:
            Exception: The lifespan raised it.
        """
        if self.users == 1:
            spawn(self._host, name="starlette-reactive test server", context=contextvars.copy_context())
        await self._ready.wait()
        self._raise_error()

    async def stop(self) -> None:
        """Shut the lifespan down and cancel the remaining tasks.

        Raises:
            Exception: The lifespan raised it.
        """
        with anyio.CancelScope(shield=True):
            self._stop.set()
            await self._stopped.wait()
            await checkpoint()  # the host task itself ends
        self._raise_error()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _host(self) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await self._run_lifespan()
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            self._ready.set()
            self._stopped.set()

    async def _run_lifespan(self) -> None:
        incoming: deque[Message] = deque([{"type": "lifespan.startup"}])
        ended = anyio.Event()

        async def receive() -> Message:
            if not incoming:
                await self._stop.wait()
                return {"type": "lifespan.shutdown"}
            return incoming.popleft()

        async def send(message: Message) -> None:
            if message["type"].endswith(".failed"):
                self._error = RuntimeError(f"the application failed: {message.get('message', '')}")
            self._ready.set()

        async def run() -> None:
            try:
                await self.app(self._lifespan_scope(), receive, send)
            except Exception as error:  # noqa: BLE001 - raised in the test
                if self._ready.is_set():  # raised earlier, it means that the application has no lifespan
                    self._error = error
            finally:
                self._ready.set()
                ended.set()

        self.start_soon(run)
        await self._stop.wait()
        await ended.wait()

    def _lifespan_scope(self) -> Scope:
        return {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}


async def enter_server(app: ASGIApp) -> Server:
    """Return the server of an application, started if needed. Release it with :func:`leave_server`."""
    servers = _servers.get(None)
    if servers is None:
        servers = {}
        _servers.set(servers)
    server = servers.get(id(app)) or Server(app)
    servers[id(app)] = server
    server.users += 1
    try:
        await server.start()
    except BaseException:
        await leave_server(server)
        raise
    return server


async def leave_server(server: Server) -> None:
    """Release a server; the last release stops it."""
    server.users -= 1
    if not server.users:
        _servers.get().pop(id(server.app), None)
        await server.stop()
