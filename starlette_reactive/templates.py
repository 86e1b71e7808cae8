"""For functions, filters and tests of templates: declare which context variables they read."""

from __future__ import annotations

from ._templates import declare_reads

__all__ = ["declare_reads"]
