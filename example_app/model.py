"""A language model's stand-in: it knows a few sentences and the workspace, and writes word by word as models do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio

from . import settings

__all__ = ["Source", "answer_from", "find_sources", "reply_to", "write"]

_KNOWN = {
    "hello|hi|morning|hey": "Hello! It is good to have you here. Ask me what is to do, or how this page works.",
    "how|work|live|stream|page": (
        "Each word I write is saved and announced. Your page has one open stream; it reads what was added since the "
        "last word it has shown, and appends that. Should your connection drop in the middle of a sentence, the stream "
        "goes on after the last word that reached you."
    ),
    "thank|thanks|great": "You are welcome! I am only a few lines of Python, but I do my best.",
}
_UNKNOWN = (
    "I don't know that yet. Try “what is to do?”, or ask on the page Ask, where I read your boards and documents."
)


@dataclass(frozen=True, slots=True)
class Source:
    """Something that an answer rests on."""

    title: str
    link: str
    text: str


async def write(text: str) -> AsyncIterator[str]:
    """Yield a text in the pieces in which a model would write it: words with the space before them."""
    for piece in re.findall(r"\s*\S+", text):
        await anyio.sleep(settings.pause())
        yield piece


def reply_to(question: str, open_tasks: Sequence[str]) -> str:
    """Return what the guide says in the chat."""
    words = set(re.findall(r"\w+", question.lower()))
    if words & {"do", "todo", "task", "tasks", "next", "open"}:
        listed = "; ".join(open_tasks[:5]) or "nothing at all"
        return f"There are {len(open_tasks)} things to do: {listed}. Who takes the first one?"
    return next((text for known, text in _KNOWN.items() if words & set(known.split("|"))), _UNKNOWN)


def find_sources(question: str, everything: Sequence[Source]) -> list[Source]:
    """Return the texts that share the most words with a question, the best first."""
    asked = _telling_words(question)
    scores = {source: len(asked & _telling_words(f"{source.title} {source.text}")) for source in everything}
    found = sorted((source for source in everything if scores[source]), key=lambda source: -scores[source])
    return found[:3]


def answer_from(question: str, sources: Sequence[Source]) -> str:
    """Return an answer made of the sentences of the sources that fit the question best."""
    if not sources:
        return "Nothing on your boards or in your documents speaks of that. Write it down somewhere, and ask me again."
    asked = _telling_words(question)
    sentences = [part for source in sources for part in re.split(r"(?<=[.!?])\s+|\n+", source.text) if part.strip()]
    best = sorted(sentences, key=lambda sentence: -len(asked & _telling_words(sentence)))[:3]
    return " ".join(sentence if sentence[-1] in ".!?" else f"{sentence}." for sentence in best)


def _telling_words(text: str) -> set[str]:
    """Return the words that say what a text is about, without endings such as a plural's."""
    return {word[:5] for word in re.findall(r"\w+", text.lower()) if len(word) > 3 and word not in _EMPTY}


_EMPTY = {"what", "when", "where", "which", "does", "have", "that", "this", "with", "from", "will", "there", "need"}
