"""SyncTestClient: TestClient for synchronous test suites, such as those written with Starlette's ``TestClient``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.types import ASGIApp

from ._client import TestClient
from ._http_library import httpx
from ._live_page import LivePage
from ._sse import ReceivedEvent, SSETestResult
from ._wiring import assert_sse_wired

__all__ = ["SyncLivePage", "SyncTestClient"]

_NOT_RUNNING = "the application is not running: use the client as a context manager, in `with`"


class SyncTestClient:
    """A client for synchronous tests; use it in ``with``.

    The application runs in an event loop in a separate thread. Like Starlette's ``TestClient``, the client follows
    redirects by default.

    Args:
        app: The application.
        backend: ``"asyncio"`` or ``"trio"``.
        **options: Other parameters of :class:`TestClient`.
    """

    __test__ = False

    def __init__(self, app: ASGIApp, *, backend: str = "asyncio", **options: Any) -> None:
        self._app = app
        self._backend = backend
        self._options = {"follow_redirects": True, **options}
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._client: TestClient | None = None

    def __enter__(self) -> Self:
        """Start the application."""
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(self._backend))
            client = self._portal.call(partial(TestClient, self._app, **self._options))
            self._client = stack.enter_context(self._portal.wrap_async_context_manager(client))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        """Close the pages, disconnect open requests, and shut the application's lifespan down."""
        self._stack.__exit__(*exc_info)
        self._portal = self._client = None

    @property
    def portal(self) -> BlockingPortal:
        """The portal to the application's event loop: ``client.portal.call(function, …)`` runs a function there."""
        if self._portal is None:
            raise RuntimeError(_NOT_RUNNING)
        return self._portal

    @property
    def client(self) -> TestClient:
        """The asynchronous client behind this one."""
        if self._client is None:
            raise RuntimeError(_NOT_RUNNING)
        return self._client

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies."""
        return self.client.cookies

    @property
    def headers(self) -> httpx.Headers:
        """The headers that each request has."""
        return self.client.headers

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request; the options are those of httpx2."""
        return self.portal.call(partial(self.client.request, method, url, **options))

    def get(self, url: str, **options: Any) -> httpx.Response:
        """Send a GET request."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> httpx.Response:
        """Send a HEAD request."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Any) -> httpx.Response:
        """Send an OPTIONS request."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Any) -> httpx.Response:
        """Send a POST request."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx.Response:
        """Send a PUT request."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> httpx.Response:
        """Send a PATCH request."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> httpx.Response:
        """Send a DELETE request."""
        return self.request("DELETE", url, **options)

    def sse(
        self,
        path: str,
        *,
        max_events: int = 10,
        timeout: float = 5,
        headers: Mapping[str, str] | None = None,
        disconnect_after: float | None = None,
    ) -> SSETestResult:
        """Synchronous version of :meth:`TestClient.sse`."""
        return self.portal.call(
            partial(
                self.client.sse,
                path,
                max_events=max_events,
                timeout=timeout,
                headers=headers,
                disconnect_after=disconnect_after,
            )
        )

    def live(
        self, path: str, *, htmx: int | None = None, live_script: bool | None = None, timeout: float = 5
    ) -> SyncLivePage:
        """Synchronous version of :meth:`TestClient.live`."""
        opening = partial(self.client.live, path, htmx=htmx, live_script=live_script, timeout=timeout)
        return SyncLivePage(self.portal, self.portal.call(opening))

    def assert_sse_wired(self, page_path: str, **options: Any) -> None:
        """Synchronous version of :func:`assert_sse_wired`."""
        self.portal.call(partial(assert_sse_wired, self.client, page_path, **options))


class SyncLivePage:
    """A :class:`LivePage` for synchronous tests; :meth:`SyncTestClient.live` opens one."""

    def __init__(self, portal: BlockingPortal, page: LivePage) -> None:
        self._portal = portal
        self._page = page

    @property
    def headers(self) -> dict[str, str]:
        """The headers that htmx adds to the page's requests."""
        return self._portal.call(lambda: self._page.headers)

    @property
    def state(self) -> str:
        """``connected``, ``reconnecting`` or ``ended``."""
        return self._portal.call(lambda: self._page.state)

    @property
    def end_reason(self) -> str | None:
        """The word that tells the live script why the stream has ended for good."""
        return self._portal.call(lambda: self._page.end_reason)

    @property
    def frames(self) -> list[ReceivedEvent]:
        """The last events."""
        return self._portal.call(lambda: self._page.frames)

    def text(self, selector: str) -> str:
        """Synchronous version of :meth:`LivePage.text`."""
        return self._portal.call(self._page.text, selector)

    def html(self, selector: str) -> str:
        """Synchronous version of :meth:`LivePage.html`."""
        return self._portal.call(self._page.html, selector)

    def expect(
        self, selector: str, text: str | None = None, *, contains: str | None = None, timeout: float = 5
    ) -> None:
        """Synchronous version of :meth:`LivePage.expect`."""
        self._portal.call(partial(self._page.expect, selector, text, contains=contains, timeout=timeout))

    def expect_nothing(self, seconds: float = 0.2) -> None:
        """Synchronous version of :meth:`LivePage.expect_nothing`."""
        self._portal.call(self._page.expect_nothing, seconds)

    def reconnect(self, *, timeout: float = 5) -> None:
        """Synchronous version of :meth:`LivePage.reconnect`."""
        self._portal.call(partial(self._page.reconnect, timeout=timeout))

    def go_offline(self) -> None:
        """Synchronous version of :meth:`LivePage.go_offline`."""
        self._portal.call(self._page.go_offline)

    def go_online(self, *, timeout: float = 5) -> None:
        """Synchronous version of :meth:`LivePage.go_online`."""
        self._portal.call(partial(self._page.go_online, timeout=timeout))
