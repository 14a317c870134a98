"""`tonnetz top`: what each node takes of a block, again and again."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import click

from .looking import look_options, looks
from .terminal import Terminal, aligned

MOST_INCIDENTS = 3  # lines of the newest trouble


@click.command(
    short_help="Show what each node takes of the time there is.",
    params=look_options(1.0),
    help="""Show what each node takes of the time that a block has, the costliest first, until Ctrl-C.

    WAIT is from the block's begin to the node's turn, BUSY what it takes, on average; MAX what it took once; LOAD the
    share of a block's time that BUSY is. FAULTS are blocks muted for NaN or infinity.

    \b
    Examples:
      tonnetz top
      tonnetz top --count 1
    """,
)
@click.pass_obj
def command(terminal: Terminal, every: float, count: int | None) -> None:
    for _ in looks(terminal, every, count):
        performance, graph = terminal.batch(("runtime.performance", {}), ("graph.get", {}))
        types = {node["id"]: node["type"] for node in graph["nodes"]}
        terminal.print(performance, performance_text(performance, types))


def performance_text(result: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """The engine in two lines, its nodes in a table, and the newest trouble."""
    engine = (
        f"{result['state']}, {result['sample_rate']} Hz, blocks of {result['block_frames']}, clock {result['clock']}"
    )
    busy = f"load {100 * result['load']:.1f} % (at most {100 * result['load_maximum']:.1f} %)"
    lines = [engine, f"{busy}, {result['late_blocks']} late blocks, {result['gaps']} gaps", ""]
    rows = [("NODE", "TYPE", "WAIT µs", "BUSY µs", "MAX µs", "LOAD %", "FAULTS")]
    for node, cost in sorted(result["nodes"].items(), key=lambda item: -item[1]["average_ns"]):
        times = [f"{cost[key] / 1000:8.1f}" for key in ("wait_ns", "average_ns", "maximum_ns")]
        rows.append((node, types.get(node, ""), *times, f"{100 * cost['load']:6.2f}", str(cost["faults"])))
    lines += aligned(rows)
    newest = list(itertools.islice(reversed(result["incidents"]), MOST_INCIDENTS))
    lines += [""] * bool(newest)
    lines += [_incident(incident) for incident in newest]
    return "\n".join(lines)


def _incident(told: Mapping[str, Any]) -> str:
    where = f" at {told['node']}" if told["node"] else ""
    return f"{told['time']}  {told['kind']}{where}: {told['cause']}"
