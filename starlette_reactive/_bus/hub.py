"""The bus as inner rooms see it."""

from .bus import ReactiveBus as Hub

__all__ = ["Hub"]
