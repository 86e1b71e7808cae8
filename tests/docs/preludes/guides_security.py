"""What the page on security takes for granted: an application, a wrapper, and a template that greets its viewer."""

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, ViewerNameError

__all__ = ["DictLoader", "Environment", "SignInRequired", "ViewerNameError", "app", "reactive"]

GREETING = '<p id="hello">{% block hello %}Hello {{ user }}{% endblock %}</p>'
reactive = Reactive(Environment(loader=DictLoader({"greeting.html": GREETING}), autoescape=True))
app = Starlette(routes=reactive.routes)


class SignInRequired:
    """A wrapper around an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
