"""A tokenizer for HTML that arrives in pieces with unknown parts between them.

It follows the states of the HTML standard as far as tags need them: quoted and unquoted attribute values, comments,
declarations, and elements whose content is text (``script``, ``style``, ``textarea``, ``title``). An unknown part may
stand anywhere, in a tag's name too. It never fails: what is no HTML comes out as text.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import ClassVar, Final, NamedTuple, Protocol

__all__ = ["DYNAMIC", "VOID", "Handler", "Place", "StartTag", "Tokenizer"]

DYNAMIC: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands in an attribute's value, name or a tag's name for each part that is known only when the page is rendered."""

VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
"""Elements that have no content and no end tag."""
RAW: Final = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_SPACE: Final = " \t\n\r\f"


class Place(NamedTuple):
    """A template, and a line of it counted from 1."""

    template: str
    line: int

    def __str__(self) -> str:
        return f"{self.template}:{self.line}"


class StartTag(NamedTuple):
    """A start tag: its attributes, where it begins, where each attribute does, and whether it ends with a slash."""

    name: str
    attributes: dict[str, str | None]
    place: Place
    places: dict[str, Place]
    closed: bool


class Handler(Protocol):
    """What a tokenizer tells."""

    def start_tag(self, tag: StartTag) -> None:
        """Tell of a start tag."""

    def end_tag(self, name: str) -> None:
        """Tell of an end tag."""

    def content(self) -> None:
        """Tell of text that is more than white space."""


