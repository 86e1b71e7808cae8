"""What happens to malformed messages of an engine: they are ignored and counted.

Any program that reaches an engine may send messages through it, and some may write into its data. So a decoder raises
one of ``MALFORMED`` for whatever it cannot read, and nothing that it reads ends a session.
"""

from __future__ import annotations

import logging
import math
import re
import time
from typing import Any

__all__ = ["MALFORMED", "IgnoredMessages", "as_list", "as_number"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")

MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a decoder may raise for a malformed message. None of them is what a failed connection raises."""

_LOG_INTERVAL = 60.0  # seconds between two log lines
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)


class IgnoredMessages:
    """Counts the malformed messages of an engine, and logs one of them now and then.

    Args:
        engine: The engine's name.

    Attributes:
        count: How many there have been. May be read in any thread.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._logged_at = -math.inf
        self.count: int = 0

    def note(self, what: str, reason: Exception | str) -> None:
        """Count a message. The log shows nothing of its content, which a stranger may have written.

        Args:
            what: What it was, such as ``"a notification"``.
            reason: Why it was ignored.
        """
        self.count += 1
        now = time.monotonic()
        if now - self._logged_at < _LOG_INTERVAL:
            return
        self._logged_at = now
        why = reason if isinstance(reason, str) else type(reason).__name__
        logger.warning("ignored %s of %s: %s (%d ignored so far)", what, self._engine, why, self.count)


def as_number(text: str | bytes) -> int:
    """Return a number of up to 20 digits.

    Raises:
        ValueError: The text is anything else.
    """
    digits = text if isinstance(text, str) else text.decode("ascii")
    if not _NUMBER.fullmatch(digits):
        raise ValueError("not a number of up to 20 digits")
    return int(digits)


def as_list(value: Any) -> list[Any]:
    """Return a list.

    Raises:
        TypeError: The value is anything else.
    """
    if not isinstance(value, list):
        raise TypeError(f"a list is needed, not {type(value).__name__}")
    return value
