"""`tonnetz render`: a graph without a daemon, as fast as the machine can."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from tonnetz.daemon.document_text import read_text

from .printing import outline
from .terminal import Terminal

BAR = 30  # columns
LOOK_S = 0.1  # between two pictures of the bar


@click.command(
    short_help="Run a graph offline, much faster than real time.",
    help="""Run a graph offline for a stretch of its own time, much faster than real time; no daemon is needed.

    Files are read and written as the graph says; relative paths start at the graph's folder.

    With --journal, run again what a daemon has stored: each transaction at the frame at which it took effect, and so
    the same samples, as far as sources sound the same each time. Relative paths start at the present folder.

    \b
    Examples:
      tonnetz render examples/03_mixer.yaml --seconds 60
      tonnetz render --journal /var/lib/tonnetz/tonnetz.db
    """,
)
@click.argument("graph", type=click.Path(exists=True, dir_okay=False), metavar="[GRAPH.yaml]", required=False)
@click.option("--seconds", type=click.FloatRange(0, 1e6, min_open=True), help="How much audio to make.")
@click.option("--journal", type=click.Path(exists=True), metavar="FILE", help="A daemon's tonnetz.db.")
@click.option("--run", "number", type=click.IntRange(1), help="Which run of the daemon; the newest unless given.")
@click.pass_obj
def command(
    terminal: Terminal, graph: str | None, seconds: float | None, journal: str | None, number: int | None
) -> None:
    if (graph is None) == (journal is None):
        raise click.UsageError("Name a graph, or a journal (--journal FILE).")
    if graph is not None and (seconds is None or number is not None):
        raise click.UsageError("A graph takes --seconds, and no --run.")
    from tonnetz.daemon.offline import render, replay  # with it come the core, numpy and the codecs

    bar = Bar(seconds or 0.0, shown=sys.stderr.isatty() and seconds is not None)
    try:
        if graph is not None and seconds is not None:
            document = read_text(Path(graph).read_text(encoding="utf-8"), graph)
            result = render(document, seconds, Path(graph).absolute().parent, bar.show)
        else:
            folder = Path(journal or "")
            folder = folder if folder.is_dir() else folder.parent
            result = replay(folder, seconds, Path.cwd(), bar.show, number=number)
    except UnicodeDecodeError:
        raise click.UsageError(f"{graph} is not UTF-8 text.") from None
    finally:
        bar.end()
    times = round(bar.speed(result["seconds"]), 1)
    result = {**result, "took_s": round(bar.elapsed, 3), "times_real_time": times}
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
        if not self.shown:
            return
        now = time.monotonic()
        fraction = min(done_s / self.seconds, 1.0)
        if now - self._last < LOOK_S and fraction < 1:
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