class State(Enum):
    """Where in the markup the tokenizer is."""

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
    """Turns pieces of text into tags, told to a handler."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.state: State = State.DATA
        self.template: str = ""
        self.line: int = 1
        self.tag_place: Place = Place("", 1)
        self.name_place: Place = Place("", 1)
        self.tag: str = ""
        self.closing: bool = False
        self.slash: bool = False
        self.name: str = ""
        self.value: str = ""
        self.quote: str = ""
        self.raw: str = ""
        self.pending: str = ""
        self.attributes: dict[str, str | None] = {}
        self.places: dict[str, Place] = {}

    def save(self) -> tuple[object, ...]:
        """Return the state, for :meth:`restore`."""
        attributes, places = dict(self.attributes), dict(self.places)
        return (self.state, self.tag_place, self.name_place, self.tag, self.closing, self.slash, self.name, self.value,
                self.quote, self.raw, self.pending, attributes, places)  # fmt: skip

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to a state that was saved."""
        (self.state, self.tag_place, self.name_place, self.tag, self.closing, self.slash, self.name, self.value,
         self.quote, self.raw, self.pending, attributes, places) = saved  # type: ignore[assignment]  # fmt: skip
        self.attributes = dict(attributes)  # type: ignore[call-overload]
        self.places = dict(places)  # type: ignore[call-overload]

    @property
    def in_text(self) -> bool:
        """Whether it is outside of tags and comments."""
        return self.state in (State.DATA, State.RAW)

    def dynamic(self) -> None:
        """Go on after a part that is not known."""
        if self.in_text:
            self._flush()
            self.handler.content()
        else:
            self._feed(DYNAMIC)

    def feed(self, text: str, template: str, line: int) -> None:
        """Go on with ``text``, which begins at a line of a template."""
        self.template, self.line = template, line
        self._feed(text)

    def _feed(self, text: str) -> None:
        position = 0
        while position < len(text):
            if self.state is State.DATA:
                position = self._data(text, position)
            elif self.state is State.RAW:
                position = self._raw_text(text, position)
            elif self.state is State.COMMENT:
                position = self._comment(text, position)
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
        self.state = State.TAG_OPEN
        self.tag_place = Place(self.template, self.line)
        return found + 1

    def _text(self, text: str) -> None:
        if text and not text.isspace():
            self.handler.content()
        self.line += text.count("\n")

    def _raw_text(self, text: str, position: int) -> int:
        """Read text up to the end tag that closes it, which may be cut into pieces."""
        whole = self.pending + text[position:]
        self.pending = ""
        lowered = whole.lower()
        end = f"</{self.raw}"
        found = lowered.find(end)
        if found == -1:
            kept = _overlap(lowered, end)
            self._text(whole[: len(whole) - kept])
            self.pending = whole[len(whole) - kept :]
            return len(text)
        self._text(whole[:found])
        self.state, self.closing, self.slash, self.tag = State.TAG_NAME, True, False, self.raw
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
        self.state = State.DATA
        self.line += text.count("\n", position, len(text) - rest)
        return len(text) - rest

    def _tag_open(self, character: str) -> None:
        self.tag, self.closing, self.slash, self.attributes, self.places = "", False, False, {}, {}
        if character == "/":
            self.closing, self.state = True, State.TAG_NAME
        elif character in "!?":
            self.tag, self.state = character, State.DECLARATION
        elif character.isalpha() or character == DYNAMIC:
            self.tag, self.state = character.lower(), State.TAG_NAME
        else:
            self.state = State.DATA
            self.handler.content()

    def _declaration(self, character: str) -> None:
        self.tag += character
        if self.tag == "!--":
            self.state, self.pending = State.COMMENT, ""
        elif character == ">":
            self.state = State.DATA

    def _tag_name(self, character: str) -> None:
        if character in _SPACE:
            self.state = State.BEFORE_NAME
        elif character == "/":
            if self.tag:
                self.state, self.slash = State.BEFORE_NAME, True
        elif character == ">":
            self._finish()
        else:
            self.tag += character.lower()

    def _before_name(self, character: str) -> None:
        if character in _SPACE:
            return
        if character == ">":
            self._finish()
        elif character == "/":
            self.slash = True
        else:
            self.slash = False
            self.name, self.state = character.lower(), State.NAME
            self.name_place = Place(self.template, self.line)

    def _name(self, character: str) -> None:
        if character in _SPACE:
            self.state = State.AFTER_NAME
        elif character == "=":
            self.state = State.BEFORE_VALUE
        elif character in "/>":
            self._attribute(None)
            self.state = State.BEFORE_NAME
            self._before_name(character)
        else:
            self.name += character.lower()

    def _after_name(self, character: str) -> None:
        if character in _SPACE:
            return
        if character == "=":
            self.state = State.BEFORE_VALUE
        else:
            self._attribute(None)
            self.state = State.BEFORE_NAME
            self._before_name(character)

    def _before_value(self, character: str) -> None:
        if character in _SPACE:
            return
        self.value = ""
        if character in "\"'":
            self.quote, self.state = character, State.QUOTED
        elif character == ">":
            self._attribute("")
            self._finish()
        else:
            self.value, self.state = character, State.UNQUOTED

    def _quoted(self, character: str) -> None:
        if character == self.quote:
            self._attribute(self.value)
            self.state = State.BEFORE_NAME
        else:
            self.value += character

    def _unquoted(self, character: str) -> None:
        if character in _SPACE:
            self._attribute(self.value)
            self.state = State.BEFORE_NAME
        elif character == ">":
            self._attribute(self.value)
            self._finish()
        else:
            self.value += character

    def _attribute(self, value: str | None) -> None:
        """Keep an attribute: the first of a name counts; of two in different branches neither is certain."""
        if self.name not in self.attributes:
            self.attributes[self.name] = value
            self.places[self.name] = self.name_place

    def _finish(self) -> None:
        self.state = State.DATA
        if self.closing:
            self.handler.end_tag(self.tag.strip())
            return
        self.handler.start_tag(StartTag(self.tag, self.attributes, self.tag_place, self.places, self.slash))
        if self.tag in RAW and not self.slash:
            self.state, self.raw, self.pending = State.RAW, self.tag, ""

    STEPS: ClassVar[dict[State, Callable[[Tokenizer, str], None]]] = {
        State.TAG_OPEN: _tag_open,
        State.TAG_NAME: _tag_name,
        State.BEFORE_NAME: _before_name,
        State.NAME: _name,
        State.AFTER_NAME: _after_name,
        State.BEFORE_VALUE: _before_value,
        State.QUOTED: _quoted,
        State.UNQUOTED: _unquoted,
        State.DECLARATION: _declaration,
    }


def _overlap(text: str, end: str) -> int:
    """Return how many of the last characters of ``text`` may be the beginning of ``end``."""
    for length in range(min(len(text), len(end) - 1), 0, -1):
        if end.startswith(text[-length:]):
            return length
    return 0
