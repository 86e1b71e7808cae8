"""A simulated tab: it loads a page, keeps a stream open as its kind of client does, and applies what comes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import zlib
from collections import deque
from collections.abc import Callable
from urllib.parse import quote

from .dom import with_inner_html
from .proxy import connect
from .watchdog import Watchdog

KINDS = ("htmx2", "script", "htmx4")
"""``script`` is the package's own script. It has a wire of its own for pages only."""

_PARTIAL = re.compile(
    r'<hx-partial hx-target="#(\w+)" hx-swap="inner(?:HTML|Morph) transition:false">(.*)</hx-partial>', re.DOTALL
)
_LONGEST_PAUSE = 0.8  # seconds; browsers wait longer, a test has not the time


class _Chunks:
    """Takes HTTP/1.1 chunks apart, however they arrive."""

    def __init__(self) -> None:
        self._waiting = b""
        self._missing = 0
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        self._waiting += data
        found = b""
        while True:
            if self._missing:
                part = self._waiting[: self._missing]
                found += part
                self._waiting = self._waiting[len(part) :]
                self._missing -= len(part)
                if self._missing:
                    return found
            head, end, rest = self._waiting.removeprefix(b"\r\n").partition(b"\r\n")
            if not end:
                return found
            self._waiting, self._missing = rest, int(head, 16)
            if not self._missing:
                self.complete = True
                return found


