"""The server under test, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..support import quiet_port
from .club import KeyFile
from .state import State

MEMBERS = 24
"""How many members have keys."""
ROOT = Path(__file__).parents[2]


class Server:
    """The server process, which can be killed and started again on the same port.

    Args:
        directory: Where the data and its log go.
        seed: What it draws from.
        loses: What it does wrong, by its name in ``controls``. Empty if nothing.
        weight: How many bytes the heaviest block has.
    """

    def __init__(self, directory: Path, seed: str, *, loses: str = "", weight: int = 6_000) -> None:
        self.state_path = directory / "state"
        self.log_path = directory / "server.log"
        self.findings_path = directory / "findings"
        self.findings_path.touch()
        self.state = State.create(self.state_path)
        self.keys = KeyFile.create(directory / "keys", MEMBERS)
        self.port = quiet_port()
        self._env = os.environ | {
            "CHAOS_STATE": str(self.state_path),
            "CHAOS_SEED": seed,
            "CHAOS_LOSES": loses,
            "CHAOS_KEYS": str(directory / "keys"),
            "CHAOS_MEMBERS": str(MEMBERS),
            "CHAOS_FINDINGS": str(self.findings_path),
            "CHAOS_WEIGHT": str(weight),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.up = asyncio.Event()

    async def start(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "tests.chaos.server:app", "--port", str(self.port)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
                [*command, "--log-level", "warning"], cwd=ROOT, env=self._env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                break
            assert self.process.poll() is None, self.log_path.read_text()[-3000:]
            assert time.monotonic() < deadline, "the server did not start"
            await asyncio.sleep(0.02)
        self.up.set()

    def kill(self) -> None:
        self.up.clear()
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
