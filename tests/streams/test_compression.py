"""Compressed streams: blocks of deflate that viewers with an equal history share."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlette_reactive._core.sse import Uncompressed
from starlette_reactive._streams.compression import Encoder, GzipEncoder, Segments

HEARTBEAT = b": heartbeat\n\n"
ROWS = [f'<li id="task-{number}"><a href="/tasks/{number}">paint fence no. {number}</a></li>' for number in range(200)]


def block(name: str, number: int, rows: int = 200) -> bytes:
    """Return a frame with a block in which one row has a number."""
    text = "".join(ROWS[:rows]).replace("no. 7<", f"no. 7, for the {number}. time<")
    return f'data: <hx-partial hx-target="#{name}">{text}</hx-partial>\n\n'.encode()


def decoder() -> Any:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def count_compressions(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return the dictionaries of all compressors that are made from now on."""
    made: list[bytes] = []
    compressobj = zlib.compressobj

    def counting(**options: Any) -> Any:
        made.append(options.get("zdict", b""))
        return compressobj(**options)

    monkeypatch.setattr(zlib, "compressobj", counting)
    return made


frames = st.one_of(
    st.binary(max_size=60),
    st.builds(block, st.sampled_from(["a", "b"]), st.integers(0, 9), st.sampled_from([1, 20, 200])),
    st.integers(0, 255).map(lambda value: bytes([value, 10]) * 40_000),
)
writes = st.tuples(
    st.sampled_from(["shared", "uncompressed", "heartbeat", "both"]),
    frames,
    st.binary(max_size=40),
    st.sets(st.integers(0, 3)),
)


@given(st.lists(writes, max_size=40), st.integers(1, 8))
def test_each_write_decodes_at_once_to_the_plain_frames_whatever_a_viewer_was_sent_before(
    all_writes: list[tuple[str, bytes, bytes, set[int]]], most: int
) -> None:
    segments, plain = Segments(most), Encoder()
    viewers = [(GzipEncoder(segments), decoder()) for _ in range(4)]
    for kind, shared, own, absent in all_writes:
        for number, (encoder, decode) in enumerate(viewers):
            if number in absent:
                continue
            if kind == "heartbeat":
                sent, expected = encoder.encode_heartbeat(HEARTBEAT), plain.encode_heartbeat(HEARTBEAT)
            else:
                before = own + bytes([number]) if kind == "both" else b""
                frames = Uncompressed(shared) if kind == "uncompressed" else shared
                sent, expected = encoder.encode(before, frames, own), plain.encode(before, frames, own)
            assert decode.decompress(sent) == expected


def test_viewers_who_were_sent_the_same_share_a_compression_and_those_who_come_later_soon_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segments = Segments()
    viewers = [GzipEncoder(segments) for _ in range(20)]
    for number, viewer in enumerate(viewers):
        viewer.encode(b"retry: %d\n\n" % number)
    made = count_compressions(monkeypatch)
    first = {viewer.encode(b"", block("tasks", 1)) for viewer in viewers}
    assert len(made) == len(first) == 1
    viewers += [GzipEncoder(segments) for _ in range(20)]
    for viewer in viewers:
        viewer.encode(b"", block("tasks", 2))
    assert len(made) == 3  # with the first block as a dictionary, and without one
    for viewer in viewers:
        viewer.encode(b"", block("tasks", 3))
    assert len(made) == 4
    assert made[-1] == block("tasks", 2)


def test_an_update_that_resembles_an_earlier_one_costs_next_to_nothing() -> None:
    encoder = GzipEncoder(Segments())
    for name in ("tasks", "people"):
        encoder.encode(b"", block(name, 1))
    for number in range(2, 5):
        for name in ("tasks", "people"):
            frame = block(name, number)
            assert len(encoder.encode(b"", frame)) * 40 < len(frame)


def test_a_heartbeat_does_not_end_what_later_updates_refer_to(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = GzipEncoder(Segments())
    encoder.encode(b"", block("tasks", 1))
    encoder.encode_heartbeat(HEARTBEAT)
    made = count_compressions(monkeypatch)
    encoder.encode(b"", block("tasks", 2))
    assert made == [block("tasks", 1) + HEARTBEAT]


@pytest.mark.parametrize("secret", ["own", "shared", "after"])
def test_nothing_refers_to_what_is_stored(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    encoder = GzipEncoder(Segments())
    encoder.encode(b"", block("tasks", 1))
    encoder.encode(**{secret: Uncompressed(block("tasks", 2))})
    made = count_compressions(monkeypatch)
    encoder.encode(b"", block("tasks", 3))
    assert made == [b""]


def test_what_is_stored_is_sent_as_it_is() -> None:
    encoder, frame = GzipEncoder(Segments()), Uncompressed(block("tasks", 1))
    assert bytes(frame) in encoder.encode(b"retry: 1\n", frame)
    assert b"data: only for you" in encoder.encode(b"data: only for you\n\n")


def test_the_dictionaries_of_small_updates_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = GzipEncoder(Segments())
    made = count_compressions(monkeypatch)
    for number in range(200):
        frame = b'data: <hx-partial hx-target="#task-%d">%d</hx-partial>\n\n' % (number, number)
        encoder.encode(b"", frame)
    assert max(map(len, made)) < 1_000
