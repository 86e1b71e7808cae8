"""A tokenizer for HTML that arrives in pieces, with unknown parts between them.

It implements the states of the HTML standard that tags need: quoted and unquoted attribute values, comments,
declarations, and elements whose content is text (``script``, ``style``, ``textarea``, ``title``). An unknown part may
occur anywhere, even in the name of a tag. The tokenizer never fails: whatever is not HTML counts as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import ClassVar, Final, NamedTuple, Protocol

__all__ = ["DYNAMIC", "VOID", "Handler", "StartTag", "TemplatePlace", "Tokenizer"]

DYNAMIC: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for a part that is known only at run time, in the value or name of an attribute or the name of a tag."""

VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
"""Elements without content and without an end tag."""
RAW: Final = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"})
"""Elements whose content is text, in a browser that runs scripts."""
_SPACE: Final = " \t\n\r\f"
_TAG_NAME: Final = re.compile(r"[^ \t\n\r\f/>]+")
_ATTRIBUTE_NAME: Final = re.compile(r"[^ \t\n\r\f/>=]+")


class TemplatePlace(NamedTuple):
    """A template and a line in it, counted from 1."""

    template: str
    line: int

    def __str__(self) -> str:
        return f"{self.template}:{self.line}"


class StartTag(NamedTuple):
    """A start tag: its attributes, its place, the place of each attribute, and whether it ends with a slash."""

    name: str
    attributes: dict[str, str | None]
    place: TemplatePlace
    places: dict[str, TemplatePlace]
    closed: bool


class Handler(Protocol):
    """Receives what a tokenizer finds."""

    def start_tag(self, tag: StartTag) -> None:
        """Handle a start tag."""

    def end_tag(self, name: str) -> None:
        """Handle an end tag."""

    def text(self, text: str) -> None:
        """Handle text, which may be white space."""

    def unknown(self) -> None:
        """Handle an unknown part."""

    def doctype(self) -> None:
        """Handle a doctype."""

    def is_foreign(self) -> bool:
        """Return whether the current position is in SVG or MathML."""


class _State(Enum):
    """The state of the tokenizer."""

    DATA = auto()
    RAW = auto()
    TAG_OPEN = auto()
    TAG_NAME = auto()
    BEFORE_NAME = auto()
    NAME = auto()
    AFTER_NAME = auto()
    BEFORE_VALUE = auto()
    QUOTED = auto()
    UNQUOTED = auto()
    COMMENT = auto()
    DECLARATION = auto()


