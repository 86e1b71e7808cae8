"""Real servers and Chromium, for these tests and for the script that takes the screenshots of the README."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright

ROOT = Path(__file__).parents[2]
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 60.0
STOP_SECONDS = 10.0
LISTENING = re.compile(r"Uvicorn running on (http://\S+)")


@contextmanager
def watched_pages(
    context: BrowserContext, is_expected: Callable[[ConsoleMessage], bool] = lambda _: False
) -> Iterator[Callable[[str], Page]]:
    """Give a function that opens an address in a new tab. Fail at the end if a tab logged a warning or an error.

    Args:
        context: The browser's window.
        is_expected: Returns whether a warning or an error is no reason to fail.
    """
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not is_expected(message):
            complaints.append(f"{message.type}: {message.text}")

    def open_page(url: str) -> Page:
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    assert not complaints


def chromium_path() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def launch_chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_OPTIONS))


@contextmanager
def running_chromium() -> Iterator[str]:
    """Run Chromium in a Playwright server until the block ends, and yield the address of the server."""
    options = {"executablePath": chromium_path(), "args": CHROMIUM_OPTIONS, "host": "127.0.0.1"}
    with NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(options, file)
        file.flush()
        command = [sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium", "--config", file.name]
        with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, start_new_session=True) as process:
            try:
                yield _first_line(process)
            finally:
                _stop_group(process)


def _stop_group(process: subprocess.Popen[str]) -> None:
    """Stop a process that leads a session, with the processes that it has started."""
    for stopping in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, stopping)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError("Chromium did not start")
    return line


@dataclass
class Server:
    """A server process, and what it has printed so far."""

    url: str = ""
    output: list[str] = field(default_factory=list)


@contextmanager
def running(arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run ``python`` with arguments that start uvicorn, on a free port, until the block ends."""
    command = [sys.executable, *arguments, "--port", "0"]
    with subprocess.Popen(
        command, cwd=cwd, env=os.environ | dict(env or {}), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        server, urls = Server(), SimpleQueue[str]()
        reader = threading.Thread(target=_read, args=(process, server, urls))
        reader.start()
        try:
            server.url = _wait_for_url(server, urls)
            yield server
        finally:
            _stop(process)
            reader.join()


@contextmanager
def serving(application: str) -> Iterator[Server]:
    """Run uvicorn with an application until the block ends. Fail if it has printed a traceback by then."""
    with running(["-m", "uvicorn", application]) as server:
        yield server
    assert "Traceback" not in "".join(server.output)


def _read(process: subprocess.Popen[str], server: Server, urls: SimpleQueue[str]) -> None:
    for line in process.stdout or ():
        server.output.append(line)
        if match := LISTENING.search(line):
            urls.put(match[1])
    urls.put("")


def _wait_for_url(server: Server, urls: SimpleQueue[str]) -> str:
    try:
        url = urls.get(timeout=START_SECONDS)
    except Empty:
        url = ""
    if not url:
        raise RuntimeError("the server did not start:\n" + "".join(server.output))
    return url


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def running_example(database: Path, **env: str) -> Iterator[Server]:
    """Run the workspace with a SQLite file."""
    with running(["-m", "example_app"], env={"DATABASE_URL": f"sqlite:///{database}", **env}) as server:
        yield server


@contextmanager
def running_smallest() -> Iterator[Server]:
    with running(["-m", "uvicorn", "app:app"], cwd=ROOT / "docs" / "examples" / "smallest") as server:
        yield server
