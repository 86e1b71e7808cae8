"""The HTTP library of the test clients: httpx2, or httpx where httpx2 is not installed.

Starlette's own test client chooses in the same order. The parts used here are the same in both libraries; type
checkers see httpx2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["httpx"]

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    try:
        import httpx2 as httpx
    except ModuleNotFoundError as _error:
        try:
            import httpx
        except ModuleNotFoundError:
            raise _error from None
