"""What a check reads of an application: its templates, its live blocks, and its declarations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from jinja2 import Environment

from .._core.blocks import BlockRef
from .._index.index import DependencyIndex, registry_of
from .._index.personal import Personal, personal_blocks

__all__ = ["CONTRACT_KEYS", "AppDescription", "DeclaredPage", "Sharing", "check_contract_data"]

CONTRACT_KEYS = frozenset(
    {
        "reactive_audience_scopes",
        "reactive_connection_scopes",
        "reactive_emitted_paths",
        "reactive_emitted_scopes",
        "reactive_index",
    }
)
"""The keys of ``Reactive.set_contract_check_data``."""


def check_contract_data(key: str, value: Any) -> None:
    """Validate a key and value of contract data.

    Raises:
        ValueError: The key is unknown.
        TypeError: The index is not a :class:`DependencyIndex`.
    """
    if key not in CONTRACT_KEYS:
        raise ValueError(f"there is no contract check data {key!r}: write one of {', '.join(sorted(CONTRACT_KEYS))}")
    if key == "reactive_index" and not isinstance(value, DependencyIndex):
        raise TypeError(f"reactive_index must be a DependencyIndex, not {type(value).__name__}")


class Sharing(StrEnum):
    """The viewers that one render of a block serves."""

    ALL = "once for all"
    KEY = "once for each key"
    VIEWER = "for each viewer"


@dataclass(frozen=True, slots=True)
class DeclaredPage:
    """A page that an application declares with ``@reactive.page``.

    Args:
        template_name: Its template.
        scopes: Its scopes, with the endpoint's parameters in braces.
        shared: Whether one render serves all viewers.
        wire: The name of its wire.
        index: Its live blocks.
        knows_user: Whether its streams know their users.
        share: Whether one render serves all viewers with an equal key, apart from personal blocks.
        deferred: The names of values that its visits do without.
        differing: Shared blocks that were different for two viewers with an equal key, and so are personal.
        is_tracked: Whether it is live because of what it reads from a database.
    """

    template_name: str
    scopes: tuple[str, ...]
    shared: bool
    wire: str
    index: DependencyIndex
    knows_user: bool = False
    share: bool = False
    differing: frozenset[BlockRef] = frozenset()
    deferred: frozenset[str] = frozenset()
    is_tracked: bool = False

    @property
    def sharing(self) -> Sharing:
        """The viewers that one render of its blocks serves. Personal blocks are rendered for each viewer."""
        if self.shared:
            return Sharing.ALL
        return Sharing.KEY if self.share else Sharing.VIEWER

    def render_serves(self, block: str, personal: Personal | None) -> str:
        """Return the viewers that one render of a block serves, and why it serves no others.

        Args:
            block: The name of the block.
            personal: Why the block is personal. ``None`` if it is not.
        """
        if personal is not None and not self.shared:
            return f"{Sharing.VIEWER}: {personal.describe(block)}"
        return f"{self.sharing}: the page is not shared" if self.sharing is Sharing.VIEWER else self.sharing

    def personal(self, viewer_names: Set[str]) -> dict[BlockRef, Personal]:
        """Return its personal blocks, with the reason of each.

        Args:
            viewer_names: The context variables that belong to one viewer.
        """
        found = {ref: Personal(ref.block_name, None, differs=True) for ref in self.differing}
        return found | personal_blocks(registry_of(self.index), viewer_names)


@dataclass(frozen=True, slots=True)
class AppDescription:
    """Everything about an application that a check reads.

    Args:
        environments: The environments of its templates.
        indexes: The indexes of its plain streams.
        pages: Its declared pages.
        viewer_names: Context variables that belong to one viewer.
        sink_names: The functions that a template calls to write the page's sink.
        data: Its contract data, by key.
        endpoints: The endpoints of its plain streams.
        middleware: The classes of its middleware, from the outermost to the innermost.
        context_processors: The functions that add to the contexts of its templates.
    """

    environments: Sequence[Environment]
    indexes: Sequence[DependencyIndex] = ()
    pages: Sequence[DeclaredPage] = ()
    viewer_names: Set[str] = frozenset()
    sink_names: Set[str] = frozenset()
    data: Mapping[str, Any] = field(default_factory=dict)
    endpoints: Sequence[Any] = ()
    middleware: Sequence[type] = ()
    context_processors: Sequence[Callable[..., Any]] = ()

    @property
    def all_indexes(self) -> list[DependencyIndex]:
        """The indexes of its plain streams and of its declared pages."""
        return [*self.indexes, *(page.index for page in self.pages)]

    def pages_of(self, template_name: str) -> list[DeclaredPage]:
        """Return the declared pages of a template."""
        return [page for page in self.pages if page.template_name == template_name]
