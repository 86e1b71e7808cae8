"""What a browser does with the bytes of a compressed stream over HTTP/1.1, for the load client."""

from __future__ import annotations

import zlib

__all__ = ["GzipBody"]


class GzipBody:
    """The body of one answer: chunks of one gzip member."""

    def __init__(self) -> None:
        self._waiting = b""
        self._has_head = False
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def decode(self, data: bytes) -> bytes:
        """Return what the next bytes of the connection add to the body."""
        self._waiting += data
        if not self._has_head:
            _, self._has_head, self._waiting = _parted(self._waiting, b"\r\n\r\n")
        found = []
        while self._has_head:
            size, is_known, rest = _parted(self._waiting, b"\r\n")
            if not is_known or len(rest) < int(size, 16) + 2:
                break
            found.append(self._decoder.decompress(rest[: int(size, 16)]))
            self._waiting = rest[int(size, 16) + 2 :]
        return b"".join(found)


def _parted(data: bytes, separator: bytes) -> tuple[bytes, bool, bytes]:
    before, found, after = data.partition(separator)
    return (before, True, after) if found else (b"", False, data)
