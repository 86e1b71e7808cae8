"""What is measured: each module has functions of the settings that return an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Settings"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """How thoroughly to measure."""

    quick: bool
    soak_minutes: float

    def pick(self, thorough: _T, quick: _T) -> _T:
        return quick if self.quick else thorough