class Viewer:
    """One tab of a browser.

    Args:
        name: What tells it from the others.
        scope: What it views.
        user: Whose tab it is.
        kind: One of ``KINDS``: what it does after which failure.
        shared: Whether its stream shares renders with others.
        port: Where the proxy listens.
        chance: Draws its pauses.
        on_load: Called before it asks for a page.
    """

    def __init__(
        self,
        name: str,
        scope: str,
        *,
        user: str,
        kind: str,
        shared: bool,
        port: int,
        chance: random.Random,
        on_load: Callable[[Viewer], None],
    ) -> None:
        self.name = name
        self.scope = scope
        self.user = user
        self.kind = kind
        self.shared = shared
        self._port = port
        self._chance = chance
        self._on_load = on_load
        self.page: str | None = None
        self.visits = 0
        self.cursor = ""
        self.last_id = ""
        self.known_to_script = ""  # scripts see the last id with messages only
        self.lock = asyncio.Lock()  # held while the page is loaded, and while the tab sends a form
        self.reads = asyncio.Event()
        self.reads.set()
        self.seen: dict[str, int] = {}  # for each block, the last step that the viewer was to be told of
        self.story: deque[str] = deque(maxlen=40)
        self.frames = 0
        self.compressed_frames = 0
        self.watchdog = Watchdog()
        self._writer: asyncio.StreamWriter | None = None

    @property
    def accepts_gzip(self) -> bool:
        """Whether it is one of the half whose browsers accept compressed streams."""
        return int(self.name.rpartition("-")[2]) % 2 == 0

    @property
    def origin(self) -> str:
        """What marks this page's own changes."""
        return f"{self.name}.{self.visits}"

    def _choose_port(self) -> int:
        """Return where the next connection goes to."""
        return self._port

    @property
    def content(self) -> str | None:
        """What it shows of the data."""
        return self.page

    def note(self, what: str) -> None:
        self.story.append(f"{asyncio.get_running_loop().time():.3f} {what}")

    def reload(self) -> None:
        """Leave the page and load it anew."""
        self.page = None
        if self._writer is not None:
            self._writer.transport.abort()

    async def run(self) -> None:
        while True:
            async with self.lock:
                await self._load()
            await asyncio.sleep(self._chance.choice((0, 0, 0.05, 0.3)))  # scripts load
            await self._watch()

    async def _load(self) -> None:
        while self.page is None:
            self._on_load(self)
            self.note("asks for the page")
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await connect(self._choose_port())
                try:
                    writer.write("\r\n".join((*self._page_request(), "Connection: close", "", "")).encode())
                    head, _, body = (await reader.read(-1)).decode().partition("\r\n\r\n")
                finally:
                    writer.transport.abort()
                length = re.search(r"content-length: (\d+)", head)
                if head.startswith("HTTP/1.1 200") and length and len(body) == int(length[1]):
                    self.visits += 1
                    self.last_id = self.known_to_script = ""
                    self._begin(head, body)
                    self.page = body
                    self.note(f"loaded the page, cursor {self.cursor}")
                    return
            await asyncio.sleep(0.1)

    def _page_request(self) -> list[str]:
        """Return the first lines of the request for the page."""
        return [f"GET /{self.scope}/page HTTP/1.1", "Host: x", *self._more_headers()]

    def _begin(self, head: str, page: str) -> None:
        """Take from a page that has been loaded what its stream is asked for with."""
        found = re.search(r"x-cursor: (\S+)", head)
        assert found
        self.cursor = found[1]

    async def _watch(self) -> None:
        """Keep the stream open as long as this page is shown."""
        visit = self.visits
        pause, resume = 0.1, ""
        while self.page is not None and self.visits == visit:
            answered: bool | None = False
            try:
                answered = await self._connect(resume)
            except TimeoutError:
                self.note("heard nothing for too long")
                resume = self._start_anew()
                continue
            except (OSError, EOFError):
                pass
            if answered is None:
                resume = self._start_anew()
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            elif self.page is not None:
                await asyncio.sleep(self._chance.uniform(0.05, 0.4))
                pause = 0.1

    def _start_anew(self) -> str:
        """Return what the next connection resumes from, after the client has given the last one up for another one.

        htmx 2 and the script make a new EventSource, which knows of no ``Last-Event-ID``.
        """
        if self.kind != "htmx4":
            self.last_id = ""
        return self.known_to_script if self.kind == "script" else ""

    async def _connect(self, resume: str) -> bool | None:
        """Read one stream to its end; ``None``: there was another answer.

        Raises:
            TimeoutError: The stream was silent for too long.
        """
        reader, writer = await connect(self._choose_port())
        self._writer = writer
        try:
            async with self.watchdog.watching():
                writer.write(self._request(resume))
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    self.note("was refused")
                    return None
                self.watchdog.hear()
                await self._read(reader, is_gzip=b"\r\ncontent-encoding: gzip\r\n" in head)
            self.note("the stream ended")
            return True
        finally:
            writer.transport.abort()
            self._writer = None

    def _request(self, resume: str) -> bytes:
        more = f"&resume={quote(resume)}" if resume else ""
        lines = [f"GET {self._target()}{more} HTTP/1.1", "Host: x", *self._more_headers()]
        if self.accepts_gzip:
            lines.append("Accept-Encoding: gzip")
        if self.kind == "htmx4":
            lines += ["HX-Request: true", "HX-Request-Type: partial"]
        if self.last_id:
            lines.append(f"Last-Event-ID: {self.last_id}")
        self.note(f"connects, last id {self.last_id or 'none'}, resume {resume or 'none'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def _target(self) -> str:
        """Return the URL of the stream."""
        share = "&share=all" if self.shared else ""
        query = f"viewer={self.name}&user={self.user}&origin={self.origin}{share}&cursor={quote(self.cursor)}"
        return f"/{self.scope}/stream?{query}"

    def _more_headers(self) -> list[str]:
        """Return the lines that requests of this browser have besides."""
        return []

    async def _read(self, reader: asyncio.StreamReader, *, is_gzip: bool) -> None:
        chunks, waiting = _Chunks(), b""
        decode = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress if is_gzip else bytes
        while not chunks.complete:
            if not self.reads.is_set():
                self.watchdog.rest()
                await self.reads.wait()
                self.watchdog.hear()
            data = await reader.read(4096)
            if not data or self.page is None:
                return
            waiting += decode(chunks.feed(data))
            *frames, waiting = waiting.split(b"\n\n")
            self.compressed_frames += len(frames) if is_gzip else 0
            for frame in frames:
                self._take(frame.decode())

    def _take(self, frame: str) -> None:
        event, data = "message", []
        for line in frame.split("\n"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                self.last_id = value
                self.note(f"got the id {value}")
            elif field == "event":
                event = value
            elif field == "data":
                data.append(value)
        if data:
            self.frames += 1
            self.watchdog.hear()
            self.known_to_script = self.last_id
            self._apply(event, "\n".join(data))

    def _apply(self, event: str, data: str) -> None:
        target, html = event, data
        if self.kind == "htmx4":
            assert event == "message"
            partial = _PARTIAL.fullmatch(data)
            assert partial, data
            target, html = partial[1], partial[2]
        self.swap(target, html)

    def swap(self, target: str, html: str) -> None:
        """Put HTML into an element of the page."""
        assert self.page is not None
        self.page = with_inner_html(self.page, target, html)
        self.note(f"{target}: {html.partition('<')[0].strip()}")
