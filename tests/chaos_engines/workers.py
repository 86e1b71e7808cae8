"""Worker processes of one application, each with a path of its own to the engine, and the tabs that roam among them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..chaos.member import Member
from ..chaos.viewer import Viewer
from ..engines.servers import EngineServer
from ..support import quiet_port
from .wire import Wire

ROOT = Path(__file__).parents[2]
_START_SECONDS = 180.0  # on a machine that has much else to do


class Worker:
    """One server process, which can be killed and started again on the same port.

    Args:
        number: What tells it from the others.
        directory: Where its log goes.
        engine: What its bus runs on.
        settings: More of its environment.
    """

    def __init__(self, number: int, directory: Path, engine: EngineServer, settings: Mapping[str, str]) -> None:
        self.number = number
        self.port = quiet_port()
        self.wire = Wire(engine.port)
        self.log_path = directory / f"worker-{number}.log"
        self.lives = 0
        self.unsettled: list[Any] = []  # changes that it keeps for the engine, as far as one knows
        self._engine_url = engine.url
        self._engine_port = engine.port
        self._settings = settings
        self.is_up = False
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        if not self.wire.port:
            await self.wire.start()
        process = self._process = self._launch()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"worker {self.number} did not start: {self.log_tail()}")
            await asyncio.sleep(0.05)
        self.is_up = True
        self.lives += 1

    def _launch(self) -> subprocess.Popen[bytes]:
        url = self._engine_url.replace(f":{self._engine_port}", f":{self.wire.port}")
        command = [sys.executable, "-m", "uvicorn", "tests.chaos_engines.app:app", "--port", str(self.port)]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*command, "--log-level", "warning"],
                cwd=ROOT,
                env={**os.environ, "CHAOS_ENGINE": url, **self._settings},
                stdout=log,
                stderr=log,
            )

    def log_tail(self) -> str:
        """Return the end of its log, for those who look for what went wrong."""
        ended = None if self._process is None else self._process.poll()
        return f"(exit code {ended}) {self.log_path.read_text()[-3000:]}"

    def kill(self) -> list[Any]:
        """Kill it, and return the changes that may have died with it."""
        lost, self.unsettled = self.unsettled, []
        self.is_up = False
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGKILL)
            process.wait()
        return lost

    async def stop(self) -> None:
        self.kill()
        await self.wire.stop()


class Tab(Viewer):
    """A viewer that connects to another worker each time.

    Args:
        place: Which of the places at the board it has.
        ports: Where the workers listen.
        on_move: Called with the worker's port that it chose.
        **more: As of :class:`Viewer`.
    """

    def __init__(self, place: int, ports: Sequence[int], *, chance: random.Random, **more: Any) -> None:
        on_load: Callable[[Viewer], None] = lambda _: None  # noqa: E731
        super().__init__(**more, chance=chance, port=0, on_load=on_load)
        self.place = place
        self._ports = ports

    def _choose_port(self) -> int:
        port = self._chance.choice(self._ports)
        self.note(f"goes to port {port}")
        return port

    def move(self) -> None:
        """Lose the connection, and come back to any worker with what was last seen."""
        if self._writer is not None:
            self.note("loses its connection")
            self._writer.transport.abort()


class MemberTab(Tab, Member):
    """A tab of a member that connects to another worker each time."""
