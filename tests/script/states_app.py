"""One page with everything that a browser knows and the server does not, inside live blocks that change.

The dialog has a block of its own, because without the live script blocks with a dialog are not morphed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from jinja2 import DictLoader, Environment

from starlette_reactive import Reactive

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "example_app" / "static" / "vendor"
MODES = {
    "htmx 2": (["htmx-2.0.11/htmx.min.js", "htmx-ext-sse-2.2.4/sse.min.js"], None),
    "htmx 2, live script": ([], 2),
    "htmx 4": (["htmx-4.0.1/htmx.min.js", "htmx-4.0.1/hx-sse.min.js"], None),
    "htmx 4, live script": ([], 4),
}
"""The scripts that a page loads: those of htmx itself, or the live script after a version of htmx."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>States</title><link rel="icon" href="data:,">
{% for script in scripts %}<script src="/vendor/{{ script }}"></script>{% endfor %}
{% if htmx %}{{ live_scripts(htmx=htmx) }}{% endif %}
<script type="module">
  customElements.define("x-clicks", class extends HTMLElement {
    connectedCallback() {
      this.clicks ??= 0
      this.textContent = this.clicks
      this.onclick = () => { this.textContent = ++this.clicks }
    }
  })
</script>
<script defer src="/tests-vendor/alpinejs-3.17.5/cdn.min.js"></script>
</head><body><main id="all">{% block all %}<p class="count">{{ count }}</p>
<input id="text" aria-label="Text">
<textarea id="area" aria-label="Area"></textarea>
<div id="scroll" style="height: 40px; overflow: auto"><p style="height: 400px">long</p></div>
<details id="details"><summary>More</summary>more</details>
<select id="select" aria-label="Select"><option>a</option><option>b</option></select>
<input type="checkbox" id="checkbox" aria-label="Checkbox">
<input type="file" id="file" aria-label="File">
<video id="video" muted loop width="40" height="30"></video>
<div id="editable" contenteditable>edit</div>
<x-clicks id="custom"></x-clicks>
<div id="alpine" x-data="{ open: false }"><button @click="open = !open">Toggle</button>
<i x-show="open" x-cloak>open</i></div>
<canvas id="canvas" width="20" height="20"></canvas>{% endblock %}</main>
<div id="beside">{% block beside %}{{ count }}<dialog id="dialog"><button>Close</button></dialog>{% endblock %}</div>
<div {{ live() }}></div></body></html>"""

app = FastAPI()
env = Environment(loader=DictLoader({"states.html": PAGE}), autoescape=True)
reactive = Reactive(env, secret="a secret for tests")
app.include_router(reactive.router)
app.mount("/vendor", StaticFiles(directory=VENDOR))
app.mount("/tests-vendor", StaticFiles(directory=ROOT / "tests" / "vendor"))
state = {"count": 0}


@app.get("/states/{number}")
@reactive.page("states.html", scope="states")
async def states(number: int) -> dict[str, Any]:
    scripts, htmx = list(MODES.values())[number]
    return {**state, "scripts": scripts, "htmx": htmx}


@app.post("/count")
async def count() -> dict[str, int]:
    state["count"] += 1
    await reactive.emit("states", "count")
    return state


@app.get("/connected")
async def connected() -> int:
    return len(reactive.presence("states"))
