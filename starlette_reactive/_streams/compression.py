"""Streams with ``Content-Encoding: gzip``, compressed once for all viewers of a group.

A stream is one gzip member: a header for each connection, then blocks of raw deflate. Each of them ends at a byte, so
blocks of different compressors follow each other, and a browser decodes each block when it comes.

- **What a group shares is compressed once** for all viewers who were sent the same before, with that as the dictionary.
  A viewer who was sent something else gets a block that refers to what it has, or to nothing.
- **All else is stored as it is**: what is for one viewer, and the blocks that the page sends uncompressed. None of that
  is ever in a dictionary, so its length tells nothing about it.

So a connection needs no compressor, only references to what it was sent last. The stream ends without the checksum of
gzip, which would cost more for each viewer than all the rest: browsers do not read it, and take the end of a connection
as the end of a stream in any case.
"""

from __future__ import annotations

import functools
import re
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeVar

from .._core.sse import Uncompressed

__all__ = ["Encoder", "GzipEncoder", "Segments"]

History = tuple[bytes, ...]
"""What a connection was sent last, the newest payload last."""

_K = TypeVar("_K")
_V = TypeVar("_V")

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no time, no name, no operating system
_WINDOW = 32_768  # how many bytes a decoder remembers
_MOST_STORED = 65_535  # bytes in one stored block
_MOST_REMEMBERED = 16  # payloads in a history
_SHORT_HISTORY = 4_096  # bytes of history for a payload like which nothing was sent
_HEAD = re.compile(rb"(?:^|\n\n)(?:(?:id|event):[^\n]*\n)*(data:[^\n]{0,40})")


class Segments:
    """The newest payloads of a group, each compressed with what its viewers were sent before.

    It belongs to the event loop of the group.

    Args:
        most: How many of them to keep.
    """

    __slots__ = ("_compressed", "_most", "_steps")

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._compressed: OrderedDict[History, bytes] = OrderedDict()
        self._steps: OrderedDict[tuple[History, bytes], tuple[bytes, History]] = OrderedDict()

    def step(self, history: History, payload: bytes) -> tuple[bytes, History]:
        """Return a payload as a block that may refer to a history, and the history after it.

        Viewers with equal histories get the same objects, so this is one look into a dictionary for all but the first.
        """
        step = self._steps.get((history, payload))
        if step is None:
            key = (*_useful(history, payload), payload)
            segment = self._compressed.get(key)
            if segment is None:
                segment = self._keep(self._compressed, key, _compress(b"".join(key[:-1]), payload))
            step = self._keep(self._steps, (history, payload), (segment, _remembered(history, payload)))
        return step

    def _keep(self, known: OrderedDict[_K, _V], key: _K, value: _V) -> _V:
        known[key] = value
        if len(known) > self._most:
            known.popitem(last=False)
        return value


class Encoder:
    """The way from frames to the bytes of one connection: as they are."""

    __slots__ = ()

    def encode(self, own: bytes = b"", shared: bytes = b"", after: bytes = b"") -> bytes:
        """Return the bytes to send next.

        Args:
            own: What comes first, and is for this viewer alone.
            shared: What comes then, and is for all viewers of a group.
            after: What comes last, and is for this viewer alone.
        """
        return own + shared + after

    def encode_heartbeat(self, heartbeat: bytes) -> bytes:
        """Return a heartbeat, which is the same for all viewers, as the bytes to send next."""
        return heartbeat


class GzipEncoder(Encoder):
    """The gzip stream of one connection. Only what is shared is compressed, unless it is :class:`Uncompressed`.

    Args:
        segments: Those of the viewer's group.
    """

    __slots__ = ("_has_begun", "_history", "_segments")

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._has_begun = False
        self._history: History = ()  # what it was sent last, as far as others may have been sent the same

    def encode(self, own: bytes = b"", shared: bytes = b"", after: bytes = b"") -> bytes:
        """Return the bytes to send next; see :meth:`Encoder.encode`."""
        if shared and self._has_begun and not own and not after and not isinstance(shared, Uncompressed):
            return self._compressed(shared)  # nearly always
        parts = [] if self._has_begun else [_HEADER]
        self._has_begun = True
        if own:
            parts += self._stored(own)
        if isinstance(shared, Uncompressed):
            parts += self._stored(shared)
        elif shared:
            parts.append(self._compressed(shared))
        if after:
            parts += self._stored(after)
        return b"".join(parts)

    def encode_heartbeat(self, heartbeat: bytes) -> bytes:
        """Return a heartbeat as the bytes to send next. What comes after it may still refer to what came before it."""
        history = self._history
        encoded = self.encode(heartbeat)
        self._history = _remembered(history, heartbeat) if history else ()
        return encoded

    def _stored(self, data: bytes) -> Iterator[bytes]:
        self._history = ()
        for start in range(0, len(data), _MOST_STORED):
            piece = data[start : start + _MOST_STORED]
            yield struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF) + piece

    def _compressed(self, payload: bytes) -> bytes:
        segment, self._history = self._segments.step(self._history, payload)
        return segment


def _compress(history: bytes, payload: bytes) -> bytes:
    """Return a payload as raw deflate that may refer to a history, and ends at a byte."""
    if history:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS, zdict=history[-_WINDOW:])
    else:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _remembered(history: History, payload: bytes) -> History:
    """Return the history after a payload: as many of the newest ones as a decoder remembers."""
    room, kept = _WINDOW - len(payload), 0
    for each in reversed(history[1 - _MOST_REMEMBERED :]):
        if room <= 0:
            break
        room -= len(each)
        kept += 1
    return (*history[len(history) - kept :], payload)


def _useful(history: History, payload: bytes) -> History:
    """Return the end of a history that has something like each event of a payload.

    It is as short as it can be, so that it is the same for viewers who have come at different times.
    """
    missing = _heads(payload)
    for number, each in enumerate(reversed(history), 1):
        missing = missing - _heads(each)
        if not missing:
            return history[-number:]
    size = 0
    for number, each in enumerate(reversed(history), 1):
        size += len(each)
        if size >= _SHORT_HISTORY:
            return history[-number:]
    return history


@functools.lru_cache(maxsize=64)
def _heads(payload: bytes) -> frozenset[bytes]:
    """Return how the events of a payload begin, which names the elements that they go to."""
    return frozenset(_HEAD.findall(payload))
