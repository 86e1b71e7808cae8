"""From what an application calls its templates to the Jinja environment behind it."""

from __future__ import annotations

from jinja2 import Environment
from starlette.templating import Jinja2Templates

__all__ = ["Templates", "environment_of"]

Templates = Environment | Jinja2Templates


def environment_of(templates: Templates) -> Environment:
    """Return the environment of Starlette's ``Jinja2Templates``, or the environment itself.

    Raises:
        TypeError: ``templates`` is neither.
    """
    if isinstance(templates, Environment):
        return templates
    if isinstance(templates, Jinja2Templates):
        return templates.env
    raise TypeError(
        f"templates is a jinja2.Environment or starlette.templating.Jinja2Templates, not {type(templates).__name__}"
    )
