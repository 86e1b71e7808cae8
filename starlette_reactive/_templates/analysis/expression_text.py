"""Expressions in words, for messages."""

from __future__ import annotations

from jinja2 import nodes

__all__ = ["in_words"]


def in_words(node: nodes.Node) -> str:
    """Return an expression much as the template has it, quoted if it is short and plain."""
    text = _text(node)
    return f"'{text}'" if text else "an expression"


def _text(node: nodes.Node) -> str:
    match node:
        case nodes.Name():
            return node.name
        case nodes.Const():
            return repr(node.value).replace("'", '"')
        case nodes.Getattr():
            return _joined(_text(node.node), f".{node.attr}")
        case nodes.Getitem(arg=nodes.Const()):
            return _joined(_text(node.node), f"[{_text(node.arg)}]")
        case nodes.Call():
            return _joined(_text(node.node), "(…)" if node.args or node.kwargs else "()")
        case nodes.Filter() if node.node is not None:
            return _joined(_text(node.node), f"|{node.name}")
    return ""


def _joined(base: str, rest: str) -> str:
    return f"{base}{rest}" if base and len(base) + len(rest) <= 60 else ""
