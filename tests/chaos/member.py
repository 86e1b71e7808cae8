"""A tab that shows the page with ``share=``: it has a key, which may change, be taken away and be given back."""

from __future__ import annotations

import asyncio
import html
import json
import re
from typing import Any

from .club import STREAMS, cookies_of
from .dom import inner_html
from .rows import RowText
from .viewer import Viewer
from .watchdog import Watchdog

_URL = re.compile(r' sse-connect="([^"]+)"')
_ORIGIN = re.compile(r'data-reactive-sink="([^"]+)"')
_BEAT = re.compile(r' data-reactive-beat="([^"]+)"')
_PARTIAL = re.compile(
    r'<hx-partial hx-target="#([\w-]+)" hx-swap="inner(?:HTML|Morph) transition:false">(.*)</hx-partial>', re.DOTALL
)
_KEY = re.compile(r"key:(\w+)")
_WHO = re.compile(r"who:([\w-]+)")


class Member(Viewer):
    """One tab of a member.

    Args:
        path: The last part of the page's path.
        key: Its key.
        watches: Whether its script notices that a stream is silent.
        takes_rows: Whether its script asks for the rows of a list that differ.
        **more: As of :class:`Viewer`.
    """

    def __init__(
        self, *, path: str, key: str | None, watches: bool = True, takes_rows: bool = False, **more: Any
    ) -> None:
        super().__init__(**more)
        self._watches = watches
        self._takes_rows = takes_rows
        self._lists: dict[str, RowText] = {}
        self.path = path
        self._url = ""
        self._mark = ""
        self._is_left = asyncio.Event()
        self.key = key
        self.key_lock = asyncio.Lock()  # held while its key changes, and while it sends a form
        self.refusals = 0  # how often its access was taken away
        self._refusals_at_visit = 0
        self.is_closed = False
        self.is_admitted = False
        self.streams = 0
        self.row_updates = 0
        self.own_updates = 0  # what its script was told to be its own

    @property
    def origin(self) -> str:
        return self._mark

    @property
    def content(self) -> str | None:
        return None if self.page is None else inner_html(self.page, "all")

    def note_key(self, key: str | None, *, is_changed: bool) -> None:
        """Take note of another key, before and after the servers have been told of it."""
        self.note(f"{'has' if is_changed else 'is given'} the key {key}")
        if is_changed:
            self.key = key
        elif key is None:
            self.key = None
            self.refusals += 1

    def faults(self) -> list[str]:
        """Return what is wrong with its page and its stream, whatever values it shows."""
        keys = set(_KEY.findall(self.page or ""))
        wrong = [f"it shows data of {keys}, and its key is {self.key}"] if keys != {self.key} else []
        return wrong if self.is_admitted else [*wrong, "it has no stream"]

    def reload(self) -> None:
        self.is_closed = False
        self._is_left.set()
        super().reload()

    def _more_headers(self) -> list[str]:
        return [cookies_of(self.name, self.user)]

    def _page_request(self) -> list[str]:
        self._refusals_at_visit = self.refusals - (self.key is None)
        return [f"GET /{self.scope}/{self.path} HTTP/1.1", "Host: x", *self._more_headers()]

    def _begin(self, head: str, page: str) -> None:
        url, mark = _URL.search(page), _ORIGIN.search(page)
        assert url
        assert mark
        self._url, self._mark = html.unescape(url[1]), html.unescape(mark[1])
        if self.kind == "script" and self._watches:
            beat = _BEAT.search(page)
            assert beat
            self.watchdog = Watchdog(float(beat[1]))
        self._lists.clear()
        self._expect_own(page)
        self._is_left.clear()

    def _target(self) -> str:
        assert self._url.startswith(STREAMS)
        if self.kind != "script":
            return self._url
        return f"{self._url}&script=1{'&rows=1' if self._takes_rows else ''}"

    async def _connect(self, resume: str) -> bool | None:
        if self.is_closed:
            await self._is_left.wait()
            return True
        self.is_admitted = False
        self.streams += 1
        try:
            return await super()._connect(resume)
        finally:
            self.is_admitted = False

    def _take(self, frame: str) -> None:
        if "id: " in frame and "reactive-restart" not in frame:
            self.is_admitted = True
        super()._take(frame)

    def _apply(self, event: str, data: str) -> None:
        if event == "reactive-close":
            assert self.refusals > self._refusals_at_visit, f"{self.name} was closed, and never refused"
            self.is_closed = True
        elif event == "message" and 'hx-swap="delete"' not in data:
            target, shown = self._read_block(data)
            self._expect_own(shown)
            self.swap(target, shown)

    def _read_block(self, data: str) -> tuple[str, str]:
        """Return the id and the HTML of a block. What is the tab's own is shown too: it had the answer before."""
        if self.kind == "script":
            head, _, shown = data.partition("\n")
            told = json.loads(head)
            assert told["swap"] == "inner"
            self.own_updates += told.get("own", False)
            return told["id"], self._read_rows(told, shown) if "v" in told else shown
        partial = _PARTIAL.fullmatch(data)
        assert partial, data
        return partial[1], partial[2]

    def _read_rows(self, told: dict[str, Any], fresh: str) -> str:
        """Return the HTML of a list of rows, some of which are those that the tab was sent before."""
        assert self._takes_rows
        last = self._lists.get(told["id"])
        if "rows" in told:
            assert last is not None, f"{self.name} was sent rows of a list that it does not have"
            self.row_updates += 1
        text = self._lists[told["id"]] = RowText.received(told, fresh, last)
        return "".join(text.parts)

    def _expect_own(self, found: str) -> None:
        others = set(_WHO.findall(found)) - {self.name}
        assert not others, f"{self.name} was shown what belongs to {others}"
