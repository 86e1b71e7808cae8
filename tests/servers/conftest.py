"""Servers in separate processes, and a fixture that runs each test against each of them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ..support import quiet_port, require
from ..test_server import Server

APP = "tests.servers.app:app"
UVICORN = ["-m", "uvicorn", APP, "--log-level", "warning", "--port", "{port}"]
GUNICORN = ["-m", "gunicorn", APP, "--log-level", "warning", "--bind", "127.0.0.1:{port}", "--no-control-socket"]
HYPERCORN = ["-m", "hypercorn", APP, "--log-level", "warning", "--bind", "127.0.0.1:{port}"]
GRANIAN = ["-m", "granian", APP, "--interface", "asgi", "--no-log", "--workers", "1", "--port", "{port}"]
COMMANDS = {
    "uvicorn": UVICORN,
    "hypercorn-asyncio": [*HYPERCORN, "--worker-class", "asyncio"],
    "hypercorn-trio": [*HYPERCORN, "--worker-class", "trio"],
    # granian does not notify its applications of a stop, and without a limit it waits for open responses for ever
    "granian": [*GRANIAN, "--workers-kill-timeout", "2"],
}


class GroupOfProcesses(Server):
    """A server with worker processes, which always end with it."""

    def __init__(self, name: str, command: list[str], port: int) -> None:
        self.name = name
        self.port = port
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - an unread pipe would fill up
        self.process = subprocess.Popen(
            command,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            text=True,
            start_new_session=True,
        )

    def stop(self, *, within: float) -> str:
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + within
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        stopped = self.process.poll() is not None
        output = self.kill()
        assert stopped, f"the server did not stop within {within} s; it printed:\n{output}"
        return output

    def kill(self) -> str:
        """Kill the server and its workers, and return what it printed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        if self._output.closed:
            return ""
        with self._output:
            self._output.seek(0)
            return self._output.read()


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the clients. The tests vary the one of the servers."""
    return "asyncio"


@contextlib.contextmanager
def running(name: str, command: Sequence[str]) -> Iterator[GroupOfProcesses]:
    """Run a server until the end of the block.

    Args:
        name: The name of its package, and what follows a hyphen.
        command: The arguments of Python, with ``{port}`` for the port.
    """
    package = name.split("-", maxsplit=1)[0]
    require(importlib.util.find_spec(package), package)
    port = quiet_port()
    server = GroupOfProcesses(name, [sys.executable, *(part.format(port=port) for part in command)], port)
    try:
        _wait_for_port(server)
        yield server
    finally:
        server.kill()


@pytest.fixture(params=list(COMMANDS))
def server(request: pytest.FixtureRequest) -> Iterator[GroupOfProcesses]:
    name = str(request.param)
    with running(name, COMMANDS[name]) as server:
        yield server


def _wait_for_port(server: Server) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return
        assert server.process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.05)
