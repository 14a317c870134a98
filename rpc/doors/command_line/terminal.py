"""What all commands share: the connection to the daemon, opened when first needed, and how results are printed."""

from __future__ import annotations

import base64
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from tonnetz.rpc.client import TIMEOUT_S, Client, Refused

NARROWEST = 24  # columns: a narrower one is not worth wrapping into


class Terminal:
    """One run of the command. `json` asks for machine-readable output."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.json = False
        self.timeout_s = TIMEOUT_S
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = Client(self.socket, self.timeout_s)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def call(self, method: str, /, **params: Any) -> Any:
        return self.client.call(method, **params)

    def batch(self, *calls: tuple[str, Mapping[str, Any]]) -> list[Any]:
        """Several calls in one go; the first that fails is raised."""
        outcomes = self.client.batch(calls)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return outcomes

    def print(self, result: Any, text: str) -> None:
        """The result as JSON if that was asked for, else the text."""
        if self.json:
            text = msgspec.json.format(msgspec.json.encode(result), indent=2).decode()
        if text:
            click.echo(text)

    def give_out(self, blob: Mapping[str, Any]) -> None:
        """Bytes, to a file or program that standard output leads to, else into a file of their own."""
        data = base64.b64decode(blob["data"])
        if self.json:
            self.print(blob, "")
        elif not sys.stdout.isatty():
            sys.stdout.buffer.write(data)
        else:
            Path(blob["name"]).write_bytes(data)
            click.echo(f"{blob['name']}: {len(data):,} bytes")


def refused_text(refused: Refused) -> str:
    """An error for people: one line, or one line per problem where there are several."""
    problems = refused.problems
    if len(problems) < 2:
        return f"Refused: {refused.message}"
    return "\n".join(["Refused; nothing was changed:", *(f"  {problem_text(problem)}" for problem in problems)])


def problem_text(problem: Mapping[str, Any]) -> str:
    place = problem.get("where", "")
    return f"{place}: {problem['message']}" if place else str(problem["message"])


def aligned(rows: Sequence[Sequence[str]], indent: str = "", gap: str = "  ", width: int = 0) -> list[str]:
    """Rows as lines whose columns stand below each other.

    The last column is left ragged; with a `width` it goes on below itself where the line would be longer.
    """
    widths: list[int] = []
    for row in rows:
        for column, cell in enumerate(row[:-1]):
            widths[column : column + 1] = [max(len(cell), widths[column] if column < len(widths) else 0)]
    lines = []
    for row in rows:
        begin = indent + "".join(cell.ljust(room) + gap for cell, room in zip(row[:-1], widths, strict=False))
        room = width - len(begin)
        parts = textwrap.wrap(row[-1], room) if room >= NARROWEST else [row[-1]]
        lines.append(f"{begin}{parts[0] if parts else ''}".rstrip())
        lines += [" " * len(begin) + part for part in parts[1:]]
    return lines


def counted(number: int, noun: str) -> str:
    """`1 node`, `3 nodes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def warn(text: str) -> None:
    print(text, file=sys.stderr)
