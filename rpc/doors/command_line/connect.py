"""`tonnetz connect`: a chain of nodes and ports, wired up in one transaction."""

from __future__ import annotations

import click

from tonnetz.daemon.receipt import Receipt

from .completing import Completion
from .ends import pairs
from .from_table import transaction_options
from .printing import text_of
from .terminal import Terminal


@click.command(
    params=transaction_options(),
    short_help="Connect outputs to inputs, several in a chain.",
    help="""Connect outputs to inputs; several connections into one input sum.

    A node alone stands for its only input or output. A chain is one transaction.

    \b
    Examples:
      tonnetz connect tone_1 mix.in_2
      tonnetz connect mic eq comp mix.in_1
    """,
)
@click.argument("chain", nargs=-1, required=True, metavar="SOURCE [NODE]... TARGET", shell_complete=Completion("port"))
@click.pass_obj
def command(terminal: Terminal, /, chain: tuple[str, ...], **options: object) -> None:
    if len(chain) < 2:
        raise click.UsageError("Name a source and a target, such as `tonnetz connect eq comp`.")
    graph = terminal.call("graph.get")
    edits = [{"connect": {"source": source, "target": target}} for source, target in pairs(graph, chain)]
    given = {name: value for name, value in options.items() if value is not None}
    receipt = terminal.call("graph.apply", **{"base_revision": graph["revision"], **given, "edits": edits})
    terminal.print(receipt, text_of(Receipt, receipt, dry_run=bool(given.get("dry_run"))))
