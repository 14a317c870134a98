"""`tonnetz token`: who may come in over the network. It works on the daemon's file of tokens, so that the first one can
be made before the daemon runs, which refuses to listen without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tonnetz.daemon.caller import ROLES, Role
from tonnetz.daemon.options import SYSTEM_CONFIG, config_path
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.tokens import Token, TokenFile

from .terminal import Terminal, aligned


@click.command(
    short_help="Make, list and revoke tokens for HTTP.",
    help="""Make, list and revoke the tokens that HTTP asks for where it can be reached from other machines.

    They lie hashed in the daemon's storage.directory, in a file that only its owner may read: run this as the daemon's
    user, or as root. A daemon that runs knows at once.

    \b
    Examples:
      tonnetz token add desk --role operator
      tonnetz token list
      tonnetz token revoke desk
    """,
)
@click.argument("act", type=click.Choice(["add", "list", "revoke"]), metavar="add|list|revoke")
@click.argument("name", required=False)
@click.option("--role", type=click.Choice(ROLES), default="operator", show_default=True, help="What a new one may do.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"The daemon's configuration; {SYSTEM_CONFIG} if that exists.",
)
@click.pass_obj
def command(terminal: Terminal, act: str, name: str | None, role: Role, config: Path | None) -> None:
    # With them comes YAML, which other commands do without.
    from tonnetz.daemon.settings import StorageSettings, load_settings, storage_folder

    if (name is None) != (act == "list"):
        raise click.UsageError("`tonnetz token list` takes no name, add and revoke take one.")
    settings = load_settings(config_path(config))
    file = TokenFile(storage_folder(settings.storage or StorageSettings()))
    if act == "list":
        terminal.print([shown(token) for token in file.tokens().values()], listed(list(file.tokens().values())))
    elif act == "add":
        token, secret = file.add(name or "", role)
        told = f"{secret}\n\nThis is the only time that it is shown. Whoever has it is {role}."
        terminal.print({**shown(token), "token": secret}, told)
    else:
        gone = revoked(file, name or "")
        terminal.print([shown(token) for token in gone], f"revoked: {', '.join(token.id for token in gone)}")


def revoked(file: TokenFile, name: str) -> list[Token]:
    gone = file.revoke(name)
    if not gone:
        message = f"There is no token with the name or the id '{name}'; `tonnetz token list` shows them."
        raise Refusal("not_found", message)
    return gone


def listed(tokens: Sequence[Token]) -> str:
    rows = [("name", "role", "id", "made"), *((token.name, token.role, token.id, token.made) for token in tokens)]
    return "\n".join(aligned(rows)) if tokens else "There are none."


def shown(token: Token) -> dict[str, str]:
    """What may be told of a token."""
    return {"id": token.id, "name": token.name, "role": token.role, "made": token.made}
