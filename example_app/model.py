"""A stand-in for a language model: it knows a few sentences and the workspace, and writes word by word."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio

from . import settings

__all__ = ["Source", "answer_from", "find_sources", "reply_to", "write"]

_KNOWN = {
    "hello|hi|morning|hey": "Hello! Good to have you here. Ask me what there is to do, or how this page works.",
    "how|work|live|stream|page": (
        "Each word I write is saved and announced. Your page has one open stream; it reads what was added since the "
        "last word it has shown, and appends that. If your connection drops in the middle of a sentence, the stream "
        "continues after the last word that reached you."
    ),
    "thank|thanks|great": "You are welcome! I am only a few lines of Python, but I do my best.",
}
_UNKNOWN = (
    "I don't know that yet. Try “what is there to do?”, or use the Ask page, where I read your boards and documents."
)


@dataclass(frozen=True, slots=True)
class Source:
    """A source of an answer."""

    title: str
    link: str
    text: str


async def write(text: str) -> AsyncIterator[str]:
    """Yield a text piece by piece, as a model would: each word with the space before it."""
    for piece in re.findall(r"\s*\S+", text):
        await anyio.sleep(settings.pause())
        yield piece


def reply_to(question: str, open_tasks: Sequence[str]) -> str:
    """Return the guide's reply in the chat."""
    words = set(re.findall(r"\w+", question.lower()))
    if words & {"do", "todo", "task", "tasks", "next", "open"}:
        listed = "; ".join(open_tasks[:5]) or "nothing at all"
        return f"There are {len(open_tasks)} things to do: {listed}. Who takes the first one?"
    return next((text for known, text in _KNOWN.items() if words & set(known.split("|"))), _UNKNOWN)


def find_sources(question: str, everything: Sequence[Source]) -> list[Source]:
    """Return the texts that share the most words with a question, best first."""
    asked = _keywords(question)
    scores = {source: len(asked & _keywords(f"{source.title} {source.text}")) for source in everything}
    found = sorted((source for source in everything if scores[source]), key=lambda source: -scores[source])
    return found[:3]


def answer_from(question: str, sources: Sequence[Source]) -> str:
    """Return the sentences of the sources that match the question best."""
    if not sources:
        return "Nothing on your boards or in your documents mentions that. Write it down somewhere and ask me again."
    asked = _keywords(question)
    sentences = [part for source in sources for part in re.split(r"(?<=[.!?])\s+|\n+", source.text) if part.strip()]
    best = sorted(sentences, key=lambda sentence: -len(asked & _keywords(sentence)))[:3]
    return " ".join(sentence if sentence[-1] in ".!?" else f"{sentence}." for sentence in best)


def _keywords(text: str) -> set[str]:
    """Return the significant words of a text, cut to their stems."""
    return {word[:5] for word in re.findall(r"\w+", text.lower()) if len(word) > 3 and word not in _COMMON}


_COMMON = {"what", "when", "where", "which", "does", "have", "that", "this", "with", "from", "will", "there", "need"}
