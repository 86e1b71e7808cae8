"""Tests for live pages: clients, pages that keep themselves up to date, and assertions.

It needs httpx and justhtml, which come with the extra ``testing``; nothing else in the package imports it.
"""

try:
    import httpx as _httpx  # noqa: F401 - looked for, so that the error can say what to install
    import justhtml as _justhtml  # noqa: F401 - the same
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f"starlette_reactive.testing needs {_error.name or _error}: install starlette-reactive[testing]",
        name=_error.name,
    ) from _error

from .assertions import assert_fragment_contains, assert_hx_trigger, assert_is_fragment, assert_sse_wired
from .client import TestClient
from .page import LivePage
from .sse import ReceivedEvent, SSETestResult
from .sync import SyncLivePage, SyncTestClient
from .wording import NoStreamError

__all__ = [
    "LivePage",
    "NoStreamError",
    "ReceivedEvent",
    "SSETestResult",
    "SyncLivePage",
    "SyncTestClient",
    "TestClient",
    "assert_fragment_contains",
    "assert_hx_trigger",
    "assert_is_fragment",
    "assert_sse_wired",
]
