"""Draws the results."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.transforms import blended_transform_factory

__all__ = ["draw"]

LABELS = {
    "floor": "bare protocol, ready bytes",
    "asgi": "bare ASGI, ready bytes",
    "reactive": "starlette-reactive",
    "reactive-origin": "starlette-reactive, change of another tab",
    "reactive-sql": "starlette-reactive, with a query",
    "starlette": "StreamingResponse, a queue each",
    "sse": "sse-starlette, ready bytes",
    "sse-encoded": "sse-starlette, ServerSentEvent",
    "sse-middleware": "sse-starlette, BaseHTTPMiddleware",
    "per-viewer": "a render for each viewer",
    "per-viewer-sql": "a query and a render for each viewer",
    "datastar": "Datastar's SDK",
    "fastapi": "FastAPI's SSE",
    "django": "django-eventstream",
    "private": "starlette-reactive, private page",
    "share": "starlette-reactive, share=",
    "share-async": "starlette-reactive, async share=",
    "shared": "starlette-reactive, shared=True",
    "sse-template": "sse-starlette, a render each",
    "sse-fragments": "sse-starlette and jinja2-fragments",
    "pyview": "PyView",
}
OURS, OTHERS = "#3f51b5", "#9e9e9e"


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw what there is of the pictures, one below the other: signed-in people, blocks, viewers, memory."""
    drawn = {
        "signed_in": _bars_of_most,
        "member_memory": _bars,
        "one_block": _bars,
        "five_blocks": _bars,
        "viewers": _lines,
        "memory": _bars,
    }
    titles = {
        "signed_in": "Signed-in people: processor time of a viewer and change, µs",
        "member_memory": "Signed-in people: memory of a viewer, KiB",
        "one_block": "One block: processor time of a viewer and change, µs",
        "five_blocks": "Five blocks: processor time of a viewer and change, µs",
        "viewers": "Processor time of a viewer and change, µs, by viewers",
        "memory": "Memory of an idle connection, KiB",
    }
    there = [name for name in drawn if name in results]
    if not there:
        return
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"})
    # Narrow, so that it can be read on a phone.
    figure, axes = plt.subplots(len(there), 1, figsize=(5.6, 3.6 * len(there)), squeeze=False)
    for name, axis in zip(there, axes.flat, strict=True):
        drawn[name](axis, results[name]["data"])
        place = blended_transform_factory(figure.transFigure, axis.transAxes)
        axis.text(0.02, 1.04, titles[name], fontsize=12, transform=place)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _bars_of_most(axis: Any, data: dict[str, Any]) -> None:
    """Draw the figures with the most viewers."""
    most = data["points"][-1]
    _bars(axis, {"cpu_us": {variant: data["cpu_us"][f"{variant} {most}"] for variant in data["variants"]}})


def _bars(axis: Any, data: dict[str, Any]) -> None:
    values = data.get("cpu_us") or data["kib"]
    medians = {name: statistics.median(rounds) for name, rounds in values.items()}
    names = sorted(medians, key=lambda name: medians[name], reverse=True)
    colours = [OURS if LABELS[name].startswith("starlette-reactive") else OTHERS for name in names]
    bars = axis.barh([LABELS[name] for name in names], [medians[name] for name in names], color=colours)
    axis.bar_label(bars, fmt="%.1f", padding=3, fontsize=10)
    axis.margins(x=0.25)
    axis.xaxis.set_visible(False)
    axis.spines["bottom"].set_visible(False)
    axis.tick_params(labelsize=10)


def _lines(axis: Any, data: dict[str, Any]) -> None:
    for variant in data["variants"]:
        medians = [statistics.median(data["cpu_us"][f"{variant} {point}"]) for point in data["points"]]
        colour = OURS if variant == "reactive" else OTHERS
        axis.plot(data["points"], medians, marker="o", color=colour, label=LABELS[variant])
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xticks(data["points"], [f"{point:,}" for point in data["points"]])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=10)
    axis.tick_params(labelsize=10)
