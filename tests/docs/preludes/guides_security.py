"""What the page on security takes for granted: an application, and a template that greets its viewer."""

from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive, ViewerNameError

__all__ = ["DictLoader", "Environment", "ViewerNameError", "reactive"]

GREETING = '<p id="hello">{% block hello %}Hello {{ user }}{% endblock %}</p>'
reactive = Reactive(Environment(loader=DictLoader({"greeting.html": GREETING}), autoescape=True))
