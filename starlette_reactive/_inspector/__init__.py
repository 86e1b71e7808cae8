"""The development page: the dependency graph, each event with its effects, and presence, live."""

from .access import Allow, is_local
from .inspector import Inspector

__all__ = ["Allow", "Inspector", "is_local"]
