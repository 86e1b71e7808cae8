"""Signing live URLs, and renewals of expired ones.

A live URL holds a visit. It expires, because URLs are written to logs and histories. A page that stays open longer
than that must still come back, so each id that its stream sends ends with a *renewal*: the signature of a point in time
for the page's key and address. The browser sends the id back when it reconnects, and the renewal lets the expired URL
in. A renewal alone opens nothing, and belongs to no viewer, so one serves all viewers of a group.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path

from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

from .kept_secret import kept_secret
from .visits import Visit

__all__ = ["RENEWAL_MAX_AGE", "Signer"]

logger: logging.Logger = logging.getLogger("starlette_reactive")

RENEWAL_MAX_AGE = 30 * 86_400
"""Seconds for which the id that a stream has sent renews an expired live URL, or ``max_age`` if that is more."""
_RENEWED_EVERY = 3600  # seconds for which the streams of a page send the same renewal, or a part of `max_age`
_SHORTEST_SECRET = 16
_LONGEST_MARK = 64
_MARK_SIGNATURE_BYTES = 21  # 28 characters
_MARK_NAME_BYTES, _MARK_NAME_LENGTH = 9, 12  # without and with the coding in Base64
_VARIABLE = "REACTIVE_SECRET"
_HOW_TO_MAKE_ONE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


class Signer:
    """Signs visits and reads them back.

    Args:
        secret: The key, or several: the first one signs, and all of them verify. Defaults to the environment variable
            ``REACTIVE_SECRET``, else to a random one.
        max_age: Seconds for which a signature is valid. ``None`` means no limit.
        purpose: What the URLs are for. Those of another purpose are not valid.
        app_name: The application's name. URLs of one with another name are not valid.
        keep_in: The directory in which to keep a random secret. ``None`` means that it is not kept.

    Raises:
        TypeError: A secret is not a string.
        ValueError: A secret is too short, the list of secrets is empty, or ``max_age`` is not positive.
    """

    def __init__(
        self,
        secret: str | Sequence[str] | None,
        max_age: int | None,
        *,
        purpose: str,
        app_name: str | None = None,
        keep_in: Path | None = None,
    ) -> None:
        if max_age is not None and max_age <= 0:
            raise ValueError(f"max_age is {max_age}: write how many seconds a live URL can be used, or None forever")
        keys = _keys(secret, keep_in)
        names = [purpose, app_name]
        self._serializer = URLSafeTimedSerializer(keys, salt=json.dumps(["starlette-reactive.live", *names]))
        self._renewals = TimestampSigner(keys, salt=json.dumps(["starlette-reactive.renewal", *names]))
        salt = json.dumps(["starlette-reactive.mark", *names]).encode()
        self._mark_keys = [hmac.digest(key.encode(), salt, "sha256") for key in reversed(keys)]
        self._max_age = max_age

    def sign(self, visit: Visit) -> str:
        """Return a visit as text that is safe in a URL."""
        values = asdict(visit) | {"scopes": _signed_scopes(visit)}
        signed = self._serializer.dumps(list(values.values()))
        return signed.decode() if isinstance(signed, bytes) else signed

    def read(self, signed: str, renewal: str = "") -> Visit | None:
        """Return the visit. ``None`` if the text is forged, altered, of another application, or expired.

        Args:
            signed: The signed visit.
            renewal: What the page's stream has sent, to renew an expired one.
        """
        try:
            values, signed_at = self._serializer.loads(signed, return_timestamp=True)
        except BadSignature:
            return None
        visit = _visit_of(values)
        if visit is None or self._max_age is None or _age(signed_at) <= self._max_age:
            return visit
        return visit if self._renews(visit, renewal, max(self._max_age, RENEWAL_MAX_AGE)) else None

    # Marks

    def new_mark(self, session: str) -> str:
        """Return a new mark: a name, signed for a session."""
        name = secrets.token_urlsafe(_MARK_NAME_BYTES)
        return name + _signature(self._mark_keys[0], f"{name}.{session}")

    def is_mark(self, mark: str, session: str) -> bool:
        """Return whether a text is a mark that was signed for a session."""
        name, signature = mark[:_MARK_NAME_LENGTH], mark[_MARK_NAME_LENGTH:]
        if len(mark) > _LONGEST_MARK or not mark.isascii():
            return False
        text = f"{name}.{session}"
        return any(hmac.compare_digest(_signature(key, text), signature) for key in self._mark_keys)

    def digest(self, text: str) -> str:
        """Return a digest of a text that nobody without the secret can make. It is safe in a URL."""
        return _signature(self._mark_keys[0], f"digest.{text}")

    # Renewals

    def renewal(self, visit: Visit) -> Callable[[], str] | None:
        """Return a function that returns the present renewal of a visit's page. ``None`` if URLs do not expire."""
        if self._max_age is None:
            return None
        subject, period = _subject(visit), min(_RENEWED_EVERY, self._max_age / 24)
        text, renewed_at = "", float("-inf")

        def renew() -> str:
            nonlocal text, renewed_at
            now = time.time()
            if now - renewed_at >= period:
                text, renewed_at = self._renewals.sign(subject).decode()[len(subject) + 1 :], now
            return text

        return renew

    def _renews(self, visit: Visit, renewal: str, max_age: int) -> bool:
        subject = _subject(visit)
        try:
            value, signed_at = self._renewals.unsign(f"{subject}.{renewal}", return_timestamp=True)
        except BadSignature:
            return False
        return value == subject.encode() and _age(signed_at) <= max_age


