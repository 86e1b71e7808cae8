"""Compressed streams behind nginx and Caddy, which pass each update on at once and compress nothing again."""

from __future__ import annotations

import html
import re
import shutil
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..browser.support import Server, serving
from ..support import quiet_port, require

NGINX = """
daemon off; worker_processes 1; pid {directory}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  {compression}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {url}; {more} }}
  }}
}}
"""
KEPT_OPEN = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host:$server_port;'
EVERYTHING = "gzip on; gzip_proxied any; gzip_types *;"
CADDY = """{{
  admin off
  auto_https off
  storage file_system {directory}
}}
http://127.0.0.1:{port} {{
  {compression}
  reverse_proxy {url}
}}
"""
PROXIES = {
    "nginx": (NGINX, "gzip on;", ""),
    "nginx, as documented": (NGINX, "", KEPT_OPEN),
    "nginx that compresses everything": (NGINX, EVERYTHING, KEPT_OPEN),
    "caddy": (CADDY, "", ""),
    "caddy that compresses": (CADDY, "encode gzip", ""),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("tests.pages.compression_app:app") as server:
        yield server


@contextmanager
def running(name: str, url: str, directory: Path) -> Iterator[str]:
    """Run a proxy before a server, and yield its address."""
    template, compression, more = PROXIES[name]
    program = name.split(maxsplit=1)[0].rstrip(",")
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    require(found, program)
    port, config = quiet_port(), directory / "config"
    config.write_text(template.format(directory=directory, compression=compression, port=port, url=url, more=more))
    options = {"nginx": ["-p", directory, "-c", config], "caddy": ["run", "--adapter", "caddyfile", "--config", config]}
    with subprocess.Popen([str(found), *map(str, options[program])], stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for_port(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the proxy did not start"
        time.sleep(0.05)


class Reader:
    """Reads a stream, and decodes it if it is compressed."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks = response.iter_raw()
        is_gzip = response.headers.get("content-encoding") == "gzip"
        self._decode: Any = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress if is_gzip else bytes
        self.text = ""

    def read_until(self, wanted: str) -> None:
        while wanted not in self.text:
            self.text += self._decode(next(self._chunks)).decode()


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.parametrize("name", list(PROXIES))
def test_each_update_comes_at_once_and_is_compressed_only_once(
    server: Server, tmp_path: Path, name: str, accepted: str
) -> None:
    with running(name, server.url, tmp_path) as url, closing(httpx.Client(timeout=30)) as client:
        found = re.search(r'sse-connect="([^"]+)"', client.get(f"{url}/htmx2").text)
        assert found
        path, headers = html.unescape(found[1]), {"Accept-Encoding": accepted}
        with client.stream("GET", f"{url}{path}", headers=headers) as response:
            assert response.headers.get("content-encoding", "identity") == accepted
            assert response.headers["vary"] == "Accept-Encoding"
            reader = Reader(response)
            reader.read_until("retry: ")
            for _ in range(2):
                number = client.post(f"{url}/change?length=100").text
                reader.read_until(f" {number}<")
