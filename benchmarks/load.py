"""The load client: plain sockets that read event streams, in this process, and the line to the server's control."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .content import PAGE, marker, source
from .decoding import GzipBody
from .machine import SERVER_CORE, cpu_seconds, resident_bytes
from .members import PAGES

__all__ = ["Options", "Server", "Viewers", "http_request", "serving"]

Options = dict[str, Any]
"""What a server process is told: the variant's name, and its settings."""

_ROOT = Path(__file__).parents[1]


class Server:
    """A server process of one variant, on the server's core."""

    def __init__(self, variant: str, **options: Any) -> None:
        self.variant = variant
        self.options: Options = {"blocks": 1, "rows": 3, **options}
        self.options["templates"] = _templates(self.options["blocks"])
        self.port, self._control_port = _free_ports(2)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.serve",
                json.dumps(
                    {
                        "variant": variant,
                        "port": self.port,
                        "control": self._control_port,
                        "core": SERVER_CORE,
                        **self.options,
                    }
                ),
            ],
            cwd=_ROOT,
        )
        self._control = self._connect_control()
        self._answers = self._control.makefile("rb")
        self._number = 0

    def _connect_control(self) -> socket.socket:
        deadline = time.monotonic() + 60
        while True:
            for port in (self.port, self._control_port):
                try:
                    found = socket.create_connection(("127.0.0.1", port), timeout=30)
                except OSError:
                    break
                if port == self._control_port:
                    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return found
                found.close()
            if self.process.poll() is not None:
                raise RuntimeError(f"the server of the variant {self.variant!r} ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server of the variant {self.variant!r} did not start")
            time.sleep(0.05)

    def tell(self, command: str, *args: object) -> None:
        """Send a command that has no answer."""
        self._control.sendall((" ".join(map(str, (command, *args))) + "\n").encode())

    def ask(self, command: str, *args: object) -> Any:
        """Send a command and return its answer."""
        self.tell(command, *args)
        return json.loads(self._answers.readline())

    def next_change(self) -> int:
        """Return the number of the next change."""
        self._number += 1
        return self._number

    def marker(self, number: int) -> bytes:
        return marker(number, self.options["blocks"])

    @property
    def cpu(self) -> float:
        """The processor time that the process has used, in seconds."""
        return cpu_seconds(self.process.pid)

    @property
    def memory(self) -> int:
        """The memory that the process has, in bytes, after a collection of its garbage."""
        self.ask("collect")
        return resident_bytes(self.process.pid)

    def stop(self) -> None:
        for each in (self._answers, self._control):
            each.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Viewers:
    """Connections that read a stream each."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self._tails: dict[int, bytes] = {}
        self._gzip_bodies: dict[int, GzipBody] = {}
        self.received_bytes = 0

    def __len__(self) -> int:
        return len(self._sockets)

    def connect(
        self,
        port: int,
        paths: Sequence[str],
        *,
        cookies: Sequence[str] = (),
        timeout: float = 30,
        gzip: bool = False,
    ) -> list[int]:
        """Open a stream for each path, wait for its first bytes, and return the connections' numbers.

        Args:
            port: The server's.
            paths: A path for each stream.
            cookies: The ``Cookie`` header of each stream. Empty: they have none.
            timeout: Seconds for the first bytes of a hundred streams.
            gzip: Whether the streams are compressed.
        """
        requests = [stream_request(*each, gzip=gzip) for each in zip(paths, cookies or [""] * len(paths), strict=True)]
        all_opened: list[int] = []
        for start in range(0, len(requests), 100):
            for request in requests[start : start + 100]:
                connection = socket.create_connection(("127.0.0.1", port), timeout=30)
                connection.sendall(request)
                all_opened.append(self.adopt(connection))
            opened = set(all_opened[start:])
            received = dict.fromkeys(opened, b"")
            deadline = time.monotonic() + timeout
            while opened:
                for number, data in self._read(deadline):
                    if number in opened:
                        received[number] += data
                        _, found, body = received[number].partition(b"\r\n\r\n")
                        if found and body:
                            opened.discard(number)
                            if gzip:
                                self._gzip_bodies[number] = GzipBody()
                                self._gzip_bodies[number].decode(received[number])
        return all_opened

    def adopt(self, connection: socket.socket) -> int:
        """Read this connection from now on as well, and return its number."""
        connection.setblocking(False)
        number = connection.fileno()
        self._sockets[number] = connection
        self._poll.register(number, select.EPOLLIN | select.EPOLLET)
        return number

    def send(self, requests: Mapping[int, bytes]) -> None:
        """Send a request on each of these connections."""
        for number, request in requests.items():
            self._sockets[number].sendall(request)

    def _read(self, deadline: float) -> Iterator[tuple[int, bytes]]:
        for number, _ in self._arrived(deadline):
            try:
                data = self._sockets[number].recv(262144)
            except BlockingIOError:
                continue
            if not data:
                raise ConnectionError("the server ended a stream")
            yield number, data

    def wait_for(self, wanted: bytes, *, among: Iterable[int] | None = None, timeout: float = 60) -> float:
        """Wait until every viewer, or those given, has received ``wanted``, and return when the last one had.

        First it is only noted for whom something has come, and all is read afterwards: so this process does not delay
        what it measures.
        """
        deadline = time.monotonic() + timeout
        waiting = set(self._sockets if among is None else among)
        still = set(waiting)
        while still:
            still.difference_update(number for number, _ in self._arrived(deadline))
        last = time.perf_counter()
        waiting = {number for number in waiting if not self._holds(number, wanted)}
        while waiting:
            for number, _ in self._arrived(deadline):
                if number in waiting and self._holds(number, wanted):
                    waiting.discard(number)
                    last = time.perf_counter()
        return last

    def _arrived(self, deadline: float) -> list[tuple[int, int]]:
        remaining = deadline - time.monotonic()
        if remaining < 0:
            raise TimeoutError("viewers did not receive what they should")
        return self._poll.poll(remaining)

    def _holds(self, number: int, wanted: bytes) -> bool:
        """Read what has come for a viewer, and tell whether ``wanted`` is in it."""
        connection = self._sockets[number]
        while True:
            try:
                data = connection.recv(262144)
            except BlockingIOError:
                return False
            if not data:
                raise ConnectionError("the server ended a stream")
            self.received_bytes += len(data)
            if number in self._gzip_bodies:
                data = self._gzip_bodies[number].decode(data)
            found = wanted in data or wanted in self._tails.get(number, b"") + data[: len(wanted)]
            self._tails[number] = (self._tails.get(number, b"") + data)[-len(wanted) :]
            if found:
                return True

    def drain(self, seconds: float) -> int:
        """Read whatever comes for a while, and return how many bytes came."""
        end = time.monotonic() + seconds
        total = 0
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < end:
                total += sum(len(data) for _, data in self._read(end))
        return total

    def close(self, count: int | None = None, *, abruptly: bool = False) -> None:
        """Close all connections, or the oldest ones; abruptly: with a reset instead of a farewell."""
        for number in list(self._sockets)[:count]:
            if abruptly:
                self._sockets[number].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._poll.unregister(number)
            self._sockets.pop(number).close()
            self._tails.pop(number, None)
            self._gzip_bodies.pop(number, None)


_templates_root = tempfile.TemporaryDirectory(prefix="benchmarks-")


def _templates(blocks: int) -> str:
    """Return a directory with the page of so many blocks."""
    directory = Path(_templates_root.name) / str(blocks)
    directory.mkdir(exist_ok=True)
    for name, text in {PAGE: source(blocks), **PAGES}.items():
        (directory / name).write_text(text)
    return str(directory)


def stream_request(path: str, cookie: str = "", *, gzip: bool = False) -> bytes:
    """Return the request of an event stream."""
    accepted = "Accept-Encoding: gzip\r\n" if gzip else ""
    return http_request(path, cookie, f"Accept: text/event-stream\r\nCache-Control: no-cache\r\n{accepted}")


def http_request(path: str, cookie: str = "", headers: str = "") -> bytes:
    """Return a GET request.

    Args:
        path: The path and query.
        cookie: The value of the ``Cookie`` header. Empty: there is none.
        headers: Further lines, each with its end.
    """
    cookies = f"Cookie: {cookie}\r\n" if cookie else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{cookies}\r\n".encode()


def _free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


@contextlib.contextmanager
def serving(variant: str, viewers: int = 0, *, gzip: bool = False, **options: Any) -> Iterator[tuple[Server, Viewers]]:
    """Run a server with some viewers of its one scope, whose streams may be compressed."""
    server, readers = Server(variant, **options), Viewers()
    try:
        readers.connect(server.port, ["/stream"] * viewers, gzip=gzip)
        yield server, readers
    finally:
        readers.close()
        server.stop()
