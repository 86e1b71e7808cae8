"""Who shares the renders of declared pages, and which of their blocks are personal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._checks import AppDescription, Sharing

__all__ = ["SharingRow", "sharing_rows"]


@dataclass(frozen=True, slots=True)
class SharingRow:
    """Who shares the renders of a page.

    Args:
        page: Its template.
        scopes: Its scopes.
        serves: The viewers that one render serves.
        shared: The names of the blocks that several viewers share.
        personal: The names of the other blocks that show what belongs to one viewer, each with the reason.
    """

    page: str
    scopes: Sequence[str]
    serves: Sharing
    shared: Sequence[str]
    personal: Sequence[tuple[str, str]]


def sharing_rows(app: AppDescription) -> list[SharingRow]:
    """Return who shares the renders of each declared page that has live blocks."""
    rows = []
    for page in app.pages:
        reasons = {ref.block_name: reason for ref, reason in page.personal(app.viewer_names).items()}
        names = list(dict.fromkeys(ref.block_name for ref in page.index.blocks()))
        shared = [] if page.sharing is Sharing.VIEWER else [name for name in names if name not in reasons]
        personal = [(name, reason.describe(name)) for name, reason in reasons.items()]
        if names:
            rows.append(SharingRow(page.template_name, page.scopes, page.sharing, shared, personal))
    return rows
