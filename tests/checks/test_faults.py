"""Each faulty template gives exactly its one finding, at its line, with a mend."""

from __future__ import annotations

import pytest

from starlette_reactive._checks import CATEGORIES, check

from .cases import Case
from .faults import FAULTS
from .sound import SOUND


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_fault_gives_exactly_one_finding_with_its_line_and_mend(case: Case) -> None:
    (issue,) = check(case.subject())
    assert (issue.category, issue.severity) == (case.category, case.severity)
    if case.place is not None:
        assert (issue.template, issue.line) == case.place
    assert issue.message
    assert issue.mend


def test_there_are_at_least_forty_and_one_of_each_category() -> None:
    assert len(FAULTS) >= 40
    assert {case.category for case in FAULTS} | {"yield_dependency"} == set(CATEGORIES)


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_what_only_looks_suspicious_gives_nothing(case: Case) -> None:
    assert check(case.subject()) == []


def test_there_are_at_least_twenty_that_look_suspicious() -> None:
    assert len(SOUND) >= 20
