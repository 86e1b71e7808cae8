"""A proxy between viewers and the server that answers 502, and cuts or freezes connections, on request."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket

BUFFER = 4096  # bytes on each side: small, so that a viewer that does not read soon blocks the server

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsorry"


_KEEP_ALIVE = re.compile(
    rb"Connection: keep-alive\r\n", re.IGNORECASE
)  # one request per connection, so that the proxy sees each one


class _Link:
    def __init__(self, head: bytes, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.head = head
        self.writers = (client, server)
        self.cut_at: float | None = None  # the part of the next bytes to forward before the cut
        self.is_frozen = False
        self.is_left = False  # by the client, and the server has not been told, because the link is frozen
        self.is_cut = asyncio.Event()

    def cut(self) -> None:
        self.is_cut.set()
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    """Listens on one port and forwards to another."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self.port = 0
        self.refusing = False
        self.refused = 0
        self.heads: list[str] = []  # of all requests
        self.held = b""  # requests with this in their head wait
        self._released = asyncio.Event()
        self.cut_in_midst = 0

    async def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.port = listener.getsockname()[1]
        self._listener = await asyncio.start_server(self._serve, sock=listener, limit=BUFFER)

    def stop(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut_now()

    def hold(self, requests: bytes) -> None:
        """Hold requests with these bytes in their head until :meth:`release`."""
        self.held = requests
        self._released.clear()

    def release(self) -> None:
        self.held = b""
        self._released.set()

    def cut_now(self) -> None:
        """Cut every connection."""
        for link in list(self._links):
            link.cut()

    def cut(self, chance: random.Random, *, share: float) -> None:
        """Cut some of the connections in the middle of the next bytes from the server."""
        for link in self._links:
            if chance.random() < share:
                link.cut_at = chance.random()

    def freeze(self, requests: bytes) -> int:
        """Let nothing pass any more on connections with these bytes in their head. Return how many there are."""
        found = [link for link in self._links if requests in link.head and not link.is_frozen]
        for link in found:
            link.is_frozen = True
        return len(found)

    def forget_left(self) -> None:
        """Let the server notice which frozen connections the clients have left."""
        for link in list(self._links):
            if link.is_left:
                link.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            if self.held and self.held in head:
                await self._released.wait()
            server = None if self.refusing else await self._connect()
            if server is None:
                self.refused += 1
                writer.write(BAD_GATEWAY)
                await writer.drain()
            else:
                await self._pass_on(head, reader, writer, *server)
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await connect(self._server_port)
        except OSError:
            return None

    async def _pass_on(
        self,
        head: bytes,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        to_client.transport.set_write_buffer_limits(BUFFER)
        link = _Link(head, to_client, to_server)
        self._links.add(link)
        upstream = asyncio.create_task(self._pump_up(link, from_client, to_server))
        try:
            to_server.write(_KEEP_ALIVE.sub(b"Connection: close\r\n", head))
            with contextlib.suppress(OSError):
                await self._pump_down(link, from_server, to_client)
            if link.is_frozen:
                await link.is_cut.wait()
        finally:
            upstream.cancel()
            self._links.discard(link)
            if link.cut_at is not None:
                to_client.close()  # what was written is still sent
                to_server.transport.abort()
            else:
                to_server.close()

    async def _pump_down(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(65536)) and not link.is_frozen:
            if link.cut_at is not None:
                writer.write(data[: int(len(data) * link.cut_at)])
                await asyncio.sleep(0)
                self.cut_in_midst += 1
                return
            writer.write(data)
            await writer.drain()

    @staticmethod
    async def _pump_up(link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not link.is_frozen:
                    writer.write(data)
        if link.is_frozen:
            link.is_left = True
        else:
            writer.close()  # the client has left, so close the connection to the server


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with small buffers."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    raw.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    except OSError:
        raw.close()
        raise
    return await asyncio.open_connection(sock=raw, limit=BUFFER)
