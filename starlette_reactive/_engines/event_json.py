"""Events as ASCII JSON, built from strings: setting up a ``json`` encoder for each event takes longer."""

from __future__ import annotations

from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as quoted

__all__ = ["event_json", "list_json", "quoted", "text_json"]


def event_json(scope: str, paths: Iterable[str], origin: str | None, audience: Iterable[str] | None) -> str:
    """Return an event as a JSON object. Lists keep their order."""
    users = "null" if audience is None else list_json(audience)
    return (
        f'{{"scope": {quoted(scope)}, "paths": {list_json(paths)}, "origin": {text_json(origin)}, "audience": {users}}}'
    )


def list_json(texts: Iterable[str]) -> str:
    """Return a JSON array of strings."""
    return f"[{', '.join(map(quoted, texts))}]"


def text_json(text: str | None) -> str:
    """Return a JSON string, or ``null``."""
    return "null" if text is None else quoted(text)
