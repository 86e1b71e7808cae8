"""The renders for one viewer: updates with its own request, cookies and all."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request

from .._core.blocks import BlockRef
from .._core.errors import ReactiveError, StreamEndedError, StreamRestartError
from .._streams.rendering import Rendered
from .equal_runs import equal_runs_of_loop, request_of
from .places import Claim
from .share import Key
from .update import UPDATE, Update, UpdateRunner
from .varying import Varying
from .viewer_cookies import ViewerCookies

__all__ = ["ViewerRenders"]

_NOT_KEPT = frozenset({"fastapi_inner_astack", "fastapi_function_astack", "fastapi_middleware_astack"})


class ViewerRenders:
    """The renders for one viewer.

    Only the page's own request knows who the viewer is: the stream's request may have passed other middleware.

    Args:
        runner: Runs the updates.
        user: The user that the stream's request belongs to.
        cookies: The cookies of the viewer's browser.
    """

    __slots__ = ("_cookies", "_has_admitted", "_request", "_runner", "_user", "key")

    def __init__(self, runner: UpdateRunner, user: str | None, cookies: ViewerCookies) -> None:
        self._runner = runner
        self._user = user
        self._cookies = cookies
        self._has_admitted = False
        self.key: Key | None = None
        """The viewer's key, if the page is shared by key and the viewer has been admitted."""
        self._request: Request | None = None

    @property
    def request(self) -> Request:
        """The newest request of the page that has found the viewer's key."""
        if self._request is None:
            raise ReactiveError("the viewer has not been admitted")
        return self._request

    def user_id(self) -> str | None:
        """Return the viewer's user id."""
        return self._user

    async def render(self, paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:  # noqa: ARG002 - an endpoint reads everything that it shows
        admits, update = not self._has_admitted, self._runner.update_of(blocks)
        if admits:  # the middleware has waited for the turn
            await self._cookies.begin()
            rendered = await self._run(update, admits=True)
        elif self._cookies.are_of_one_stream:
            rendered = await self._run_in_turn(update)
        else:
            runner = replace(self._runner, asgi_scope=self._cookies.scope(admits=False))
            request = self._cookies.browser(), request_of(runner)
            update, rendered = await equal_runs_of_loop().run(request, update, self._run_in_turn)
        if not admits and update.user != self._user:
            raise StreamRestartError(f"the viewer of the page {update.page} is another user now")
        if update.request is not None and (update.key is None or (not admits and update.key != self.key)):
            raise StreamRestartError(f"the viewer of the page {update.page} has another key now", whole=True)
        self._has_admitted, self._user, self.key = True, update.user, update.key
        if update.request is not None:
            self._request = _kept(update.request)
        return rendered

    async def _run_in_turn(self, update: Update) -> Rendered:
        turn = await self._cookies.turn()
        try:
            return await self._run(update, admits=False)
        finally:
            turn.end()

    async def render_for_others(
        self, blocks: list[BlockRef], varying: Varying | None
    ) -> tuple[Rendered, StreamRestartError | None]:
        """Render blocks for all viewers with an equal key.

        Returns:
            What was rendered, and why the browser must connect again nevertheless, if it must.

        Raises:
            StreamRestartError: The application refuses the viewer, or the viewer is another one or has another key.
        """
        update, restart = self._runner.update_of(blocks), None
        update.varying = varying
        turn = await self._cookies.turn()
        try:
            asgi_scope = self._cookies.scope(admits=False, for_others=True)
            runner = replace(self._runner, claim=Claim(update.page, for_others=True))
            try:
                rendered = await runner.run(update, asgi_scope)
            except StreamEndedError as refusal:
                raise StreamRestartError(str(refusal), soon=self.knows_cookies) from refusal
            try:
                self._cookies.take(update.set_cookies, admits=False)
            except StreamRestartError as error:
                restart = error
        finally:
            turn.end()
        if update.key != self.key or update.user != self._user:
            raise StreamRestartError(f"the viewer of the page {update.page} is another one now", whole=True)
        return rendered, restart

    @property
    def is_busy(self) -> bool:
        """Whether something else is done in the name of the browser."""
        return self._cookies.turn_is_taken

    @property
    def knows_cookies(self) -> bool:
        """Whether the browser's cookies are known to be current."""
        return self._cookies.are_current

    async def _run(self, update: Update, *, admits: bool) -> Rendered:
        asgi_scope = self._cookies.scope(admits=admits)
        try:
            rendered = await self._runner.run(update, asgi_scope)
        except StreamEndedError as refusal:
            if not admits:  # the browser may have other cookies now: it comes back and is asked for them once
                # without the middleware, a page may be the answer to the stream, which htmx 4 requests in a loop
                raise StreamRestartError(str(refusal), soon=self.knows_cookies) from refusal
            self._cookies.take(update.set_cookies, admits=True)
            raise
        except Exception:
            self._cookies.fail()
            raise
        self._cookies.take(update.set_cookies, admits=admits)
        return rendered


def _kept(request: Request) -> Request:
    """Return the request of a run that has ended, without what was open only while it ran."""
    asgi_scope = {name: value for name, value in request.scope.items() if name not in _NOT_KEPT}
    asgi_scope[UPDATE] = Update(request.scope[UPDATE].page, [])
    return Request(asgi_scope)
