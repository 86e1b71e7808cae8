"""Tools to test live pages: clients, pages that update themselves, and assertions.

This package needs httpx2 or httpx. The extra ``testing`` installs httpx2. Nothing else in starlette-reactive imports
this package.
"""

try:
    from . import _http_library  # noqa: F401 - imported first to name the extra in the error
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f"starlette_reactive.testing needs {_error.name or _error}: install starlette-reactive[testing]",
        name=_error.name,
    ) from _error

from ._assertions import assert_fragment_contains, assert_hx_trigger, assert_is_fragment
from ._client import TestClient
from ._failures import NoStreamError
from ._live_page import LivePage
from ._sse import ReceivedEvent, SSETestResult
from ._sync_client import SyncLivePage, SyncTestClient
from ._wiring import assert_sse_wired

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
