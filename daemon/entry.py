"""One accepted transaction, as the history shows it and the journal keeps it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from .graph.difference import Changes
from .graph.edits import AnyEdit

Kind = Literal["edit", "undo", "redo"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for (`edits`, and `options` that decide how it sounds: `fade_ms`), what came of it (`changes`, and
    the `ids` that its edits made or touched), and what takes it back as a transaction of its own (`inverse`).

    `of` is the revision that an undo or a redo is of. `frame` is the sample from which it sounds, once that is known,
    counted from the start of this run of the daemon; `known` is that up to which it was known what had become of fades
    and of what drained, when it worked the transaction out. `time_ns` is when it was accepted (CLOCK_REALTIME).
    """

    revision: int
    author: str
    origin: str = ""
    label: str = ""
    kind: Kind = "edit"
    of: int | None = None
    edits: tuple[AnyEdit, ...]
    inverse: tuple[AnyEdit, ...]
    ids: tuple[str, ...] = ()
    changes: Changes = ()
    options: dict[str, Any] = {}
    time_ns: int = 0
    frame: int | None = None
    known: int | None = None

    @property
    def is_step(self) -> bool:
        """Whether it counts for undo and redo: not where nothing came of it."""
        return bool(self.changes) or self.kind != "edit"

    @property
    def step(self) -> Step:
        return Step(self.revision, self.author, self.kind, self.of)


class Step(NamedTuple):
    """An entry as far as undo and redo need to know it."""

    revision: int
    author: str
    kind: Kind
    of: int | None
