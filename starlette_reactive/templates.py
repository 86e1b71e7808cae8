"""What an application declares of its templates: what functions read, and which parents there are."""

from __future__ import annotations

from ._templates import declare_parents, declare_reads

__all__ = ["declare_parents", "declare_reads"]
