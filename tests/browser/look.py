"""Problems of a page that the page itself can compute: contrast, overflow, labels and repeated ids."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["WATCH_SHIFTS", "faults_of", "shifted"]

_FAULTS = (Path(__file__).parent / "look.js").read_text()

WATCH_SHIFTS = """window.shifted = 0
new PerformanceObserver(list => list.getEntries().forEach(each => shifted += each.value))
  .observe({ type: "layout-shift", buffered: true })"""
"""Add up the layout shifts of the page, including those within half a second of an input."""


def faults_of(page: Page) -> list[str]:
    """Return the problems of a page."""
    return [str(fault) for fault in page.evaluate(_FAULTS)]


def shifted(page: Page) -> float:
    """Return the page's cumulative layout shift since it was loaded."""
    return float(page.evaluate("shifted"))
