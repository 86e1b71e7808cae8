from __future__ import annotations

from starlette_reactive._streams.rendering import error_markup


def test_an_error_in_the_page_is_escaped() -> None:
    assert error_markup('<"b">', ValueError("<script>")) == (
        '<div class="reactive-block-error" data-block="&lt;&quot;b&quot;&gt;">'
        "<strong>ValueError</strong>: &lt;script&gt;</div>"
    )
