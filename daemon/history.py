"""The transactions of this run, newest last: what came between a client's revision and now, and how to take each
back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from .graph.edits import AnyEdit

KEPT = 1000  # transactions; an hour of busy hands, a few megabytes at most


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted transaction."""

    revision: int
    author: str
    label: str
    edits: tuple[AnyEdit, ...]
    inverse: tuple[AnyEdit, ...]


class History:
    """The entries kept, by revision."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def since(self, revision: int) -> Sequence[Entry]:
        """The transactions after `revision`, as far as they are kept."""
        return [entry for entry in self._entries if entry.revision > revision]

    def describe_since(self, revision: int) -> list[dict[str, Any]]:
        """The same as plain data, for a conflict's answer."""
        return [
            {
                "revision": entry.revision,
                "author": entry.author,
                "label": entry.label,
                "edits": msgspec.to_builtins(entry.edits),
            }
            for entry in self.since(revision)
        ]
