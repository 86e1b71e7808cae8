"""What is cached on an environment."""

from __future__ import annotations

import gc
import weakref

from starlette_reactive import Reactive
from starlette_reactive._templates import analyse, compile_block

from ..support import environment


def test_an_environment_is_collected_together_with_its_caches() -> None:
    def use() -> weakref.ref[object]:
        env = environment(page='<p id="a">{% block a %}{{ x }}{% endblock %}</p>{{ live() }}')
        reactive = Reactive(env, secret="a secret for tests")
        reactive.page("page.html", scope="s")
        assert analyse(env, "page.html") is analyse(env, "page.html")
        assert compile_block(env, "page.html", "a").render({"x": 1}) == "1"
        return weakref.ref(env)

    gone = use()
    gc.collect()
    assert gone() is None


def test_an_overlay_does_not_use_the_caches_of_its_parent() -> None:
    env = environment(page="{% block a %}{{ x }}<% y %>{% endblock %}")
    assert analyse(env, "page.html").blocks["a"].paths == {"x"}
    overlay = env.overlay(variable_start_string="<%", variable_end_string="%>")
    assert analyse(overlay, "page.html").blocks["a"].paths == {"y"}
