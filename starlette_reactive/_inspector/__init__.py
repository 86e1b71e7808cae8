"""The development page: what shows what, each event with what it caused, and who is where, live."""

from .guard import Allow, is_local
from .site import Inspector

__all__ = ["Allow", "Inspector", "is_local"]
