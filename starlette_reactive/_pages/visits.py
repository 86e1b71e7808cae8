"""Signed addresses of streams: what a page was, so that its stream can be opened without trusting the browser."""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import asdict, dataclass, fields

from itsdangerous import BadSignature, URLSafeTimedSerializer

__all__ = ["PageVisit", "Signer"]

logger: logging.Logger = logging.getLogger("starlette_reactive")


@dataclass(frozen=True, slots=True)
class PageVisit:
    """One rendering of a page, as its stream needs to know it.

    Args:
        page: Which page it is, as the application registered it.
        raw_path: The path that was asked for, percent-encoded.
        query: The raw query.
        root_path: The application's root path.
        host: The host that was asked.
        scheme: ``http`` or ``https``.
        scope: Whose changes concern it.
        origin: What marks the page's own requests.
        cursor: The place in the change log before its data was read.
    """

    page: str
    raw_path: str
    query: str
    root_path: str
    host: str
    scheme: str
    scope: str
    origin: str
    cursor: str


class Signer:
    """Signs and reads visits.

    Args:
        secret: The key; ``None``: the environment variable ``REACTIVE_SECRET``, else a random one.
        max_age: How long a signature is good, in seconds; ``None``: for ever.
        purpose: What the addresses are for; those of another purpose are not valid.
    """

    def __init__(self, secret: str | None, max_age: int | None, *, purpose: str) -> None:
        key = secret or os.environ.get("REACTIVE_SECRET")
        if not key:
            key = secrets.token_urlsafe(32)
            logger.warning(
                "no secret is set, so live URLs are signed with a random one: after a restart, and on another worker, "
                "open pages get 403 for their streams and have to be reloaded; pass secret= or set REACTIVE_SECRET"
            )
        self._serializer = URLSafeTimedSerializer(key, salt=f"starlette-reactive.live {purpose}")
        self._max_age = max_age

    def sign(self, visit: PageVisit) -> str:
        """Return a visit as text that is safe in a URL."""
        signed = self._serializer.dumps(list(asdict(visit).values()))
        return signed.decode() if isinstance(signed, bytes) else signed

    def read(self, signed: str) -> PageVisit | None:
        """Return the visit; ``None`` if the text is forged, altered, expired or of another application."""
        try:
            values = self._serializer.loads(signed, max_age=self._max_age)
        except BadSignature:
            return None
        if not isinstance(values, list) or len(values) != len(fields(PageVisit)):
            return None  # an address of another version of this package
        return PageVisit(*values) if all(isinstance(value, str) for value in values) else None
