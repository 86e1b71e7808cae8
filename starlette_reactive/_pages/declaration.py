"""Declaring a page: the arguments of ``@reactive.page`` are checked here, before there is an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .._clients import wire_named
from .._core.errors import BlockNotFoundError
from .._index.index import DependencyIndex, register_elements, registry_of, sibling_of
from .._index.registry import Registry
from .._streams.live_response import ConnectionCallback
from .deferred import deferred_values
from .endpoints import Endpoint
from .page import SINK_NAMES, VIEWER_NAMES, Page, PageSettings, UserOf
from .scopes import scope_formats
from .share import KeyOf, Share
from .site import Site

__all__ = ["declare_page"]


def declare_page(
    site: Site,
    settings: PageSettings,
    index_of_site: DependencyIndex,
    viewer_names: frozenset[str],
    template_name: str,
    *,
    scope: str | Sequence[str] | None,
    tracked: bool,
    shared: bool,
    share: KeyOf | None,
    recheck: float | None,
    share_audit: float | None,
    user: UserOf | None,
    exclude_blocks: Iterable[str],
    wire: str,
    on_connect: ConnectionCallback | None,
    on_disconnect: ConnectionCallback | None,
    compress: bool | None,
    uncompressed: Iterable[str],
    deferred: Iterable[str],
) -> Callable[[Endpoint], Page]:
    """Return a function that makes an endpoint a page, from the arguments of ``Reactive.page``."""
    known_wire = wire_named(wire)
    formats = scope_formats(scope, "board:{board_id}")
    if not formats and not tracked:
        raise ValueError(
            f"the page of {template_name!r} has tracked=False and no scope=: nothing would update it; write "
            'scope="board:{board_id}", or declare no page'
        )
    if shared and share is not None:
        raise ValueError(
            f"the page of {template_name!r} has shared=True and share=: keep shared=True if everybody sees the same "
            "without credentials, else share="
        )
    if share is None and (recheck is not None or share_audit is not None):
        raise ValueError(f"the page of {template_name!r} has recheck= or share_audit=, which need share=")
    index = sibling_of(index_of_site)
    names = VIEWER_NAMES | viewer_names
    register_elements(
        index,
        settings.templates,
        template_name,
        exclude_blocks=exclude_blocks,
        unless_read=SINK_NAMES,
        viewer_names=names if shared else frozenset(),
    )

    stored = _live_blocks(registry_of(index), template_name, uncompressed)

    def declare(endpoint: Endpoint) -> Page:
        key, registry = site.key_for(endpoint), registry_of(index)
        page = Page(
            owner=site,
            settings=settings,
            key=key,
            template_name=template_name,
            scope_formats=formats,
            shared=shared,
            share=None
            if share is None
            else Share(share, key, registry, names, recheck=recheck, audit=share_audit, debug=settings.debug),
            user=user,
            wire=known_wire,
            index=index,
            registry=registry,
            on_connect=on_connect,
            on_disconnect=on_disconnect,
            may_be_tracked=tracked,
            compress=shared if compress is None else compress,
            uncompressed=stored,
            deferred=deferred_values(registry, template_name, key, deferred),
        )
        if shared:
            page.refuse_viewer_names(names)
        return page

    return declare


def _live_blocks(registry: Registry, template_name: str, names: Iterable[str]) -> frozenset[str]:
    """Return names of live blocks.

    Raises:
        BlockNotFoundError: One of them is none.
    """
    if isinstance(names, str):
        raise TypeError(f"uncompressed is {names!r}: write a list of the names of blocks")
    found, live = frozenset(names), {ref.block_name for ref in registry.blocks()}
    if missing := sorted(found - live):
        raise BlockNotFoundError(
            f"{template_name!r} has no live block {missing[0]!r} to send uncompressed: name one of "
            f"{', '.join(map(repr, sorted(live)))}",
            template=template_name,
            block=missing[0],
        )
    return found
