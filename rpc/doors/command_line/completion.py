"""`tonnetz completion`: what a shell needs to complete commands, node ids, ports and node types."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    short_help="Print the completion script of a shell.",
    help="""Print what a shell needs to complete commands, and nodes, ports and types of the daemon that runs.

    \b
    Examples:
      eval "$(tonnetz completion bash)"              for this shell; in ~/.bashrc for every one
      eval "$(tonnetz completion zsh)"
      tonnetz completion fish > ~/.config/fish/completions/tonnetz.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "tonnetz", "_TONNETZ_COMPLETE").source())
