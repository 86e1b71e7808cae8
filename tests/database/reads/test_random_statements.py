"""A write that changes a statement's result meets the facts that the statement has read."""

from __future__ import annotations

import pytest

from .random_statements import run_cases


@pytest.mark.parametrize("seed", range(4))
def test_no_write_that_changes_a_result_is_missed(seed: int) -> None:
    outcome = run_cases(seed, cases=75, writes=12)
    assert outcome.missed == []
    assert outcome.changed > 20
    assert outcome.met < outcome.tried
