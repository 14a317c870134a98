"""`tonnetz meter`: levels as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from .completing import Completion
from .looking import look_options, looks
from .terminal import Terminal, aligned

LOWEST_DB = -60.0  # where a bar begins
WIDTH = 40  # columns from there to full scale


@click.command(
    short_help="Show levels as bars.",
    params=look_options(0.1),
    help="""Show the levels of nodes, or of all, as bars from -60 dBFS to full scale, until Ctrl-C.

    They are those of what a node gives out, or a sink takes in: = up to the RMS, - up to the peak.

    \b
    Examples:
      tonnetz meter
      tonnetz meter mix --every 0.5
    """,
)
@click.argument("nodes", nargs=-1, metavar="[NODE]...", shell_complete=Completion("node"))
@click.pass_obj
def command(terminal: Terminal, nodes: tuple[str, ...], every: float, count: int | None) -> None:
    terminal.call("runtime.meters", nodes=[])  # levels are measured from the first look on
    for _ in looks(terminal, every, count, wait_first=True):
        levels = terminal.call("runtime.meters", nodes=list(nodes) or None)
        terminal.print(levels, levels_text(levels))


def levels_text(levels: Mapping[str, Mapping[str, Sequence[Any]]]) -> str:
    rows = []
    for node, level in levels.items():
        for number, (peak, rms) in enumerate(zip(level["peak_db"], level["rms_db"], strict=True), start=1):
            name = node if number == 1 else ""
            rows.append((name, str(number), bar(peak, rms), "silence" if peak is None else f"{peak:6.1f}"))
    return "\n".join(aligned(rows)) or "There are no nodes."


def bar(peak: float | None, rms: float | None) -> str:
    """`====----|` within WIDTH columns; a peak at full scale or beyond ends in `!`."""
    high, low = columns(peak), columns(rms)
    drawn = ("=" * low).ljust(high, "-").ljust(WIDTH)
    return f"{drawn}{'!' if peak is not None and peak >= 0 else '|'}"


def columns(level: float | None) -> int:
    if level is None:
        return 0
    return max(0, min(WIDTH, round(WIDTH * (level - LOWEST_DB) / -LOWEST_DB)))
