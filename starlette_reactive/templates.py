"""What template functions need: declaring which context variables a function reads."""

from ._templates.analysis.callables import declare_reads

__all__ = ["declare_reads"]
