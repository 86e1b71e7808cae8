"""A server that tests can kill and restart, behind a proxy that can fail, both outside the event loop of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.chaos.proxy import Proxy
from tests.support import quiet_port

ROOT = Path(__file__).parents[2]


class Site:
    """The server of the page and the proxy in front of it."""

    def __init__(self, directory: Path) -> None:
        self.number = directory / "number"
        self.number.write_text("0")
        self._log = directory / "server.log"
        self._port = quiet_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._loop = asyncio.new_event_loop()
        self.proxy = Proxy(self._port)

    @contextlib.contextmanager
    def running(self) -> Iterator[Site]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.proxy.start(), self._loop).result(30)
            self.start()
            yield self
        finally:
            self.kill()
            self.tell(self.proxy.stop)
            time.sleep(0.1)
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "uvicorn", "tests.recovery.server:app", "--port", str(self._port)]
        env = os.environ | {"RECOVERY_NUMBER": str(self.number)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--log-level", "warning", *options], cwd=ROOT, env=env, stdout=log, stderr=log
            )
        self.wait_until(self._answers, 30)

    def begin_anew(self) -> None:
        """Wait until nobody is connected, and reset the number and the recorded requests."""
        self.wait_until(lambda: self.viewers() == 0)
        self.number.write_text("0")
        self.proxy.heads.clear()

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def reach_limit(self) -> None:
        """Send requests until the server, which may answer only so many, has stopped."""
        self.wait_until(self._has_stopped_at_request)

    def _has_stopped_at_request(self) -> bool:
        with contextlib.suppress(OSError):
            self.viewers()
        return self._process is not None and self._process.poll() is not None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError):
            self.viewers()
            return True
        return False

    @property
    def url(self) -> str:
        """The URL for browsers."""
        return f"http://127.0.0.1:{self.proxy.port}"

    def change(self, number: int) -> None:
        self._ask(f"/change?to={number}", "POST")

    def viewers(self) -> int:
        return int(self._ask("/viewers", "GET"))

    def _ask(self, path: str, method: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def tell(self, do: Callable[[], None]) -> None:
        """Call a function in the event loop of the proxy."""

        async def tell() -> None:
            do()

        asyncio.run_coroutine_threadsafe(tell(), self._loop).result(30)

    def refuse(self) -> None:
        """Answer 502, and cut open connections."""
        self.proxy.refusing = True
        self.tell(self.proxy.cut_now)

    def accept(self) -> None:
        """Forward requests again."""
        self.proxy.refusing = False

    def streams(self) -> list[str]:
        """Return the heads of the requests for streams so far."""
        return [head for head in self.proxy.heads if "/_reactive/live?" in head]

    @staticmethod
    def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.02)
