"""What a request may contain: numbers that fit a column, and text that every database and every page can hold.

A value that is none of these is answered 422 before it reaches a query.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Form, Header
from pydantic import AfterValidator, Field

__all__ = ["Number", "NumberField", "PlainText", "Text", "Token", "TokenHeader"]

LARGEST = 2_000_000_000  # a column holds 32 bits on PostgreSQL, and 64 on SQLite


def _check_text(text: str) -> str:
    if re.search(r"[\x00\ud800-\udfff]", text):
        raise ValueError("NUL characters and lone surrogates are not text")
    return text


Number = Annotated[int, Field(ge=0, le=LARGEST)]
"""An id in a path, or another number."""
NumberField = Annotated[Number, Form()]
"""A number in a form."""
PlainText = Annotated[str, AfterValidator(_check_text)]
"""A text in a query."""
Text = Annotated[PlainText, Form()]
"""A text in a form."""
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A random name that the application made, such as that of a tab."""
TokenHeader = Annotated[Token | None, Header()]
"""Such a name in a header."""
