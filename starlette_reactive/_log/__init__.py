"""Answers what changed since a cursor, in one process and across processes."""

__all__: list[str] = []
