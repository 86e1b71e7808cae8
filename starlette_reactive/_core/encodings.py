"""The content codings that a request accepts."""

from __future__ import annotations

__all__ = ["accepts_gzip"]


def accepts_gzip(accepted: str) -> bool:
    """Return whether an ``Accept-Encoding`` header accepts gzip."""
    weights = dict[str, str]()
    for each in accepted.lower().split(","):
        coding, _, parameter = each.partition(";")
        weights[coding.strip()] = parameter.partition("=")[2].strip()
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight == "" or weight.strip("0.") != ""
