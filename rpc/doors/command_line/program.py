"""The command line as a whole: which commands there are, and what becomes of their errors."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from tonnetz.daemon.problems import Refusal, suggestion
from tonnetz.daemon.version import __version__
from tonnetz.rpc.client import NotReached, Refused
from tonnetz.rpc.method_table import Method, load_methods

from .from_table import command_from, group_from
from .options import with_common_options
from .terminal import Terminal, refused_text, warn
from .words import sentence

# Commands that are more than one method, each in its module of that name; the others follow from the table.
WRITTEN = ("call", "completion", "connect", "disconnect", "meter", "render", "show", "token", "top", "watch")
REFUSED, NOT_REACHED, INTERRUPTED = 1, 3, 130
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

HELP = """Look at and change a live audio graph while it plays.

Every change takes effect whole, at one audio block, without a click; or it is refused, says why, and changes nothing.

\b
A tour:
  tonnetz types                           what nodes there are
  tonnetz add tone                        a node, made and named tone_1
  tonnetz connect tone_1 mix.in_2         hear it
  tonnetz set tone_1 frequency=220        change it while it plays
  tonnetz show                            the graph as it is
  tonnetz rm tone_1                       gone, with a fade
"""


class Program(click.Group):
    """Commands by name, each made or imported only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted({*WRITTEN, *(command.partition(" ")[0] for command in shell_methods())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in WRITTEN:
            written: click.Command = importlib.import_module(f".{cmd_name}", __package__).command
            return with_common_options(written)
        method = shell_methods().get(cmd_name)
        below = {
            command.removeprefix(f"{cmd_name} "): with_common_options(command_from(inner))
            for command, inner in shell_methods().items()
            if command.startswith(f"{cmd_name} ")
        }
        own = command_from(method) if method else None
        command = group_from(cmd_name, own, below) if below else own
        return with_common_options(command) if command else None

    def invoke(self, ctx: click.Context) -> Any:
        """What is refused here, before the daemon is asked or without it, ends like what the daemon refuses."""
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            raise Refused(refusal.code, refusal.message, refusal.data) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = suggestion(args[0], self.list_commands(ctx)) or " `tonnetz --help` lists them."
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


def shell_methods() -> dict[str, Method]:
    """The methods with a shell form, by the command's name."""
    return {method.shell.command: method for method in load_methods().values() if method.shell is not None}


program = with_common_options(Program("tonnetz", help=HELP, no_args_is_help=True, context_settings=SETTINGS))
program = click.version_option(__version__, message="tonnetz %(version)s")(program)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    terminal = Terminal()
    try:
        status = program.main(arguments, "tonnetz", standalone_mode=False, obj=terminal)
        return status if isinstance(status, int) else 0
    except Refused as refused:
        _tell(terminal, refused_text(refused), {"code": refused.code, "message": refused.message, "data": refused.data})
        return REFUSED
    except NotReached as unreached:
        message = str(unreached)
        text = f"{sentence(message)}\n{_remedy(terminal)}"
        _tell(terminal, text, {"name": "not_reached", "message": message})
        return NOT_REACHED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        terminal.close()


def _tell(terminal: Terminal, text: str, error: dict[str, Any]) -> None:
    warn(msgspec.json.encode({"error": error}).decode() if terminal.json else text)


def _remedy(terminal: Terminal) -> str:
    if terminal.socket or os.environ.get("TONNETZ_SOCKET"):
        return "Start one that listens there (tonnetzd), or name another socket: --socket PATH or TONNETZ_SOCKET."
    return "Start one (tonnetzd, or ./dev run in a checkout), or say where it listens: --socket PATH or TONNETZ_SOCKET."
