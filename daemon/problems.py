"""What can go wrong, said once. Every door maps these to its own kind of error.

A `Refusal` ends a request: nothing was changed. It carries one or more `Problem`s, each saying what is wrong, where,
what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec


class ErrorKind(msgspec.Struct, frozen=True):
    """One row of the error table. The D-Bus name is the name in CamelCase."""

    code: int  # JSON-RPC; -32xxx are the protocol's own
    status: int  # HTTP


ERROR_KINDS: Mapping[str, ErrorKind] = {
    "parse_error": ErrorKind(-32700, 400),
    "invalid_request": ErrorKind(-32600, 400),
    "method_not_found": ErrorKind(-32601, 404),
    "invalid_params": ErrorKind(-32602, 400),
    "internal_error": ErrorKind(-32603, 500),
    "not_found": ErrorKind(1001, 404),
    "conflict": ErrorKind(1002, 409),
    "invalid_graph": ErrorKind(1003, 422),
    "invalid_config": ErrorKind(1004, 422),
    "forbidden": ErrorKind(1005, 403),
    "unavailable": ErrorKind(1006, 503),
    "timeout": ErrorKind(1007, 504),
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong.

    `kind` is a stable word (`cycle`, `channel_mismatch`, `unknown_port`, `duplicate`, `limit`, `out_of_range`, …),
    `where` a path into what the caller sent (`edits[3].config.bands[0].q`), `data` what a program may want to know.
    """

    kind: str
    message: str
    where: str = ""
    data: dict[str, Any] = {}


class Refusal(Exception):
    """A request is refused whole, and nothing was changed. `name` is a row of ERROR_KINDS."""

    def __init__(self, name: str, message: str, problems: Sequence[Problem] = (), **data: Any) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.problems = tuple(problems)
        self.extra = data

    @property
    def code(self) -> int:
        return ERROR_KINDS[self.name].code

    @property
    def data(self) -> dict[str, Any]:
        """What accompanies the error at every door: its stable name, the problems, and whatever the refuser added."""
        data: dict[str, Any] = {"name": self.name, **self.extra}
        if self.problems:
            data["problems"] = [msgspec.to_builtins(problem) for problem in self.problems]
        return data


def refuse(name: str, problems: Sequence[Problem]) -> Refusal:
    """A refusal whose message is its first problem's, and says how many more there are."""
    first = problems[0]
    place = f"{first.where}: " if first.where else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Refusal(name, f"{place}{first.message}{more}", problems)


def refuse_config(problems: Sequence[Problem]) -> Refusal:
    """Of a configuration that can't be used: forbidden, where it is all right but for what it may not reach."""
    only_forbidden = all(problem.kind == "forbidden" for problem in problems)
    return refuse("forbidden" if only_forbidden else "invalid_config", problems)


def suggestion(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` where a known word is near, else the known words when they are few, else nothing."""
    import difflib  # 3 ms, and most commands never misspell anything

    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f" Did you mean '{near[0]}'?"
    if 0 < len(known) <= 12:
        return f" Known: {', '.join(known)}."
    return ""
