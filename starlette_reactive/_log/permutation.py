"""A keyed permutation of 64-bit numbers, which hides a position in a cursor.

It is a Feistel network of four rounds over two halves of 32 bits, with keyed BLAKE2b as its round function. Four rounds
of a pseudorandom function make a strong pseudorandom permutation (Luby and Rackoff, 1988).
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from hashlib import blake2b

__all__ = ["Permutation"]

_DIGITS = 16  # hexadecimal digits of 64 bits
_HALF = 0xFFFFFFFF


class Permutation:
    """Writes numbers as text that tells nothing about them, not even their order. Thread-safe."""

    def __init__(self) -> None:
        key = secrets.token_bytes(32)
        self._rounds = [blake2b(key=key, salt=bytes([number]), digest_size=4) for number in range(4)]
        # A position is written for every visit and every batch, and mostly is the same as before.
        self.hide: Callable[[int], str] = functools.lru_cache(maxsize=128)(self._hide)

    def _hide(self, number: int) -> str:
        left, right = number >> 32, number & _HALF
        for base in self._rounds:
            left, right = right, left ^ _mix(base, right)
        return f"{left << 32 | right:0{_DIGITS}x}"

    def reveal(self, text: str) -> int | None:
        """Return the number of a text. ``None`` if it is malformed; any other text stands for some number."""
        if len(text) != _DIGITS or not text.isascii() or not text.isalnum():
            return None
        try:
            hidden = int(text, 16)
        except ValueError:
            return None
        left, right = hidden >> 32, hidden & _HALF
        for base in reversed(self._rounds):
            left, right = right ^ _mix(base, left), left
        return left << 32 | right


def _mix(base: blake2b, half: int) -> int:
    state = base.copy()
    state.update(half.to_bytes(4, "big"))
    return int.from_bytes(state.digest(), "big")
