"""docs/man/tonnetz.1: the command line, from its own commands, arguments and options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from tonnetz.rpc.doors.command_line.from_table import transaction_options
from tonnetz.rpc.doors.command_line.options import with_common_options
from tonnetz.rpc.doors.command_line.program import INTERRUPTED, NOT_REACHED, REFUSED, program

from .roff import head, item, joined, paragraphs, section, subsection, verbatim

NAMES = """\
`NODE` is a node's id, `TYPE` a node type, a port is written *node.port*; a node alone stands for its only input or
output where one is meant.

`KEY=VALUE` sets a parameter. A key may lead into a list, whose records are counted from 0: `bands.1.gain_db=3`. A value
is a number, `true`, `false`, `null` (the default), a list or mapping in JSON or YAML, else a text.

`FILE` may be `-`, standard input. Edits and graph documents are YAML or JSON.
"""

EXIT = (
    ("0", "Done."),
    (str(REFUSED), "The daemon refused it, and nothing was changed; or a document is not valid."),
    ("2", "The command was not understood."),
    (str(NOT_REACHED), "No daemon was reached, or it did not answer in time."),
    (str(INTERRUPTED), "Ctrl-C."),
)
ENVIRONMENT = (
    ("`TONNETZ_SOCKET`", "The daemon's socket, where `--socket` names none."),
    ("`XDG_RUNTIME_DIR`", "Where the socket of a daemon lies that runs as an ordinary user; else `/run/user/UID`."),
)
FILES = (
    ("`/run/tonnetz/control.sock`", "The socket of the system's daemon; taken if it is there."),
    ("`$XDG_RUNTIME_DIR/tonnetz/control.sock`", "The socket of the user's own."),
)


def page() -> str:
    context = click.Context(program, info_name="tonnetz")
    description, _, tour = (program.help or "").partition("\b\n")
    lines = [
        *head("tonnetz", 1, "User Commands"),
        *section("NAME"),
        "tonnetz \\- look at and change a live audio graph while it plays",
        *section("SYNOPSIS"),
        "\\fBtonnetz\\fP [\\fIoptions\\fP] \\fIcommand\\fP [\\fIarguments\\fP]",
        *section("DESCRIPTION"),
        *paragraphs(description),
        *paragraphs(NAMES),
        *section("COMMANDS"),
    ]
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        lines += _command(name, command, context)
        if isinstance(command, click.Group):
            for below, inner in sorted(command.commands.items()):
                lines += _command(f"{name} {below}", inner, context)
    lines += [*section("OPTIONS OF CHANGES"), *paragraphs("Commands that change the graph name those that they take.")]
    lines += _options(transaction_options(), context)
    lines += [*section("OPTIONS"), *paragraphs("Every command takes these, before its name or after it.")]
    lines += _options(program.get_params(context), context)
    for name, entries in (("EXIT STATUS", EXIT), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines += section(name)
        for term, text in entries:
            lines += item(term, text)
    _, _, examples = tour.partition("\n")
    lines += [*section("EXAMPLES"), *verbatim(line.removeprefix("  ") for line in examples.rstrip().splitlines())]
    lines += [*section("SEE ALSO"), "\\fBtonnetzd\\fP(8), \\fBtonnetz.yaml\\fP(5)"]
    return joined(lines)


def _command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    arguments = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    yield from subsection(f"{name} {arguments}".strip())
    yield from paragraphs(inspect.cleandoc(command.help or ""))
    options = [option for option in command.params if isinstance(option, click.Option)]
    known = [_identity(option) for option in (*_common(), *transaction_options())]
    yield from _options([option for option in options if _identity(option) not in known], context)
    of_changes = [_identity(option) for option in transaction_options()]
    flags = [f"`{option.opts[0]}`" for option in options if _identity(option) in of_changes]
    if flags:
        yield from paragraphs(f"Options of changes: {', '.join(flags)}.")


def _common() -> list[click.Parameter]:
    return with_common_options(click.Command("any")).params


def _identity(option: click.Parameter) -> tuple[str | None, str | None]:
    """A name alone may mean something else elsewhere."""
    return option.name, option.help if isinstance(option, click.Option) else None


def _options(parameters: Sequence[click.Parameter], context: click.Context) -> Iterator[str]:
    for parameter in parameters:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            flags, help = record
            yield from item(re.sub(r"(--?[\w-]+)", r"`\1`", flags), help.replace("  ", " ") or "See above.")
