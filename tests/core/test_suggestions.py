"""Suggestions for misspelt names."""

from __future__ import annotations

from starlette_reactive._core.suggestions import did_you_mean


def test_the_closest_known_name_is_suggested() -> None:
    assert did_you_mean("task", ["tabs", "tasks", "body"]) == " (did you mean 'tasks'?)"


def test_nothing_is_suggested_when_no_known_name_is_close() -> None:
    assert did_you_mean("task", ["header"]) == ""
    assert did_you_mean("task", []) == ""
