"""The options that every command takes, before or after its name."""

from __future__ import annotations

from typing import Any, TypeVar

import click

from tonnetz.rpc.client import TIMEOUT_S

from .completing import SOCKET
from .terminal import Terminal

AnyCommand = TypeVar("AnyCommand", bound=click.Command)


def with_common_options(command: AnyCommand) -> AnyCommand:
    """The same command, with --json, --socket and --timeout."""
    if not any(option.name == "json" for option in command.params):
        command.params += [
            click.Option(
                ["--json"], is_flag=True, expose_value=False, callback=_json, help="Print JSON, errors included."
            ),
            click.Option(
                ["--socket"],
                metavar="PATH",
                expose_value=False,
                callback=_socket,
                help="The daemon's socket, else TONNETZ_SOCKET, else the usual places.",
            ),
            click.Option(
                ["--timeout"],
                type=click.FloatRange(0.001, 86400),
                expose_value=False,
                callback=_timeout,
                help=f"Seconds to wait for an answer ({TIMEOUT_S:g}).",
            ),
        ]
    return command


def _json(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value and isinstance(context.obj, Terminal):
        context.obj.json = True


def _socket(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value:
        context.meta[SOCKET] = value
        if isinstance(context.obj, Terminal):
            context.obj.socket = value


def _timeout(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value and isinstance(context.obj, Terminal):
        context.obj.timeout_s = value
