"""`tonnetz render`: a graph without a daemon, as fast as the machine can."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from tonnetz.daemon.document_text import read_text
from tonnetz.daemon.problems import Refusal
from tonnetz.rpc.client import Refused

from .printing import outline
from .terminal import Terminal

BAR = 30  # columns
LOOK_S = 0.1  # between two pictures of the bar


@click.command(
    short_help="Run a graph offline, much faster than real time.",
    help="""Run a graph offline for a stretch of its own time, much faster than real time; no daemon is needed.

    Files are read and written as the graph says; relative paths start at the graph's folder.

    \b
    Example:
      tonnetz render examples/03_mixer.yaml --seconds 60
    """,
)
@click.argument("graph", type=click.Path(exists=True, dir_okay=False), metavar="GRAPH.yaml")
@click.option("--seconds", required=True, type=click.FloatRange(0, 1e6, min_open=True), help="How much audio to make.")
@click.pass_obj
def command(terminal: Terminal, graph: str, seconds: float) -> None:
    from tonnetz.daemon.offline import render  # with it come the core, numpy and the codecs

    bar = Bar(seconds, shown=sys.stderr.isatty())
    try:
        document = read_text(Path(graph).read_text(encoding="utf-8"), graph)
        result = render(document, seconds, Path(graph).absolute().parent, bar.show)
    except Refusal as refusal:
        raise Refused(refusal.code, refusal.message, refusal.data) from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{graph} is not UTF-8 text.") from None
    finally:
        bar.end()
    result = {**result, "took_s": round(bar.elapsed, 3), "times_real_time": round(bar.speed(seconds), 1)}
    terminal.print(result, outline(result))


class Bar:
    """The progress on standard error, when somebody is looking: how far, how many times real time, how long still."""

    def __init__(self, seconds: float, shown: bool) -> None:
        self.seconds = seconds
        self.shown = shown
        self.begin = time.monotonic()
        self._last = 0.0

    @property
    def elapsed(self) -> float:
        return max(time.monotonic() - self.begin, 1e-9)

    def speed(self, done_s: float) -> float:
        """Seconds of audio per second."""
        return done_s / self.elapsed

    def show(self, done_s: float) -> None:
        """Called with how many seconds of audio are done, as often as one likes."""
        now = time.monotonic()
        fraction = min(done_s / self.seconds, 1.0)
        if not self.shown or (now - self._last < LOOK_S and fraction < 1):
            return
        self._last = now
        print(f"\r{self.text(fraction)}\x1b[K", end="", file=sys.stderr, flush=True)

    def text(self, fraction: float) -> str:
        filled = round(BAR * fraction)
        left = self.elapsed * (1 - fraction) / fraction if fraction > 0 else 0.0
        return (
            f"{'━' * filled}{'─' * (BAR - filled)} {100 * fraction:3.0f} %  "
            f"{self.speed(fraction * self.seconds):.0f} × real time  {left:.0f} s left"
        )

    def end(self) -> None:
        if self.shown and self._last:
            print(file=sys.stderr)
