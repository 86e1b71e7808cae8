"""What the page on one change takes for granted: an application that is wired."""

from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive

reactive = Reactive(Environment(loader=DictLoader({}), autoescape=True))
