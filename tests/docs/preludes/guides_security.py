"""What the page on security takes for granted: an application, a wrapper, and templates with data of a viewer."""

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, ViewerNameError

__all__ = ["DictLoader", "Environment", "SignInRequired", "ViewerNameError", "app", "reactive"]

GREETING = '<p id="hello">{% block hello %}Hello {{ user }}{% endblock %}</p>'
ACCOUNT = """<p id="token">{% block token %}{{ token }}{% endblock %}</p>
<ul id="comments">{% block comments %}{% for text in comments %}<li>{{ text }}</li>{% endfor %}{% endblock %}</ul>"""
TEMPLATES = {"greeting.html": GREETING, "account.html": ACCOUNT}
reactive = Reactive(Environment(loader=DictLoader(TEMPLATES), autoescape=True))
app = Starlette(routes=reactive.routes)


class SignInRequired:
    """A wrapper around an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
