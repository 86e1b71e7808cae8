"""Where the elements of a template begin and end in its syntax tree, and blocks put around them.

An update addresses an element. Where an element shows more than one block, such as a text beside it or attributes that
depend on values, the element itself has to be a block. :func:`spans` finds the part of the tree that an element takes,
and :func:`put_block` makes it a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from jinja2 import nodes

from ..._core.blocks import Placement
from .nesting import closed_by_end, closed_by_start, is_foreign
from .tokenizer import DYNAMIC, VOID, StartTag, Tokenizer

__all__ = ["ElementSpan", "put_block", "spans"]

_PIECES: Final = re.compile(r"<[^<>]*>?|[^<>]+>?|>")
_SCOPED: Final = (nodes.For, nodes.With, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Block, nodes.Scope)
_BINDS: Final = (nodes.Assign, nodes.AssignBlock, nodes.Import, nodes.FromImport, nodes.Macro, nodes.Extends)


class _Position(NamedTuple):
    """A place in a body: the number of a statement, of a part of its output, and of a character in that."""

    statement: int
    part: int
    offset: int


@dataclass(frozen=True, slots=True)
class ElementSpan:
    """The part of a template that an element takes. It begins and ends in the same body of the syntax tree.

    Args:
        body: The statements that contain the element.
        start: The beginning of the start tag.
        content: The end of the start tag.
        content_end: The beginning of the end tag.
        end: The end of the end tag.
        varies: Whether an attribute depends on a value or a condition.
        is_spaced: Whether its content begins or ends with text, which may be white space.
    """

    body: list[nodes.Node]
    start: _Position
    content: _Position
    content_end: _Position
    end: _Position
    varies: bool
    is_spaced: bool


def spans(tree: nodes.Template, name: str) -> Mapping[tuple[int, str], ElementSpan]:
    """Return the elements of a template that have a constant ``id``, by the line of their start tag and their id.

    Elements that have no end tag, or whose end tag is in another branch of the template, are left out.

    Args:
        tree: The template's syntax tree.
        name: The template's name.
    """
    scanner = _Scanner(name)
    scanner.walk(tree.body)
    return scanner.found


def put_block(span: ElementSpan, block_name: str, placement: Placement) -> bool:
    """Put a block into an element, around all that it holds, or around the element.

    Args:
        span: The element. Its tree is changed.
        block_name: The name of the new block.
        placement: Whether the element holds the block or is in it.

    Returns:
        Whether the tree was changed. It is not if the element binds names that the rest of the template may use, or
        contains ``super()`` of the block around it.
    """
    is_inside = placement is Placement.INSIDE
    start, end = (span.content, span.content_end) if is_inside else (span.start, span.end)
    before, rest = _split(span.body, start)
    # the end lies in `rest`, whose first statement holds what follows the start
    inner, after = _split(rest, _after(start, end))
    if any(_leaks(inner)):
        return False
    environment, line = span.body[start.statement].environment, span.body[start.statement].lineno
    block = nodes.Block(block_name, inner, True, False, lineno=line)
    block.environment = environment
    span.body[:] = [*before, block, *after]
    return True


def _split(body: Sequence[nodes.Node], at: _Position) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """Return the statements before and after a position. The output at the position becomes two."""
    output = body[at.statement]
    if not isinstance(output, nodes.Output):
        raise TypeError(f"a tag is in the output of a template, not in {type(output).__name__}")
    data = output.nodes[at.part]
    if not isinstance(data, nodes.TemplateData):
        raise TypeError(f"a tag is in the text of a template, not in {type(data).__name__}")
    head, tail = data.data[: at.offset], data.data[at.offset :]
    line = data.lineno + head.count("\n")
    first = _like(output, [*output.nodes[: at.part], _like(data, head, data.lineno)], output.lineno)
    second = _like(output, [_like(data, tail, line), *output.nodes[at.part + 1 :]], line)
    return [*body[: at.statement], first], [second, *body[at.statement + 1 :]]


def _like(node: nodes.Node, value: object, line: int) -> nodes.Node:
    made = type(node)(value, lineno=line)
    made.environment = node.environment
    return made


def _after(start: _Position, position: _Position) -> _Position:
    """Return where a position is among the statements that follow ``start``."""
    statement = position.statement - start.statement
    if statement:
        return _Position(statement, position.part, position.offset)
    part = position.part - start.part
    return _Position(0, part, position.offset - (0 if part else start.offset))


def _leaks(body: Sequence[nodes.Node]) -> Iterator[bool]:
    """Yield for each statement whether it would mean something else inside a block."""
    for node in body:
        yield isinstance(node, _BINDS) or _calls_super(node)
        if not isinstance(node, _SCOPED):
            yield from _leaks([child for child in node.iter_child_nodes() if isinstance(child, nodes.Stmt)])


def _calls_super(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Block):
        return False
    if isinstance(node, nodes.Name) and node.name == "super":
        return True
    return any(_calls_super(child) for child in node.iter_child_nodes())


@dataclass(slots=True, eq=False)
class _OpenElement:
    """An element whose end tag has not come yet."""

    tag: StartTag
    body: list[nodes.Node]
    start: _Position
    content: _Position
    varies: bool
    is_broken: bool = False


class _Scanner:
    """Walks the bodies of a template in order, and keeps the elements that are open. It handles its own tags."""

    def __init__(self, name: str) -> None:
        self.found: dict[tuple[int, str], ElementSpan] = {}
        self._name = name
        self._tokens = Tokenizer(self)
        self._open: list[_OpenElement] = []
        self._body: list[nodes.Node] = []
        self._tag_body: list[nodes.Node] = []
        self._tag_start = self._piece_end = _Position(0, 0, 0)
        self._varies = False

    def walk(self, body: list[nodes.Node]) -> None:
        """Walk statements. An element that is closed in one body and opened in another has no span."""
        outer, self._body = self._body, body
        for number, node in enumerate(body):
            if isinstance(node, nodes.Output):
                self._output(node, number)
            else:
                self._statement(node)
        self._body = outer

    def _output(self, node: nodes.Output, number: int) -> None:
        for part, child in enumerate(node.nodes):
            if isinstance(child, nodes.TemplateData):
                self._text(child, number, part)
            else:
                self._varies = True
                self._tokens.dynamic()

    def _text(self, node: nodes.TemplateData, statement: int, part: int) -> None:
        line = node.lineno
        for match in _PIECES.finditer(node.data):
            piece = match[0]
            if piece.startswith("<") and self._tokens.in_text:
                self._tag_start, self._tag_body = _Position(statement, part, match.start()), self._body
                self._varies = False
            self._piece_end = _Position(statement, part, match.end())
            self._tokens.feed(piece, self._name, line)
            line += piece.count("\n")

    def _statement(self, node: nodes.Node) -> None:
        """Walk the bodies of a statement, each from where the statement begins."""
        self._varies = True
        before, in_text = list(self._open), self._tokens.in_text
        for body in _bodies(node):
            saved = self._tokens.save()
            self.walk(body)
            closed = before[len(self._open) :]
            is_level = self._tokens.in_text == in_text and self._open == before[: len(self._open)]
            for each in closed if is_level else (*before, *self._open):
                each.is_broken = True
            self._open = list(before)
            if in_text:  # within a tag, each body adds its attributes to the same tag
                self._tokens.restore(saved)

    def start_tag(self, tag: StartTag) -> None:
        """Open an element, unless it is empty."""
        del self._open[closed_by_start(tag.name, self._names()) :]
        may_be_closed = tag.name in ("svg", "math") or self.is_foreign()
        if tag.name in VOID or (tag.closed and may_be_closed):
            return
        opened = _OpenElement(tag, self._body, self._tag_start, self._piece_end, self._varies)
        opened.is_broken = self._tag_body is not self._body
        self._open.append(opened)

    def end_tag(self, name: str) -> None:
        """Close the elements that an end tag closes. Only the outermost of them may be its own."""
        left = closed_by_end(name, self._names())
        closed = self._open[left] if left < len(self._open) else None
        del self._open[left:]
        if closed is None or closed.tag.name != name or closed.is_broken:
            return
        dom_id = closed.tag.attributes.get("id")
        if dom_id and DYNAMIC not in dom_id and closed.body is self._body is self._tag_body:
            content, end = closed.content, self._tag_start
            is_spaced = content[:2] == end[:2] or content.offset < _length(closed.body, content) or end.offset > 0
            self.found[closed.tag.place.line, dom_id] = ElementSpan(
                closed.body, closed.start, content, end, self._piece_end, closed.varies, is_spaced
            )

    def _names(self) -> list[str]:
        return [each.tag.name for each in self._open]

    def is_foreign(self) -> bool:
        """Return whether the current position is in SVG or MathML."""
        return is_foreign(self._names())

    def text(self, text: str) -> None:
        """Ignore text."""

    def unknown(self) -> None:
        """Ignore an expression."""

    def doctype(self) -> None:
        """Ignore a doctype."""


def _length(body: Sequence[nodes.Node], at: _Position) -> int:
    """Return how long the text at a position is."""
    output = body[at.statement]
    data = output.nodes[at.part] if isinstance(output, nodes.Output) else None
    return len(data.data) if isinstance(data, nodes.TemplateData) else 0


def _bodies(node: nodes.Node) -> list[list[nodes.Node]]:
    """Return the bodies of a statement."""
    bodies = [getattr(node, field) for field in ("body", "else_") if isinstance(getattr(node, field, None), list)]
    for each in getattr(node, "elif_", ()):
        bodies.extend(_bodies(each))
    return bodies
