"""Toasts: the part of ``Reactive`` that tells the people who look at a page now what has happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._bus.bus import hub_of
from .._core.blocks import Fragment
from .._core.errors import BlockRenderError, ReactiveError
from .._core.events import UserId
from .._core.toasts import Toast
from .._templates import compile_block
from .emitting import Changes

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.templating import Jinja2Templates

__all__ = ["Notifications"]


class Notifications(Changes):
    """Emits changes, and sends toasts."""

    templates: Jinja2Templates

    async def notify(self, scope: str, fragment: Fragment, *, audience: Iterable[UserId] | None = None) -> None:
        """Append a fragment once to an element of the pages of a scope that are connected now.

        The block is rendered once, with the fragment's own context: there is no request, so ``request``, ``url_for``
        and what context processors add are missing. Each viewer gets it at most once. A viewer that is not connected,
        or is just reconnecting, does not get it.

        Args:
            scope: The scope. Nothing happens if nobody views it.
            fragment: The block. Its ``target`` is the id of the element that it is appended to.
            audience: The ids of the users that it is for. ``None`` means everybody who views the scope.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: ``fragment`` has no target, or is longer than 4,096 bytes; or ``scope`` or a user id is empty.
            BlockRenderError: The block cannot be rendered.
            TemplateLoadError: The template does not exist or does not parse.
            BlockNotFoundError: The template has no such block.
            EmitTimeoutError: The engine has not accepted it in time. It may have passed it on nevertheless.
        """
        _check(scope, fragment, audience)
        block = compile_block(self.templates.env, fragment.template_name, fragment.block_name)
        try:
            html = await block.render_async(fragment.context)
        except Exception as error:
            raise _not_rendered(fragment, error) from error
        await hub_of(self.bus).toasts.send(_toast(scope, fragment, html, audience))

    def notify_sync(self, scope: str, fragment: Fragment, *, audience: Iterable[UserId] | None = None) -> None:
        """Like :meth:`notify`, thread-safe and without blocking.

        With an engine that cannot be reached, the toast is dropped. With an engine and before the bus is started, as
        in a script, it waits for the engine as ``emit_sync`` does.

        Raises:
            ReactiveError: The environment is asynchronous; use :meth:`notify` there.
        """
        _check(scope, fragment, audience)
        env: Environment = self.templates.env
        if env.is_async:
            raise ReactiveError(
                "the Jinja environment is asynchronous, and reactive.notify_sync() is not: write await "
                "reactive.notify(…)",
                template=fragment.template_name,
                block=fragment.block_name,
            )
        block = compile_block(env, fragment.template_name, fragment.block_name)
        try:
            html = block.render(fragment.context)
        except Exception as error:
            raise _not_rendered(fragment, error) from error
        hub_of(self.bus).toasts.send_sync(_toast(scope, fragment, html, audience))


def _check(scope: str, fragment: Fragment, audience: Iterable[UserId] | None) -> None:
    """Check everything that is known before the block is rendered."""
    if not isinstance(fragment, Fragment):
        raise TypeError(f"notify takes a Fragment, not {type(fragment).__name__}: {fragment!r}")
    if fragment.target is None:
        raise ValueError(
            f"{fragment!r} has no target: pass target=, the id of the element of the page that the toast is appended to"
        )
    Toast(scope, fragment.target, "", audience)


def _toast(scope: str, fragment: Fragment, html: str, audience: Iterable[UserId] | None) -> Toast:
    try:
        return Toast(scope, fragment.target or "", html, audience)
    except UnicodeEncodeError as error:
        raise _not_rendered(fragment, error) from error


def _not_rendered(fragment: Fragment, error: Exception) -> BlockRenderError:
    return BlockRenderError(
        f"the block {fragment.block_name!r} of {fragment.template_name!r} could not be rendered as a toast: "
        f"{type(error).__name__}: {error}; a toast has only the context of its Fragment, without a request, url_for "
        "and context processors: pass what the block reads, such as a URL, to the Fragment",
        template=fragment.template_name,
        block=fragment.block_name,
    )
