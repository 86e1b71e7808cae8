"""One worker's path to the engine, which can freeze, heal, be cut, or swallow what goes through it for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket

_CHUNK = 65536


class _Link:
    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.lost = False
        self.is_cut = asyncio.Event()

    def cut(self) -> None:
        self.is_cut.set()
        for writer in self.writers:
            writer.transport.abort()


class Wire:
    """Listens on a port of its own and passes on to another, byte by byte.

    Args:
        port: Where the engine listens.
    """

    def __init__(self, port: int) -> None:
        self._engine_port = port
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        self.cut()
        self.heal()
        while self._links:  # noqa: ASYNC110 - they end at once
            await asyncio.sleep(0)

    def freeze(self) -> None:
        """Pass no byte on, and close nothing; new connections get no answer either."""
        self._flows.clear()

    def heal(self) -> None:
        """Pass on again, what was held back first."""
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection."""
        for link in list(self._links):
            link.cut()

    def lose(self) -> None:
        """Let the connections that there are swallow everything from now on, without closing; new ones work."""
        for link in self._links:
            link.lost = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._flows.wait()
            from_engine, to_engine = await self._connect()
            link.writers = (writer, to_engine)
            work = [self._pump(link, reader, to_engine), self._pump(link, from_engine, writer), link.is_cut.wait()]
            tasks = [asyncio.ensure_future(each) for each in work]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass
        finally:
            link.cut()
            self._links.discard(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raw = socket.socket()
        raw.setblocking(False)
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)  # so that the engine feels a frozen path soon
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self._engine_port))
        except BaseException:
            raw.close()
            raise
        return await asyncio.open_connection(sock=raw)

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flows.wait()
                if link.lost:
                    continue
                writer.write(data)
                await writer.drain()
            if link.lost:
                await asyncio.Event().wait()  # a swallowed farewell is not passed on either; the cut ends this
