"""`./dev bench`: how fast it is, beside what the machine could do; a table on the screen, and all figures as JSON."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's idle threads would spin beside what is measured

import argparse
import asyncio
import json
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tonnetz.daemon.engine.core import build_profile

from . import clicks, editing, limit, restarting, storing, table, watching
from .workloads import WORKLOADS

FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"
BLOCKS = 64  # at a time; of those the core times four by itself
WARM_UP = 16
SIZES = (10, 100, 1_000, 10_000)
RESTARTED = 100  # nodes, as those that are edited


class Effort(NamedTuple):
    rounds: int  # of each workload
    crowd_s: float  # of each crowd, after as long a quiet time
    requests: int  # of each kind and size of graph
    sizes: tuple[int, ...]
    stored: int  # nodes
    restarts: int
    watched_s: float  # by each crowd
    idle_s: float
    click_share: int  # so many kinds of edits there are to each that is tried for clicks


FULL = Effort(
    rounds=60,
    crowd_s=4.0,
    requests=150,
    sizes=SIZES,
    stored=SIZES[-1],
    restarts=5,
    watched_s=5.0,
    idle_s=8.0,
    click_share=1,
)
QUICK = Effort(
    rounds=5,
    crowd_s=0.3,
    requests=10,
    sizes=SIZES[:3],
    stored=SIZES[2],
    restarts=1,
    watched_s=1.0,
    idle_s=1.5,
    click_share=5,
)


def processing(rounds: int) -> list[dict[str, Any]]:
    """The core and the plain loop by turns, so that what the machine does meanwhile meets both. Medians of the rounds."""
    opened = limit.opened(FOLDER)
    loops = {work.name: opened(work.name, work.numbers(), *work.channels) for work in WORKLOADS}
    patches = {work.name: work.patch() for work in WORKLOADS}
    found: dict[str, list[tuple[float, float, float, float]]] = {work.name: [] for work in WORKLOADS}
    for turn in range(-1, rounds):
        for work in WORKLOADS:
            patch, place = patches[work.name]
            blocks = BLOCKS if turn >= 0 else WARM_UP
            measured = patch.measure_node(place, blocks) if work.alone else patch.measure(blocks)
            if turn >= 0:
                loops[work.name].measure(2)  # what the core's round has displaced comes back to the caches
                found[work.name].append((*measured, *loops[work.name].measure(blocks)))
    rows = []
    for work in WORKLOADS:
        core, worst, plain, plain_worst = zip(*found[work.name], strict=True)
        rows.append(
            {
                "name": work.name,
                "title": work.title,
                "unit": work.unit,
                "core": statistics.median(core) / work.per_block,
                "limit": statistics.median(plain) / work.per_block,
                "ratio": statistics.median(one / other for one, other in zip(core, plain, strict=True)),
                "worst_us": max(worst) / 1e3,
                "limit_worst_us": max(plain_worst) / 1e3,
                "goal": work.goal_ns,
            }
        )
    return rows


async def everything(effort: Effort, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measures all there is, one thing after the other: they share the machine."""
    tell("processing")
    results: dict[str, Any] = {"machine": machine(), "processing": processing(effort.rounds)}
    tell("edits")
    results["edits"] = await editing.crowds_in_process(effort.crowd_s)
    results["edits"] += await editing.crowds_over_socket(effort.crowd_s)
    results["applied"] = []
    for nodes in effort.sizes:
        tell(f"edits on {nodes:,} nodes")
        results["applied"] += await editing.applied(nodes, effort.requests)
    tell("storing")
    results["stored"] = await storing.stored(effort.stored)
    tell("restarts")
    results["restarted"] = await restarting.restarted(RESTARTED, effort.restarts)
    tell("watching")
    results["watching"] = await watching.watched(effort.watched_s)
    tell("rest")
    results["idle"] = await editing.idle(effort.idle_s)
    tell("clicks")
    results["clicks"] = await asyncio.to_thread(clicks.clicks, effort.click_share)  # each plays in a loop of its own
    table.judge(results)
    return results


def machine() -> dict[str, Any]:
    """What it was measured on. The load is other people's."""
    known = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": known[1] if known else platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.release(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures how fast Tonnetz is on this machine.")
    parser.add_argument(
        "--quick", action="store_true", help="take 20 seconds instead of three minutes, and be less exact"
    )
    quick = parser.parse_args().quick
    if build_profile() != "release":
        raise SystemExit(
            f"This core is built for '{build_profile()}', and its speed says nothing. Build another: "
            "TONNETZ_BUILD=release ./dev build"
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    begun = datetime.now(UTC)
    begin = time.monotonic()

    def tell(what: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K  measuring {what} …" if what else "\r\x1b[K")

    results = asyncio.run(everything(QUICK if quick else FULL, tell))
    tell("")
    results |= {"begun": begun.isoformat(timespec="seconds"), "seconds": time.monotonic() - begin, "quick": quick}
    file = FOLDER / f"{begun:%Y-%m-%dT%H-%M-%S}.json"
    file.write_text(json.dumps(results, indent="\t", ensure_ascii=False) + "\n")
    sys.stdout.write("\n".join([*table.lines(results), "", f"{results['seconds']:.0f} s; kept in {file}", ""]))


if __name__ == "__main__":
    main()
