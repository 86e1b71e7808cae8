"""The random pages in Firefox: ``python -m tests.fidelity.firefox --pages 200``.

It needs ``firefox-esr`` or ``firefox``, which it drives over WebDriver BiDi, without a driver beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

from websockets.asyncio.client import ClientConnection, connect

from tests.browser.support import serving

from .kinds import CLIENTS
from .pages import RandomPage, random_page

LISTENING = "WebDriver BiDi listening on "


@contextmanager
def running_firefox() -> Iterator[str]:
    """Run Firefox until the block ends, and yield the address of its WebDriver BiDi."""
    path = shutil.which("firefox-esr") or shutil.which("firefox")
    if path is None:
        raise SystemExit("Firefox is missing: install firefox-esr")
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        with subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                lines = iter(process.stderr or ())
                address = next(line.partition(LISTENING)[2].strip() for line in lines if LISTENING in line)
                threading.Thread(target=deque, args=(lines, 0)).start()  # so that Firefox does not wait for a reader
                yield address
            finally:
                process.kill()


class Tab:
    """A tab of Firefox."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._count = 0
        self._context = ""

    async def open(self) -> None:
        await self._call("session.new", capabilities={})
        self._context = (await self._call("browsingContext.getTree"))["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        await self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression that is a promise."""
        text = f"({expression}).then(JSON.stringify)"
        target = {"context": self._context}
        found = await self._call("script.evaluate", target=target, awaitPromise=True, expression=text)
        if found["type"] == "exception":
            raise RuntimeError(found["exceptionDetails"]["text"])
        return json.loads(found["result"]["value"])

    async def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        await self._connection.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while (answer := json.loads(await self._connection.recv())).get("id") != self._count:
            pass
        if answer["type"] == "error":
            raise RuntimeError(answer["message"])
        found: dict[str, Any] = answer["result"]
        return found


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Tab]:
    async with connect(f"{address}/session", max_size=None) as connection:
        tab = Tab(connection)
        await tab.open()
        yield tab


def declare(url: str, client: str, name: str, page: RandomPage) -> None:
    target = f"{url}/declare/{quote(client)}/{name}"
    urlopen(Request(target, data=json.dumps(page.declared).encode(), method="POST")).close()


async def look(tab: Tab, url: str, client: str, seed: str) -> list[dict[str, Any]]:
    """Return how the page of a seed differs from a reload."""
    page, name = random_page(seed), f"page-{secrets.token_hex(4)}"
    await asyncio.to_thread(declare, url, client, name, page)
    await tab.goto(f"{url}/{name}")
    found = await tab.evaluate(f"drive({json.dumps(name)}, {json.dumps(page.steps)})")
    return page.unknown(client, found["found"])


async def run(url: str, address: str, base: str, count: int) -> int:
    """Look at pages under all clients. Return how many differ."""
    different = 0
    async with opened(address) as tab:
        for client in CLIENTS:
            for number in range(count):
                if found := await look(tab, url, client, f"{base}-{number}"):
                    different += 1
                    print(f"{client}, seed {base}-{number}: {found}", flush=True)
            print(f"{client}: {count} pages", flush=True)
    return different


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=50, help="number of random pages for each client")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="seed of the random pages, to repeat a run")
    options = parser.parse_args()
    with serving("tests.fidelity.app:app") as server, running_firefox() as address:
        different = asyncio.run(run(server.url, address, options.seed, options.pages))
    raise SystemExit(1 if different else 0)


if __name__ == "__main__":
    main()