class Tokenizer:
    """Turns pieces of text into tags, and passes them to a handler."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.state: _State = _State.DATA
        self.template: str = ""
        self.line: int = 1
        self.tag_place: TemplatePlace = TemplatePlace("", 1)
        self.name_place: TemplatePlace = TemplatePlace("", 1)
        self.tag: str = ""
        self.closing: bool = False
        self.slash: bool = False
        self.name: str = ""
        self.value: str = ""
        self.quote: str = ""
        self.raw: str = ""
        self.pending: str = ""
        self.attributes: dict[str, str | None] = {}
        self.places: dict[str, TemplatePlace] = {}

    def save(self) -> tuple[object, ...]:
        """Return the state, for :meth:`restore`."""
        attributes, places = dict(self.attributes), dict(self.places)
        return (self.state, self.tag_place, self.name_place, self.tag, self.closing, self.slash, self.name, self.value,
                self.quote, self.raw, self.pending, attributes, places)  # fmt: skip

    def restore(self, saved: tuple[object, ...]) -> None:
        """Return to a saved state."""
        (self.state, self.tag_place, self.name_place, self.tag, self.closing, self.slash, self.name, self.value,
         self.quote, self.raw, self.pending, attributes, places) = saved  # type: ignore[assignment]  # fmt: skip
        self.attributes = dict(attributes)  # type: ignore[call-overload]
        self.places = dict(places)  # type: ignore[call-overload]

    @property
    def in_text(self) -> bool:
        """Whether the tokenizer is outside tags and comments."""
        return self.state in (_State.DATA, _State.RAW)

    def dynamic(self) -> None:
        """Continue after an unknown part."""
        if self.in_text:
            self._flush()
            self.handler.unknown()
        else:
            self._feed(DYNAMIC)

    def feed(self, text: str, template: str, line: int) -> None:
        """Continue with ``text``, which begins at a line of a template."""
        self.template, self.line = template, line
        self._feed(text)

    def _feed(self, text: str) -> None:
        position = 0
        while position < len(text):
            if self.state is _State.DATA:
                position = self._data(text, position)
            elif self.state is _State.RAW:
                position = self._raw_text(text, position)
            elif self.state is _State.QUOTED:
                position = self._quoted(text, position)
            elif self.state is _State.COMMENT:
                position = self._comment(text, position)
            elif self.state is _State.TAG_NAME and (run := _TAG_NAME.match(text, position)):
                self.tag += run[0].lower()
                position = run.end()
            elif self.state is _State.NAME and (run := _ATTRIBUTE_NAME.match(text, position)):
                self.name += run[0].lower()
                position = run.end()
            else:
                self.STEPS[self.state](self, text[position])
                if text[position] == "\n":
                    self.line += 1
                position += 1

    def _data(self, text: str, position: int) -> int:
        found = text.find("<", position)
        end = found if found != -1 else len(text)
        self._text(text[position:end])
        if found == -1:
            return end
        self.state = _State.TAG_OPEN
        self.tag_place = TemplatePlace(self.template, self.line)
        return found + 1

    def _text(self, text: str) -> None:
        if text:
            self.handler.text(text)
        self.line += text.count("\n")

    def _raw_text(self, text: str, position: int) -> int:
        """Read text up to the end tag that closes it. The end tag may arrive in pieces."""
        whole = self.pending + text[position:]
        self.pending = ""
        lowered = whole.lower()
        end = f"</{self.raw}"
        found = lowered.find(end)
        if found == -1:
            partial = _overlap(lowered, end)
            self._text(whole[: len(whole) - partial])
            self.pending = whole[len(whole) - partial :]
            return len(text)
        self._text(whole[:found])
        self.state, self.closing, self.slash, self.tag = _State.TAG_NAME, True, False, self.raw
        self.attributes, self.places = {}, {}
        return len(text) - (len(whole) - found - len(end))

    def _flush(self) -> None:
        if self.pending:
            self._text(self.pending)
            self.pending = ""

    def _comment(self, text: str, position: int) -> int:
        whole = self.pending + text[position:]
        found = whole.find("-->")
        if found == -1:
            self.pending = whole[-2:]
            self.line += text.count("\n", position)
            return len(text)
        rest = len(whole) - found - 3
        self.pending = ""
        self.state = _State.DATA
        self.line += text.count("\n", position, len(text) - rest)
        return len(text) - rest

    def _tag_open(self, character: str) -> None:
        self.tag, self.closing, self.slash, self.attributes, self.places = "", False, False, {}, {}
        if character == "/":
            self.closing, self.state = True, _State.TAG_NAME
        elif character in "!?":
            self.tag, self.state = character, _State.DECLARATION
        elif character.isalpha() or character == DYNAMIC:
            self.tag, self.state = character.lower(), _State.TAG_NAME
        else:
            self.state = _State.DATA
            self.handler.text("<")

    def _declaration(self, character: str) -> None:
        self.tag += character
        if self.tag == "!--":
            self.state, self.pending = _State.COMMENT, "--"  # <!--> is a comment
        elif character == ">":
            self.state = _State.DATA
            if self.tag.lower().startswith("!doctype"):
                self.handler.doctype()

    def _tag_name(self, character: str) -> None:
        if character in _SPACE:
            self.state = _State.BEFORE_NAME
        elif character == "/":
            if self.tag:
                self.state, self.slash = _State.BEFORE_NAME, True
        else:
            self._finish()

    def _before_name(self, character: str) -> None:
        if character in _SPACE:
            return
        if character == ">":
            self._finish()
        elif character == "/":
            self.slash = True
        else:
            self.slash = False
            self.name, self.state = character.lower(), _State.NAME
            self.name_place = TemplatePlace(self.template, self.line)

    def _name(self, character: str) -> None:
        if character in _SPACE:
            self.state = _State.AFTER_NAME
        elif character == "=":
            self.state = _State.BEFORE_VALUE
        else:
            self._attribute(None)
            self.state = _State.BEFORE_NAME
            self._before_name(character)

    def _after_name(self, character: str) -> None:
        if character in _SPACE:
            return
        if character == "=":
            self.state = _State.BEFORE_VALUE
        else:
            self._attribute(None)
            self.state = _State.BEFORE_NAME
            self._before_name(character)

    def _before_value(self, character: str) -> None:
        if character in _SPACE:
            return
        self.value = ""
        if character in "\"'":
            self.quote, self.state = character, _State.QUOTED
        elif character == ">":
            self._attribute("")
            self._finish()
        else:
            self.value, self.state = character, _State.UNQUOTED

    def _quoted(self, text: str, position: int) -> int:
        found = text.find(self.quote, position)
        end = found if found != -1 else len(text)
        self.value += text[position:end]
        self.line += text.count("\n", position, end)
        if found == -1:
            return end
        self._attribute(self.value)
        self.state = _State.BEFORE_NAME
        return found + 1

    def _unquoted(self, character: str) -> None:
        if character in _SPACE:
            self._attribute(self.value)
            self.state = _State.BEFORE_NAME
        elif character == ">":
            self._attribute(self.value)
            self._finish()
        else:
            self.value += character

    def _attribute(self, value: str | None) -> None:
        """Store an attribute. The first of a name counts, as in HTML."""
        if self.name not in self.attributes:
            self.attributes[self.name] = value
            self.places[self.name] = self.name_place

    def _finish(self) -> None:
        self.state = _State.DATA
        if self.closing:
            self.handler.end_tag(self.tag.strip())
            return
        is_text = self.tag in RAW and not self.handler.is_foreign()
        self.handler.start_tag(StartTag(self.tag, self.attributes, self.tag_place, self.places, self.slash))
        if is_text:
            self.state, self.raw, self.pending = _State.RAW, self.tag, ""

    STEPS: ClassVar[dict[_State, Callable[[Tokenizer, str], None]]] = {
        _State.TAG_OPEN: _tag_open,
        _State.TAG_NAME: _tag_name,
        _State.BEFORE_NAME: _before_name,
        _State.NAME: _name,
        _State.AFTER_NAME: _after_name,
        _State.BEFORE_VALUE: _before_value,
        _State.UNQUOTED: _unquoted,
        _State.DECLARATION: _declaration,
    }


def _overlap(text: str, end: str) -> int:
    """Return how many characters at the end of ``text`` may be the beginning of ``end``."""
    for length in range(min(len(text), len(end) - 1), 0, -1):
        if end.startswith(text[-length:]):
            return length
    return 0
