"""Signed-in viewers: each signs in, opens the page, and then the stream that the page names, with its own cookies."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from .load import Server, Viewers, http_request

__all__ = ["PATH", "Browser", "open_connections", "open_pages", "viewing"]

PATH = "/board"
"""The path of the page."""

_STREAM = re.compile(r'\bsse-connect="([^"]+)"')
_SET_COOKIE = re.compile(rb"(?im)^set-cookie: ([^;\r\n]+)")
_LENGTH = re.compile(rb"(?im)^content-length: (\d+)")


class Browser:
    """Requests of signed-in people on one connection, which stays open."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str, cookies: dict[str, str]) -> str:
        """Request a path, note the cookies of the answer in ``cookies``, and return its body.

        Raises:
            RuntimeError: The status is not 200.
        """
        self._connection.sendall(http_request(path, cookie_header(cookies)))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"GET {path} was answered {head.splitlines()[0].decode()}")
        cookies.update(_pair(found.decode()) for found in _SET_COOKIE.findall(head))
        found = _LENGTH.search(head)
        assert found is not None
        while len(body) < int(found[1]):
            body += self._receive()
        return body.decode()

    def sign_in(self, number: int) -> tuple[str, str]:
        """Sign in as the member of a number, open the page, and return its HTML and the cookies after that."""
        cookies: dict[str, str] = {}
        self.get(f"/sign-in/member{number}", cookies)
        page = self.get(PATH, cookies)
        return page, cookie_header(cookies)

    def _receive(self) -> bytes:
        data = self._connection.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def close(self) -> None:
        self._connection.close()


def cookie_header(cookies: dict[str, str]) -> str:
    """Return cookies as the value of a ``Cookie`` header."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _pair(cookie: str) -> tuple[str, str]:
    name, _, value = cookie.partition("=")
    return name, value


def open_pages(server: Server, viewers: Viewers, members: Iterable[int], fields: str = "") -> list[int]:
    """Let the members of these numbers look at the page, and return the numbers of their streams' connections.

    Args:
        server: The server.
        viewers: Read the streams.
        members: The numbers.
        fields: What is added to the addresses of the streams.
    """
    browser = Browser(server.port)
    pages, cookies = zip(*map(browser.sign_in, members), strict=True)
    browser.close()
    if "data-phx-session" in pages[0]:
        joined = map(_live_view, [server.port] * len(pages), pages, cookies)
        return [viewers.adopt(connection) for connection in joined]
    return viewers.connect(server.port, [_stream_of(page) + fields for page in pages], cookies=cookies)


def open_connections(server: Server, connections: Viewers, members: Iterable[int]) -> dict[int, bytes]:
    """Open a connection for each of these members, and return the request of the page for each connection."""
    browser = Browser(server.port)
    cookies = [browser.sign_in(member)[1] for member in members]
    browser.close()
    return {
        connections.adopt(socket.create_connection(("127.0.0.1", server.port))): http_request(PATH, cookie)
        for cookie in cookies
    }


def _stream_of(page: str) -> str:
    found = _STREAM.search(page)
    assert found is not None
    return html.unescape(found[1])


@contextlib.contextmanager
def viewing(variant: str, viewers: int, fields: str = "", **options: Any) -> Iterator[tuple[Server, Viewers]]:
    """Run a server whose page so many members look at; ``fields`` are added to the addresses of the streams."""
    server, readers = Server(variant, **options), Viewers()
    try:
        if viewers:
            open_pages(server, readers, range(viewers), fields)
        yield server, readers
    finally:
        readers.close()
        server.stop()


def _live_view(port: int, page: str, cookie: str) -> socket.socket:
    """Join the view of a page as the script of Phoenix LiveView does, and wait until the server has answered.

    No compression is offered, so what has come can be searched as it is; it costs the server less, too.
    """
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    connection.sendall(http_request("/live/websocket?vsn=2.0.0", cookie, upgrade))
    _receive_until(connection, b"\r\n\r\n")
    topic = _attribute(page, r'\bid="(phx-[^"]+)"')
    payload = {
        "url": f"http://127.0.0.1:{port}{PATH}",
        "params": {"_csrf_token": _attribute(page, r'"csrf-token" content="([^"]+)"'), "_mounts": 0},
        "session": _attribute(page, r'data-phx-session="([^"]+)"'),
        "static": "",
    }
    connection.sendall(_text_frame(json.dumps(["4", "4", f"lv:{topic}", "phx_join", payload])))
    _receive_until(connection, b'"status": "ok"')
    return connection


def _attribute(page: str, pattern: str) -> str:
    found = re.search(pattern, page)
    assert found is not None
    return html.unescape(found[1])


def _receive_until(connection: socket.socket, end: bytes) -> None:
    received = b""
    while end not in received:
        data = connection.recv(65536)
        if not data:
            raise ConnectionError(f"the server closed a connection after {received!r}")
        received += data


def _text_frame(text: str) -> bytes:
    """Return a text as a frame of a WebSocket's client, masked with zeros."""
    data = text.encode()
    assert 126 <= len(data) < 65536
    return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data
