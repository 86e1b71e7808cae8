"""Reading the URL of an engine without ever showing it, because it may contain a password.

Drivers quote what they cannot read. They also read a password with a ``/`` or ``@`` in it as another host or port, and
show that when they cannot connect. So such a URL is refused before a driver connects with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

__all__ = ["parsed_url"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_T = TypeVar("_T")


def parsed_url(url: str, parse: Callable[[str], _T], name: str) -> _T:
    """Return what a driver reads in a URL.

    Args:
        url: The URL.
        parse: Reads it. Of its exceptions nothing is shown, neither their text nor their chain.
        name: What the URL is of, for the error.

    Raises:
        ValueError: It is invalid.
    """
    try:
        if not _CONTROL.search(url) and url.encode():
            return parse(url)
    except Exception:  # noqa: BLE001, S110 - whatever a driver raises may quote the URL
        pass
    raise ValueError(  # outside the handler, so that the driver's exception is not in its chain
        f"the URL of {name} is invalid: check its host, port and options, and percent-encode the characters / ? # @ : "
        "& = % in its user, password and other parts, such as %2F for /"
    )
