"""docs/man/tonnetzd.8: the daemon's command, from its own options."""

from __future__ import annotations

import argparse

from tonnetz.daemon.options import SYSTEM_CONFIG, parser

from .roff import head, item, joined, paragraphs, section, subsection

DESCRIPTION = """\
`tonnetzd` runs a live audio graph and listens on a Unix socket for those who look at it and change it: the `tonnetz`
command, and every program that speaks JSON-RPC; and on a message bus as `org.tonnetz.Tonnetz1`. It stays in the
foreground and writes its log to standard error, or with fields into the journal where that is what standard error is.

As a service of systemd it says when it is ready, feeds a watchdog while audio thread and event loop both make progress,
takes its socket from a socket unit, and reads secrets from the service's credentials. `install-units` sets all that up.

Without a configuration it starts with an empty graph. What can be configured says *tonnetz.yaml*(5).

The audio thread asks for real-time scheduling. Where the system does not allow it, it runs at ordinary priority;
`tonnetz call runtime.performance` tells which it is.
"""
SIGNALS = (
    (
        "`SIGTERM`, `SIGINT`",
        (
            "Ends the daemon: requests under way are answered, what sounds fades out, every file being written is "
            "completed."
        ),
    ),
    (
        "`SIGHUP`",
        (
            "Reads the configuration again, as `tonnetz call system.reload` does: what can change while sound plays is "
            "taken over, the rest is named in the log. A file with a mistake changes nothing."
        ),
    ),
)
EXIT = (
    ("0", "Ended as asked, or the configuration is fine (`--check`)."),
    ("1", "It could not start: another daemon runs, or its socket, port or folder of stored things can't be had."),
    ("2", "The command or the configuration is wrong; it says where and what to do."),
)
ENVIRONMENT = (
    ("`TONNETZ_SOCKET`", "Where the control socket goes, unless the configuration says."),
    (
        "`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `LISTEN_FDS`, `CREDENTIALS_DIRECTORY`, `JOURNAL_STREAM`",
        "What a service manager gives: see *sd_notify*(3), *sd_listen_fds*(3), *systemd.exec*(5).",
    ),
    (
        "`DBUS_SYSTEM_BUS_ADDRESS`, `DBUS_SESSION_BUS_ADDRESS`",
        "Where the buses are, if not where they usually are.",
    ),
    (
        "`XDG_RUNTIME_DIR`",
        "Where it goes for an ordinary user who may not write to `/run/tonnetz`; else `/run/user/UID`.",
    ),
)
FILES = (
    (f"`{SYSTEM_CONFIG}`", "The configuration, unless `--config` names another."),
    ("`/run/tonnetz/control.sock`", "The control socket of the system's daemon."),
)


def page() -> str:
    made = parser()
    lines = [
        *head("tonnetzd", 8, "System Administration"),
        *section("NAME"),
        "tonnetzd \\- run a live audio graph",
        *section("SYNOPSIS"),
        "\\fBtonnetzd\\fP [\\fIoptions\\fP]",
        ".br",
        "\\fBtonnetzd install-units\\fP [\\fB\\-\\-user\\fP] [\\fB\\-\\-root\\fP \\fIDIR\\fP]",
        *section("DESCRIPTION"),
        *paragraphs(DESCRIPTION),
        *section("OPTIONS"),
    ]
    lines += _options(made)
    lines += section("COMMANDS")
    for action in made._actions:
        for name, command in action.choices.items() if isinstance(action, argparse._SubParsersAction) else ():
            lines += [*subsection(name), *paragraphs(command.description or ""), *_options(command)]
    for name, entries in (("SIGNALS", SIGNALS), ("EXIT STATUS", EXIT), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines += section(name)
        for term, text in entries:
            lines += item(term, text)
    lines += [*section("SEE ALSO"), "\\fBtonnetz\\fP(1), \\fBtonnetz.yaml\\fP(5)"]
    return joined(lines)


def _options(made: argparse.ArgumentParser) -> list[str]:
    lines: list[str] = []
    for action in made._actions:  # argparse has no public list of them
        if action.option_strings:
            lines += item(_flags(action), _sentence(action))
    return lines


def _flags(action: argparse.Action) -> str:
    flags = ", ".join(f"`{flag}`" for flag in action.option_strings)
    if action.nargs == 0:
        return flags
    values = "|".join(action.choices) if action.choices else f"*{action.metavar}*"
    return f"{flags} {values}"


def _sentence(action: argparse.Action) -> str:
    text = action.help or f"How much the log tells; {action.default} unless given"
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
