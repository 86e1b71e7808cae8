from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlette_reactive._log.permutation import Permutation

PERMUTATION = Permutation()


@given(st.integers(0, 2**64 - 1))
def test_a_number_comes_back(number: int) -> None:
    text = PERMUTATION.hide(number)
    assert len(text) == 16
    assert text == PERMUTATION.hide(number)
    assert PERMUTATION.reveal(text) == number


@given(st.text("0123456789abcdef", min_size=16, max_size=16))
def test_any_text_of_sixteen_digits_stands_for_one_number(text: str) -> None:
    number = PERMUTATION.reveal(text)
    assert number is not None
    assert PERMUTATION.hide(number) == text


@pytest.mark.parametrize("text", ["", "0", "0" * 15, "0" * 17, "g" * 16, "+" + "0" * 15, "0_" * 8, "\u0661" * 16])
def test_a_malformed_text_stands_for_none(text: str) -> None:
    assert PERMUTATION.reveal(text) is None


def test_neighbours_have_about_half_of_their_bits_in_common() -> None:
    texts = [int(PERMUTATION.hide(number), 16) for number in range(200)]
    differing = [(one ^ other).bit_count() for one, other in pairwise(texts)]
    assert 24 < sum(differing) / len(differing) < 40
