"""What the page on the check takes for granted: an application that is wired, and an index."""

from jinja2 import DictLoader, Environment

from starlette_reactive import DependencyIndex, Reactive

reactive = Reactive(Environment(loader=DictLoader({}), autoescape=True))
index = DependencyIndex()
