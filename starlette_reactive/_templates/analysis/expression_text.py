"""The source text of expressions, for messages."""

from __future__ import annotations

from jinja2 import nodes

__all__ = ["quote_expression"]


def quote_expression(node: nodes.Node) -> str:
    """Return an expression in quotes if it is short and simple, else "an expression"."""
    text = _source(node)
    return f"'{text}'" if text else "an expression"


def _source(node: nodes.Node) -> str:
    match node:
        case nodes.Name():
            return node.name
        case nodes.Const():
            return repr(node.value).replace("'", '"')
        case nodes.Getattr():
            return _append(_source(node.node), f".{node.attr}")
        case nodes.Getitem(arg=nodes.Const()):
            return _append(_source(node.node), f"[{_source(node.arg)}]")
        case nodes.Call():
            return _append(_source(node.node), "(…)" if node.args or node.kwargs else "()")
        case nodes.Filter() if node.node is not None:
            return _append(_source(node.node), f"|{node.name}")
    return ""


def _append(base: str, rest: str) -> str:
    return f"{base}{rest}" if base and len(base) + len(rest) <= 60 else ""
