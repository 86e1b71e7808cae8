"""What the page on troubleshooting takes for granted: templates, and the names of the package."""

from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive, ReactiveBus

__all__ = ["Reactive", "ReactiveBus", "templates"]

templates = Environment(loader=DictLoader({}), autoescape=True)
