"""The Jinja environment and the context behind an application's templates object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.templating import Jinja2Templates

from .declared_parents import declare_parents

__all__ = ["Templates", "context_for", "environment_of", "jinja2_templates"]

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
        "templates must be a jinja2.Environment or a starlette.templating.Jinja2Templates, "
        f"not {type(templates).__name__}"
    )


def jinja2_templates(templates: Templates, parents: Mapping[str, Iterable[str]] | None = None) -> Jinja2Templates:
    """Return Starlette's ``Jinja2Templates``, made for the environment if it is one.

    Args:
        templates: Starlette's templates, or an environment.
        parents: What :func:`declare_parents` declares for the environment.

    Raises:
        TypeError: ``templates`` is neither.
    """
    if parents:
        declare_parents(environment_of(templates), parents)
    return templates if isinstance(templates, Jinja2Templates) else Jinja2Templates(env=environment_of(templates))


def context_for(templates: Jinja2Templates, request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the context of a template: the values, the request, and what the context processors add."""
    context = {"request": request, **values}
    for processor in templates.context_processors:
        context.update(processor(request))
    return context