def _signature(key: bytes, text: str) -> str:
    return urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")[:_MARK_SIGNATURE_BYTES]).decode()


def _keys(secret: str | Sequence[str] | None, keep_in: Path | None) -> list[str]:
    """Return the keys as itsdangerous takes them: the last one signs."""
    if secret is None or isinstance(secret, str):
        return [_checked(secret, "secret") if secret else _default_key(keep_in)]
    if not secret:
        raise ValueError("secret is an empty list: write the secrets, beginning with the one that signs")
    return [_checked(key, f"secret[{number}]") for number, key in enumerate(secret)][::-1]


def _default_key(keep_in: Path | None) -> str:
    if key := os.environ.get(_VARIABLE):
        if "," in key:
            raise ValueError(f"{_VARIABLE} has a comma, but holds one secret: pass several as secret=[new, old]")
        return _checked(key, _VARIABLE)
    if keep_in is not None and (kept := kept_secret(keep_in)) is not None:
        return kept
    logger.warning(
        "no secret is set, so live URLs are signed with a random one: after a restart, and on another worker, "
        "open pages get 403 for their streams and must be reloaded; pass secret= or set REACTIVE_SECRET"
    )
    return secrets.token_urlsafe(32)


def _checked(key: str, what: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{what} must be a string, not {type(key).__name__}")
    if len(key) < _SHORTEST_SECRET:
        raise ValueError(
            f"{what} has {len(key)} characters, and can be guessed: use {_SHORTEST_SECRET} or more; {_HOW_TO_MAKE_ONE}"
        )
    return key


def _visit_of(values: object) -> Visit | None:
    if not isinstance(values, list) or len(values) != len(fields(Visit)):
        return None  # a URL of another version of this package
    names = dict(zip((field.name for field in fields(Visit)), values, strict=True))
    scopes = names.pop("scopes")
    scopes = (scopes,) if isinstance(scopes, str) else tuple(scopes) if isinstance(scopes, list) else ()
    if not scopes or not all(isinstance(value, str) for value in (*scopes, *names.values())):
        return None
    return Visit(scopes=scopes, **names)


def _signed_scopes(visit: Visit) -> str | list[str]:
    return visit.scopes[0] if len(visit.scopes) == 1 else list(visit.scopes)


def _subject(visit: Visit) -> str:
    """Return what a renewal is valid for, in ASCII."""
    return json.dumps([visit.page, *visit.address])


def _age(signed_at: datetime) -> int:
    """Return how many whole seconds ago something was signed. Negative if the clock of its machine is ahead."""
    return int(time.time()) - int(signed_at.timestamp())
