"""Each faulty template gives exactly one issue, at its line, with a fix."""

from __future__ import annotations

import pytest

from starlette_reactive._checks import CATEGORIES, check

from .cases import Case
from .fault_cases import FAULTS
from .sound_cases import SOUND


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_fault_gives_exactly_one_issue_with_its_line_and_a_fix(case: Case) -> None:
    (issue,) = check(case.describe(), case.settings)
    assert (issue.category, issue.severity) == (case.category, case.severity)
    if case.place is not None:
        assert (issue.template, issue.line) == case.place
    assert issue.message
    assert issue.fix


def test_there_are_at_least_forty_faults_and_one_of_each_category() -> None:
    assert len(FAULTS) >= 40
    elsewhere = {"shared_request", "cookie_middleware", "package_version", "yield_dependency"}
    elsewhere |= {"deferred_value", "no_scope"}
    assert {case.category for case in FAULTS} | elsewhere == set(CATEGORIES)


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_a_template_that_only_looks_suspicious_gives_no_issue(case: Case) -> None:
    assert check(case.describe(), case.settings) == []


def test_there_are_at_least_twenty_suspicious_templates() -> None:
    assert len(SOUND) >= 20
