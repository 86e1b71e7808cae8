"""Reports for other programs: JSON and SARIF 2.1.0."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from .issues import CATEGORIES, Issue, Severity

__all__ = ["to_json", "to_sarif"]

_SARIF_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_FIELDS = ("severity", "category", "template", "line", "message", "fix")


def to_json(issues: Sequence[Issue]) -> str:
    """Return the issues and their number by severity, as JSON."""
    listed = [{name: dataclasses.asdict(issue)[name] for name in _FIELDS} for issue in issues]
    summary = {str(severity): sum(1 for issue in issues if issue.severity is severity) for severity in Severity}
    return json.dumps({"issues": listed, "summary": summary}, indent=2, ensure_ascii=False)


def to_sarif(issues: Sequence[Issue]) -> str:
    """Return the issues in the Static Analysis Results Interchange Format."""
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in CATEGORIES.items()]
    driver = {"name": "starlette-reactive", "version": version("starlette-reactive"), "rules": rules}
    run = {"tool": {"driver": driver}, "results": [_result(issue) for issue in issues]}
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _result(issue: Issue) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": issue.category,
        "level": _SARIF_LEVELS[issue.severity],
        "message": {"text": f"{issue.message}. Fix: {issue.fix}"},
    }
    if issue.template is not None:
        location: dict[str, Any] = {"artifactLocation": {"uri": issue.template}}
        if issue.line is not None:
            location["region"] = {"startLine": issue.line}
        result["locations"] = [{"physicalLocation": location}]
    return result
