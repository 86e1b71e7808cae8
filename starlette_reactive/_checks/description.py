"""What is checked: templates, the blocks that are live in them, and what the application declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment

from .._core.blocks import BlockRef
from .._index.index import DependencyIndex
from .._templates import BlockReads, Element
from .document import Document, Node
from .model import Issue, Severity

__all__ = [
    "CONTRACT_KEYS",
    "DeclaredPage",
    "LiveBlock",
    "Subject",
    "at_block",
    "at_element",
    "check_contract_data",
]

CONTRACT_KEYS = frozenset(
    {"reactive_audience_scopes", "reactive_connection_scopes", "reactive_emitted_paths", "reactive_index"}
)
"""What an application can say of itself."""


def check_contract_data(key: str, value: Any) -> None:
    """Check what an application declares about itself.

    Raises:
        ValueError: The key is unknown.
        TypeError: The index is not a :class:`DependencyIndex`.
    """
    if key not in CONTRACT_KEYS:
        raise ValueError(f"there is no contract check data {key!r}: write one of {', '.join(sorted(CONTRACT_KEYS))}")
    if key == "reactive_index" and not isinstance(value, DependencyIndex):
        raise TypeError(f"reactive_index must be a DependencyIndex, not {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class DeclaredPage:
    """A page that an application declares with ``@reactive.page``.

    Args:
        template_name: Its template.
        scope: Its scope, with the endpoint's parameters in braces.
        shared: Whether one render serves all viewers.
        wire: What its client understands.
        index: Its live blocks.
        knows_user: Whether its streams know whose they are.
    """

    template_name: str
    scope: str
    shared: bool
    wire: str
    index: DependencyIndex
    knows_user: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """An application, as far as it can be checked.

    Args:
        environments: Where its templates come from.
        indexes: Which blocks its plain streams send.
        pages: The pages that it declares.
        viewer_names: Context variables that belong to one viewer.
        sink_names: What a template calls for the page's own connection.
        data: What the application says of itself, by key.
        endpoints: The endpoints of its plain streams.
    """

    environments: Sequence[Environment]
    indexes: Sequence[DependencyIndex] = ()
    pages: Sequence[DeclaredPage] = ()
    viewer_names: Set[str] = frozenset()
    sink_names: Set[str] = frozenset()
    data: Mapping[str, Any] = field(default_factory=dict)
    endpoints: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class LiveBlock:
    """A block that a page's stream sends, or is meant to.

    Args:
        reads: What it reads.
        node: The element that shows it, if the page has one.
        ref: Its reference, if it is registered.
        index: Where it is registered.
    """

    reads: BlockReads
    node: Node | None
    ref: BlockRef | None = None
    index: DependencyIndex | None = None

    def is_ever_sent(self, document: Document) -> bool:
        """Tell whether any change can cause it to be sent."""
        if self.ref is not None and self.index is not None:
            return bool(self.index.block_dependencies(*self.ref.key))
        return any(
            block.paths
            for block in document.reads.blocks.values()
            if self.reads.name in document.blocks_around(block.name)
        )


def at_element(
    severity: Severity, category: str, element: Element | Node, message: str, mend: str, attribute: str | None = None
) -> Issue:
    """Return an issue at an attribute of an element; without one, and where the element lacks it, at its tag."""
    place = (element.element if isinstance(element, Node) else element).place(attribute)
    return Issue(severity, category, place.template, place.line, message, mend)


def at_block(severity: Severity, category: str, reads: BlockReads, message: str, mend: str) -> Issue:
    """Return an issue at a block's tag."""
    return Issue(severity, category, reads.template, reads.line, message, mend)
