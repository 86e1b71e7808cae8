"""Rules for tokens against cross-site request forgery in live blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from .._templates import DYNAMIC
from .issues import Issue, Severity, block_issue, element_issue
from .page_tree import Node, PageTree

__all__ = ["check_tokens"]

_TOKEN = re.compile(r"_?[cx]srf(_?(token|input|field))?(_(value|html))?", re.IGNORECASE)
_FIELD = re.compile(r"[cx]srf", re.IGNORECASE)
_EFFECT = (
    "an update renders it with the token of its own request. Where each request has a new token, the browser does not "
    "have its cookie, and the form is refused"
)
_FIX = (
    "keep the token outside live blocks, such as in hx-headers on an element around them, or use one token for as "
    "long as the session lasts, and ignore this"
)


def check_tokens(tree: PageTree, live: Set[str]) -> Iterator[Issue]:
    """Check that no live block contains a token.

    Args:
        tree: The page.
        live: The names of the blocks that an update can replace.
    """
    seen: set[str] = set()
    for node in tree.nodes:
        block = next((name for name in tree.blocks_around(node.element.around) if name in live), None)
        if block is None or not _is_token_field(node):
            continue
        seen.add(block)
        if not any(each.has("hx-preserve") for each in node.self_and_ancestors()):
            message = f"the live block {block!r} contains the field {node.get('name')!r}: {_EFFECT}"
            yield element_issue(Severity.WARNING, "csrf_token", node, message, _FIX, "name")
    for reads in tree.reads.blocks.values():
        block = next((name for name in tree.blocks_around(reads.name) if name in live), None)
        path = next((each for each in sorted(reads.paths) if any(map(_TOKEN.fullmatch, each.split(".")))), None)
        if block is not None and path is not None and block not in seen:
            seen.add(block)
            message = f"the live block {block!r} reads {path!r}, a CSRF token: {_EFFECT}"
            yield block_issue(Severity.WARNING, "csrf_token", reads, message, _FIX)


def _is_token_field(node: Node) -> bool:
    if node.tag != "input" or (node.get("type") or "").lower() != "hidden":
        return False
    name, value = node.get("name") or "", node.element.attributes.get("value") or ""
    return DYNAMIC not in name and bool(_FIELD.search(name)) and DYNAMIC in value
