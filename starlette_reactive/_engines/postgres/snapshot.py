"""Snapshots of PostgreSQL: which transactions a query saw."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The transactions that a query saw: all below ``end``, except for those in ``running``.

    Args:
        level: The number up to which all transactions had ended.
        end: The lowest number that had not been given out.
        running: The transactions between the two that had not ended.
    """

    level: int
    end: str
    running: list[str]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Parse the text form of a ``pg_snapshot``."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin) - 1, xmax, running.split(",") if running else [])

    def sees(self, xid: str) -> bool:
        """Return whether the query saw the rows of a transaction that has been committed, then or since."""
        return int(xid) <= self.level or (int(xid) < int(self.end) and xid not in self.running)
