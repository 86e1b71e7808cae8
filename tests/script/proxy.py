"""A path between browser and server that can be frozen without a word, or cut."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Path:
    """Forwards connections to a server. Connections that are frozen stay open, and nothing passes any more.

    Args:
        url: The server's address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: list[_Connection] = []
        self.refuses = False
        """Whether new connections are closed at once."""
        self.is_bad = False
        """Whether requests on new connections are answered 502."""
        self.cuts = 0
        """How often an answer was cut in the middle."""
        self._limit: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                if self.refuses or self.is_bad:
                    self._refuse(browser)
                    continue
                self._connections.append(_Connection(self, browser, socket.create_connection(self._server)))

    def _refuse(self, browser: socket.socket) -> None:
        with browser, contextlib.suppress(OSError):
            if self.is_bad and browser.recv(65_536):
                browser.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def freeze(self) -> int:
        """Freeze all connections that there are, and return how many. New ones are not affected."""
        for connection in self._connections:
            connection.is_frozen.set()
        return len(self._connections)

    def cut_after(self, size: int) -> None:
        """Cut the connection whose server sends more than so many bytes at once, after these."""
        self._limit = size

    def part_before_cut(self, data: bytes) -> bytes | None:
        """Return the part of some bytes from the server that still passes. ``None``: all, and nothing is cut."""
        if self._limit is None or len(data) <= self._limit:
            return None
        part, self._limit = data[: self._limit], None
        self.cuts += 1
        return part

    def cut(self) -> None:
        """Cut all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


class _Connection:
    def __init__(self, path: Path, browser: socket.socket, server: socket.socket) -> None:
        self._path = path
        self.is_frozen = threading.Event()
        self._sockets = (browser, server)
        for source, target in (self._sockets, self._sockets[::-1]):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self.is_frozen.is_set():
                    continue
                part = self._path.part_before_cut(data) if source is self._sockets[1] else None
                target.sendall(data if part is None else part)
                if part is not None:
                    break
        if not self.is_frozen.is_set():
            self.close()

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
