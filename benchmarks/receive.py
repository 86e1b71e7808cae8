"""A process that receives messages one way and writes when each has come: ``NUMBER SECONDS`` a line, of the clock that
all processes share."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import redis

from .machine import pin

__all__: list[str] = []

_STAMP = re.compile(rb"N(\d{6})N")


def _from_redis(options: dict[str, Any]) -> Iterator[bytes]:
    subscription = redis.Redis.from_url(options["url"]).pubsub(ignore_subscribe_messages=True)
    subscription.subscribe("raw")
    for message in subscription.listen():
        yield message["data"]


def _from_postgres(options: dict[str, Any]) -> Iterator[bytes]:
    with psycopg.connect(options["url"], autocommit=True) as connection:
        connection.execute("LISTEN raw")
        for message in connection.notifies():
            yield message.payload.encode()


def _from_browser(options: dict[str, Any]) -> Iterator[bytes]:
    """Read the event stream as a browser's socket does."""
    with socket.create_connection(("127.0.0.1", options["port"])) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        while data := connection.recv(65536):
            yield data


SOURCES: dict[str, Callable[[dict[str, Any]], Iterator[bytes]]] = {
    "redis": _from_redis,
    "postgres": _from_postgres,
    "browser": _from_browser,
}


def _main(options: dict[str, Any]) -> None:
    pin(*options["cores"])
    last = b""
    for data in SOURCES[options["source"]](options):
        now = time.perf_counter()
        for stamp in _STAMP.findall(data):
            if stamp != last:
                print(int(stamp), now, flush=True)
                last = stamp


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
