"""django-eventstream: Django's ASGI application, its listeners in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import django  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="benchmarks",
        INSTALLED_APPS=["django_eventstream"],
        USE_TZ=True,
    )
    django.setup()

import django_eventstream  # type: ignore[import-untyped]
import django_eventstream.urls  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.urls import include, path  # type: ignore[import-untyped]
from starlette.types import ASGIApp

from .. import content

__all__ = ["Django"]

urlpatterns = [path("stream", include(django_eventstream.urls), {"channels": ["board"]})]


class Django:
    """``send_event`` to one channel."""

    protocol: Callable[[], asyncio.Protocol] | None = None

    def __init__(self, options: dict[str, Any]) -> None:
        self._blocks, self._rows = options["blocks"], options["rows"]
        self.app: ASGIApp | None = get_asgi_application()
        self.commands: dict[str, Callable[..., Any]] = {}

    def emit(self, number: int) -> None:
        for block, html in enumerate(content.ready_html(number, self._blocks, self._rows)):
            django_eventstream.send_event("board", content.event_name(block), html, json_encode=False)
