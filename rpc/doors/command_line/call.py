"""`tonnetz call`: any method by its name, for scripts and for methods that have no command of their own."""

from __future__ import annotations

import click
import msgspec
from click.shell_completion import CompletionItem

from tonnetz.rpc.method_table import load_methods

from .terminal import Terminal
from .words import WrongWord, assigned, sentence


def complete_method(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    methods = load_methods().values()
    return [
        CompletionItem(method.name, help=method.summary) for method in methods if method.name.startswith(incomplete)
    ]


@click.command(
    short_help="Call any method by its name.",
    help="""Call any method by its name, and print its result as JSON.

    `tonnetz call rpc.discover` describes them all.

    \b
    Examples:
      tonnetz call system.describe
      tonnetz call graph.connect source=eq.out target=comp.in
      tonnetz call graph.apply 'edits=[{rename_node: {id: eq, label: Warmth}}]'
    """,
)
@click.argument("method", shell_complete=complete_method)
@click.argument("params", nargs=-1, metavar="[KEY=VALUE]...")
@click.pass_obj
def command(terminal: Terminal, method: str, params: tuple[str, ...]) -> None:
    try:
        result = terminal.call(method, **assigned(params))
    except WrongWord as wrong:
        raise click.UsageError(sentence(wrong)) from None
    terminal.print(result, msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
