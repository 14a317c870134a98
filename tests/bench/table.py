"""What was measured, as a table that can be read at a glance. Goals are those of issues 3 to 7 of the project; those
of W2 and W3 are what its comparison with other programs proposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .patch import BLOCK_NS

NAME_WIDTH = 62
EDITS_GOAL = 2000  # in a second, on 100 nodes, with no late block
APPLIED_GOAL_MS = BLOCK_NS / 1e6 + 5  # p99 on 1,000 nodes: a block, and 5 ms
APPLIED_GOAL_NODES = 1000
IDLE_GOAL_PERCENT = 1
WATCHING_GOAL_PERCENT = 15  # of a core; goal of issue 7
STORED_GOAL_S = 3  # whatever is done with a graph of 10,000 nodes as a whole; issue 5
STORED_GOAL_NODES = 10_000
RESTARTED_GOAL_S = 1  # of silence; issue 6


def judge(results: dict[str, Any]) -> None:
    """Writes `goal` and `met` into each row that has a goal."""
    for row in results["processing"]:
        if row["goal"] is not None:
            row["met"] = row["core"] <= row["goal"]
    for row in results["edits"]:
        if row["name"].startswith("parameter edits, Session.apply"):
            row["goal"], row["met"] = EDITS_GOAL, row["edits_per_s"] >= EDITS_GOAL and row["late_blocks"] == 0
    for row in results["applied"]:
        if row["nodes"] == APPLIED_GOAL_NODES:
            row["goal"], row["met"] = APPLIED_GOAL_MS, row["p99_ms"] <= APPLIED_GOAL_MS
    for row in results["stored"]:
        if row["nodes"] == STORED_GOAL_NODES:
            row["goal"], row["met"] = STORED_GOAL_S, row["seconds"] <= STORED_GOAL_S
    for row in results["restarted"]:
        row["goal"], row["met"] = RESTARTED_GOAL_S, row["seconds"] < RESTARTED_GOAL_S
    for row in results["watching"]:
        row["goal"], row["met"] = WATCHING_GOAL_PERCENT, row["percent"] < WATCHING_GOAL_PERCENT
    idle = results["idle"]
    idle["goal"], idle["met"] = IDLE_GOAL_PERCENT, idle["percent"] < IDLE_GOAL_PERCENT


def lines(results: dict[str, Any]) -> list[str]:
    """The table."""
    machine = results["machine"]
    described = f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f} at the start"
    shown = [f"{described}; 48 kHz, blocks of 256 ({BLOCK_NS / 1e6:.2f} ms)"]
    shown += _section(
        "Processing, ns per frame",
        ["core", "plain C", "ratio", "worst", "goal"],
        map(_processing, results["processing"]),
    )
    columns = ["per second", "CPU ms", "late", "quiet", "goal"]
    shown += _section("Edits on 100 nodes", columns, map(_edits, results["edits"]))
    columns = ["p50 ms", "p99 ms", "p50 blk", "p99 blk", "goal"]
    shown += _section("From request to sound, over the socket", columns, map(_applied, results["applied"]))
    shown += _section("Storing", ["", "", "", "seconds", "goal"], map(_stored, results["stored"]))
    shown += _section("Restarting", ["", "", "worst", "seconds", "goal"], map(_restarted, results["restarted"]))
    shown += _section(
        "Watching levels over WebSockets", ["", "", "per second", "CPU", "goal"], map(_watching, results["watching"])
    )
    idle = results["idle"]
    cells = ["", "", "", f"{idle['percent']:.2f} %", _goal(idle, f"< {IDLE_GOAL_PERCENT} %")]
    shown += _section("At rest", ["", "", "", "CPU", "goal"], [(idle["name"], cells)])
    columns = ["", "", "over", "residual", "goal"]
    shown += _section("Click residual of edits, dBFS (997 Hz at -6 dBFS)", columns, map(_clicks, results["clicks"]))
    return shown


def _processing(row: dict[str, Any]) -> tuple[str, list[str]]:
    numbers = [f"{row['core']:.2f}", f"{row['limit']:.2f}", f"{row['ratio']:.2f}", f"{row['worst_us']:.0f} µs"]
    name = f"{row['name']}  {row['title']}" + ("; ns per node and block" if "node" in row["unit"] else "")
    return name, [*numbers, _goal(row, f"≤ {row['goal']:g} ns" if row["goal"] else "")]


def _edits(row: dict[str, Any]) -> tuple[str, list[str]]:
    numbers = [f"{row['edits_per_s']:,.0f}", f"{row['cpu_ms_per_edit']:.2f}", f"{row['late_blocks']}"]
    return row["name"], [*numbers, f"{row['late_blocks_quiet']}", _goal(row, f"≥ {EDITS_GOAL:,}, 0 late")]


def _applied(row: dict[str, Any]) -> tuple[str, list[str]]:
    numbers = [f"{row[key]:.1f}" for key in ("p50_ms", "p99_ms", "p50_blocks", "p99_blocks")]
    return row["name"], [*numbers, _goal(row, f"p99 ≤ {APPLIED_GOAL_MS:.1f} ms")]


def _stored(row: dict[str, Any]) -> tuple[str, list[str]]:
    return row["name"], ["", "", "", f"{row['seconds']:.2f}", _goal(row, f"≤ {STORED_GOAL_S} s")]


def _restarted(row: dict[str, Any]) -> tuple[str, list[str]]:
    numbers = [f"{row['worst_s']:.2f}", f"{row['seconds']:.2f}"]
    return row["name"], ["", "", *numbers, _goal(row, f"< {RESTARTED_GOAL_S} s")]


def _clicks(row: dict[str, Any]) -> tuple[str, list[str]]:
    over = f"+{row['over_db']:.1f} dB" if row["over_db"] else ""
    residual = f"{row['residual_db']:.1f}" if row["residual_db"] > -150 else "none"  # less than floats are worth
    reason = "" if row["met"] else f": {row['reason']}"
    return row["worst"], ["", "", over, residual, _goal(row, f"≤ {row['goal']:.0f}") + reason]


def _watching(row: dict[str, Any]) -> tuple[str, list[str]]:
    cells = ["", "", f"{row['frames_per_s']:,.0f}", f"{row['percent']:.1f} %"]
    return row["name"], [*cells, _goal(row, f"< {WATCHING_GOAL_PERCENT} %")]


def _goal(row: dict[str, Any], wording: str) -> str:
    return "" if "met" not in row else f"{wording}  {'met' if row['met'] else 'missed'}"


def _section(title: str, columns: Sequence[str], rows: Any) -> list[str]:
    head = f"{title:<{NAME_WIDTH}}" + "".join(f"{column:>12}" for column in columns[:-1]) + f"   {columns[-1]}"
    body = [
        f"  {name:<{NAME_WIDTH - 2}}" + "".join(f"{cell:>12}" for cell in cells[:-1]) + f"   {cells[-1]}"
        for name, cells in rows
    ]
    return ["", head.rstrip(), *(line.rstrip() for line in body)]
