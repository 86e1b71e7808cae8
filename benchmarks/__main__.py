"""``python -m benchmarks``: measure, print tables, keep them as JSON, draw them."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from . import machine
from .experiments import (
    Settings,
    commits,
    compression,
    delivery,
    engines,
    parts,
    reads,
    rows,
    service,
    signed_in,
    triggers,
)
from .figures import Experiment, Table
from .plot import draw

EXPERIMENTS = {
    "signed-in": signed_in.signed_in,
    "private-update": signed_in.private_update,
    "room-for-requests": signed_in.room_for_requests,
    "personal-block": signed_in.personal_block,
    "member-memory": signed_in.member_memory,
    "one-block": delivery.one_block,
    "five-blocks": delivery.five_blocks,
    "viewers": delivery.viewers,
    "blocks": delivery.blocks,
    "size": delivery.block_size,
    "rows": rows.rows,
    "scopes": delivery.scopes,
    "compression": compression.compression,
    "memory": service.memory,
    "burst": service.burst,
    "fairness": service.fairness,
    "threads": parts.threads,
    "index": parts.index,
    "registration": parts.registration,
    "redis": engines.redis,
    "postgres": engines.postgres,
    "redis-scopes": engines.redis_scopes,
    "postgres-scopes": engines.postgres_scopes,
    "commits": commits.commits,
    "triggers": triggers.triggers,
    "reads": reads.reads,
    "soak": service.soak,
}


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    machine.raise_file_limit()
    described = machine.describe()
    machine.pin(machine.CLIENT_CORE)
    print(Table("The machine", ["", ""], [[name, value] for name, value in described.items()]))
    settings = Settings(options.quick, options.soak)
    done: list[Experiment] = []
    for name in options.only or EXPERIMENTS:
        if name == "soak" and settings.soak_minutes <= 0:
            continue
        started = time.monotonic()
        experiment = EXPERIMENTS[name](settings)
        done.append(experiment)
        for table in experiment.tables:
            print(f"\n{table}")
        print(f"({name}: {time.monotonic() - started:.0f} s)", flush=True)
    goals = [goal.row() for experiment in done for goal in experiment.goals]
    print("\n" + str(Table("Goals: median (quartiles)", ["goal", "limit", "measured", ""], goals)))
    found = {experiment.name: {"machine": described, **experiment.as_json()} for experiment in done}
    if options.json is not None:
        kept = json.loads(options.json.read_text()) if options.update and options.json.exists() else {}
        kept = {**kept, "quick": settings.quick, **found}
        options.json.write_text(_rounded(kept))
        found = kept
    if options.plot is not None:
        draw(found, options.plot)


def _rounded(results: object) -> str:
    def parse(text: str) -> float:
        return float(f"{float(text):.4g}")

    return json.dumps(json.loads(json.dumps(results), parse_float=parse), separators=(",", ":")) + "\n"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and viewers: to see that it runs")
    parser.add_argument("--only", nargs="+", choices=list(EXPERIMENTS), help="measure just these")
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep the results here")
    parser.add_argument("--update", action="store_true", help="keep what the JSON file has of other experiments")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw the results here, as SVG or PNG")
    parser.add_argument("--soak", type=float, default=None, metavar="MINUTES", help="of the soak (10; quick: 0.2)")
    options = parser.parse_args()
    if options.soak is None:
        options.soak = 0.2 if options.quick else 10
    return options


if __name__ == "__main__":
    main()
