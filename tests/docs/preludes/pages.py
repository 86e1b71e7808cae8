"""What the page on live pages takes for granted: an application to mount."""

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.routing import Mount

from starlette_reactive import Reactive

__all__ = ["Mount", "Reactive", "Starlette", "app", "reactive", "shop", "templates"]

templates = Environment(loader=DictLoader({}), autoescape=True)
reactive = Reactive(templates)
app = shop = Starlette(routes=reactive.routes)
