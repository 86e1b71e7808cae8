"""From the statements that a run executes to the facts that it reads."""

from __future__ import annotations

from .watching import watch_reads

__all__ = ["watch_reads"]
