"""`tonnetz disconnect`: connections taken away by their ends, in one transaction."""

from __future__ import annotations

from itertools import pairwise

import click

from tonnetz.daemon.receipt import Receipt

from .completing import Completion
from .ends import between
from .from_table import transaction_options
from .printing import text_of
from .terminal import Terminal


@click.command(
    params=transaction_options(),
    short_help="Take connections away.",
    help="""Take connections away, named by their ends or as SOURCE:TARGET.

    A node alone stands for all its ports: `disconnect eq mix` takes away every connection from eq to mix.

    \b
    Examples:
      tonnetz disconnect eq mix.in_2
      tonnetz disconnect eq.out:mix.in_2
    """,
)
@click.argument("chain", nargs=-1, required=True, metavar="SOURCE TARGET", shell_complete=Completion("port"))
@click.pass_obj
def command(terminal: Terminal, /, chain: tuple[str, ...], **options: object) -> None:
    if len(chain) == 1:
        chain = tuple(chain[0].split(":"))
    if len(chain) < 2:
        raise click.UsageError("Name both ends, such as `tonnetz disconnect eq comp`.")
    graph = terminal.call("graph.get")
    ids = dict.fromkeys(id for source, target in pairwise(chain) for id in between(graph, source, target))
    given = {name: value for name, value in options.items() if value is not None}
    edits = [{"disconnect": {"id": id}} for id in ids]
    receipt = terminal.call("graph.apply", **{"base_revision": graph["revision"], **given, "edits": edits})
    terminal.print(receipt, text_of(Receipt, receipt, dry_run=bool(given.get("dry_run"))))
