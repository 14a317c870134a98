"""`tonnetz watch`: events as lines, as they happen."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import click
import msgspec

from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.rpc.client import NotReached

from .terminal import Terminal
from .words import spelled

NAME_WIDTH = max(len(name) for name in EVENT_NAMES)


@click.command(
    short_help="Print events as they happen.",
    help=f"""Print events as they happen, one a line, until Ctrl-C.

    Events: {", ".join(EVENT_NAMES)}.

    \b
    Examples:
      tonnetz watch
      tonnetz watch transaction_applied --count 1
    """,
)
@click.argument("names", nargs=-1, type=click.Choice(EVENT_NAMES), metavar="[EVENT]...")
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@click.pass_obj
def command(terminal: Terminal, names: tuple[str, ...], count: int | None) -> None:
    seen = 0
    for event in islice(terminal.client.events(list(names) or None), count):
        click.echo(msgspec.json.encode(event) if terminal.json else event_text(event))
        seen += 1
    if seen != count:
        raise NotReached(f"the daemon at {terminal.client.path} has ended")


def event_text(event: dict[str, Any]) -> str:
    """`12:00:01 parameter_changed    node_id=eq param=gain_db value=3`; who did it comes last."""
    params = {name: value for name, value in event["params"].items() if name not in ("seq", "author", "origin")}
    words = [f"{name}={spelled(value)}" for name, value in params.items()]
    if "author" in event["params"]:
        words.append(f"by {event['params']['author']}")
    return f"{time.strftime('%H:%M:%S')} {event['method']:{NAME_WIDTH}}  {' '.join(words)}"
