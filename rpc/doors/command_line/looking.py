"""What commands that look again and again have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click

from .terminal import Terminal

CLEAR = "\x1b[H\x1b[2J"  # the screen, on every terminal there is


def look_options(every_s: float) -> list[click.Parameter]:
    seconds = click.FloatRange(0.05, 3600)
    return [
        click.Option(["--every"], type=seconds, default=every_s, show_default=True, help="Seconds between looks."),
        click.Option(["--count"], type=click.IntRange(1), help="End after so many looks."),
    ]


def looks(terminal: Terminal, every_s: float, count: int | None, wait_first: bool = False) -> Iterator[int]:
    """One turn for each look. On a terminal each is drawn over the one before."""
    number = 0
    while count is None or number < count:
        if number or wait_first:
            time.sleep(every_s)
        if sys.stdout.isatty() and not terminal.json:
            click.echo(CLEAR, nl=False)
        yield number
        number += 1
