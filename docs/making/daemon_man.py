"""docs/man/tonnetzd.8: the daemon's command, from its own options."""

from __future__ import annotations

import argparse

from tonnetz.daemon.main import SYSTEM_CONFIG, _parser

from .roff import head, item, joined, paragraphs, section

DESCRIPTION = """\
`tonnetzd` runs a live audio graph and listens on a Unix socket for those who look at it and change it: the `tonnetz`
command, and every program that speaks JSON-RPC. It stays in the foreground and writes its log to standard error.

Without a configuration it starts with an empty graph. What can be configured says *tonnetz.yaml*(5).

The audio thread asks for real-time scheduling. Where the system does not allow it, it runs at ordinary priority;
`tonnetz call runtime.performance` tells which it is.
"""
SIGNALS = (
    ("`SIGTERM`, `SIGINT`", "Ends the daemon: requests under way are answered, every file being written is completed."),
)
EXIT = (
    ("0", "Ended as asked, or the configuration is fine (`--check`)."),
    ("1", "It could not start: another daemon answers at the socket, or the socket can't be made."),
    ("2", "The command or the configuration is wrong; it says where and what to do."),
)
ENVIRONMENT = (
    ("`TONNETZ_SOCKET`", "Where the control socket goes, unless the configuration says."),
    (
        "`XDG_RUNTIME_DIR`",
        "Where it goes for an ordinary user who may not write to `/run/tonnetz`; else `/run/user/UID`.",
    ),
)
FILES = (
    (f"`{SYSTEM_CONFIG}`", "The configuration, unless `--config` names another."),
    ("`/run/tonnetz/control.sock`", "The control socket of a daemon that runs as root."),
)


def page() -> str:
    parser = _parser()
    lines = [
        *head("tonnetzd", 8, "System Administration"),
        *section("NAME"),
        "tonnetzd \\- run a live audio graph",
        *section("SYNOPSIS"),
        "\\fBtonnetzd\\fP [\\fIoptions\\fP]",
        *section("DESCRIPTION"),
        *paragraphs(DESCRIPTION),
        *section("OPTIONS"),
    ]
    for action in parser._actions:  # argparse has no public list of them
        lines += item(_flags(action), _sentence(action))
    for name, entries in (("SIGNALS", SIGNALS), ("EXIT STATUS", EXIT), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines += section(name)
        for term, text in entries:
            lines += item(term, text)
    lines += [*section("SEE ALSO"), "\\fBtonnetz\\fP(1), \\fBtonnetz.yaml\\fP(5)"]
    return joined(lines)


def _flags(action: argparse.Action) -> str:
    flags = ", ".join(f"`{flag}`" for flag in action.option_strings)
    if action.nargs == 0:
        return flags
    values = "|".join(action.choices) if action.choices else f"*{action.metavar}*"
    return f"{flags} {values}"


def _sentence(action: argparse.Action) -> str:
    text = action.help or f"How much the log tells; {action.default} unless given"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
