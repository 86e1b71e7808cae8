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
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                browser, _ = self._listener.accept()
                if self.refuses or self.is_bad:
                    self._refuse(browser)
                    continue
                self._connections.append(_Connection(browser, socket.create_connection(self._server)))

    def _refuse(self, browser: socket.socket) -> None:
        with browser, contextlib.suppress(OSError):
            if self.is_bad and browser.recv(65_536):
                browser.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def freeze(self) -> int:
        """Freeze all connections that there are, and return how many. New ones are not affected."""
        for connection in self._connections:
            connection.is_frozen.set()
        return len(self._connections)

    def cut(self) -> None:
        """Cut all connections."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


class _Connection:
    def __init__(self, browser: socket.socket, server: socket.socket) -> None:
        self.is_frozen = threading.Event()
        self._sockets = (browser, server)
        for source, target in (self._sockets, self._sockets[::-1]):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self.is_frozen.is_set():
                    continue
                target.sendall(data)
        if not self.is_frozen.is_set():
            self.close()

    def close(self) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
