"""Figures with their spread: medians of rounds, and ratios paired by round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Experiment", "Figure", "Goal", "Rounds", "Table", "comparison", "figure", "ratio"]

Rounds = dict[str, list[float]]
"""For each variant its value in each round."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with its quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


def figure(values: Sequence[float]) -> Figure:
    if len(values) == 1:
        return Figure(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(median, low, high)


def ratio(values: Sequence[float], base: Sequence[float]) -> Figure:
    """Return how values compare with others of the same rounds."""
    return figure([one / other for one, other in zip(values, base, strict=True)])


def _short(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class Table:
    """What is printed of an experiment."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def __str__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self.title, text[0], "  ".join("-" * width for width in widths), *text[1:]])


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit that a figure is to keep to."""

    what: str
    limit: float
    figure: Figure
    at_least: bool = False

    @property
    def reached(self) -> bool:
        return self.figure.median >= self.limit if self.at_least else self.figure.median <= self.limit

    def row(self) -> list[str]:
        sign = "at least" if self.at_least else "at most"
        return [self.what, f"{sign} {self.limit:g}", str(self.figure), "reached" if self.reached else "MISSED"]


@dataclass(slots=True)
class Experiment:
    """What was measured, and what follows from it."""

    name: str
    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "goals": [{**asdict(goal), "reached": goal.reached} for goal in self.goals],
        }


def comparison(title: str, rounds: Mapping[str, list[float]], unit: str, base: str) -> Table:
    """Return a table of variants with their ratio to one of them, cheapest first."""
    ordered = sorted(rounds, key=lambda name: statistics.median(rounds[name]))
    rows = [[name, str(figure(rounds[name])), str(ratio(rounds[name], rounds[base]))] for name in ordered]
    return Table(title, ["variant", unit, f"x {base}"], rows)
