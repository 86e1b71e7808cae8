"""Endpoints that are no pages: streams of a template's blocks, and values. A part of ``Reactive``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from .._index.index import DependencyIndex, index_of_template
from .answers import respond_with_value, response_for
from .declared_response import response_parameter
from .endpoints import Decorated, Endpoint
from .scopes import check_scope_format
from .template_streams import stream_responder
from .tracking import Tracking

if TYPE_CHECKING:
    from .site import Site

__all__ = ["OtherEndpoints"]


class OtherEndpoints(Tracking):
    """Makes endpoints streams, and answers with values."""

    index: DependencyIndex
    debug: bool
    _decorated: Decorated
    _heartbeat: float
    _site: Site
    _stream_endpoints: list[Endpoint]

    def stream(self, template_name: str, *, scope: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Make an endpoint that returns a context builder the stream of a template's blocks.

        The blocks are those registered in :attr:`index`. If none of the template is, those with ``sse-swap`` are.

        Args:
            template_name: The template.
            scope: The scope whose changes concern it, with the endpoint's parameters in braces.
            **options: Further arguments of :func:`reactive_stream`.

        Raises:
            TemplateLoadError: The template does not exist or does not parse.
            ValueError: ``scope`` is empty.
        """
        check_scope_format(scope, "doc:{doc_id}")
        if not any(ref.template_name == template_name for ref in self.index.blocks()):
            self.index.register_from_sse_swaps(self.templates, template_name)
        defaults = {
            "index": index_of_template(self.index, template_name),
            "templates": self.templates,
            "debug": self.debug,
            "heartbeat_interval": self._heartbeat,
        }
        respond_with_stream = stream_responder(
            self.bus, template_name, scope, self._sessions, self._site.cookies.watch, {**defaults, **options}
        )

        def decorate(endpoint: Endpoint) -> Endpoint:
            self._stream_endpoints.append(endpoint)
            self._site.stream_scopes.append(scope)
            return self._decorated.wrap(endpoint, respond_with_stream)

        return decorate

    def html(self, endpoint: Endpoint) -> Endpoint:
        """Let an endpoint return a ``Fragment``, ``OOB``, ``Action``, ``ValidationError``, ``str`` or ``dict``."""
        respond_to_call = functools.partial(respond_with_value, self.templates, self._site)
        return self._decorated.wrap(endpoint, respond_to_call, first=response_parameter())

    def response(self, request: Request, value: Any) -> Response:
        """Return the response for what an endpoint under :meth:`html` may return.

        Raises:
            ReactiveError: The environment is asynchronous; use :meth:`html` there.
            TypeError: There is no response for such a value.
        """
        return response_for(self.templates, self._site, request, value)
