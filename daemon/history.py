"""The newest transactions at hand: what came between a client's revision and now, and whose turn it is to be undone.

Older ones are in the journal (daemon/storage), if there is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .entry import Entry, Step
from .graph.difference import Change
from .graph.secrecy import veiled_edits
from .graph.spec import Catalogue

KEPT = 1000  # entries; an hour of busy hands, a few megabytes
KEPT_PARTS = 100_000  # edits and changes in all of these: imports of large graphs have tens of thousands each
TOLD = 100  # entries, and edits of each, that a conflict's answer repeats
KEPT_STEPS = 10_000  # of which it is known whether they are undone


class Stacks:
    """Of every author, what can be undone and redone: revisions, the next one last.

    An edit goes on the stack of what can be undone, and empties the other. An undo moves what it is of from the one to
    the other, as a transaction with a revision of its own; a redo moves it back.
    """

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self.undoable: dict[str, list[int]] = {}
        self.redoable: dict[str, list[int]] = {}
        for step in steps:
            self.add(step)

    def add(self, step: Step) -> None:
        undoable = self.undoable.setdefault(step.author, [])
        redoable = self.redoable.setdefault(step.author, [])
        match step.kind:
            case "undo":
                _remove(self.undoable, step.of)
                redoable.append(step.revision)
            case "redo":
                _remove(self.redoable, step.of)
                undoable.append(step.revision)
            case _:
                undoable.append(step.revision)
                redoable.clear()

    def forget(self, author: str, before: int) -> None:
        """Drops an author's steps of earlier revisions: both stacks are in the order of these."""
        for stack in (self.undoable[author], self.redoable[author]):
            while stack and stack[0] < before:
                del stack[0]


def _remove(stacks: dict[str, list[int]], revision: int | None) -> None:
    """Wherever it is: people may undo what others did."""
    for stack in stacks.values():
        if revision in stack:
            stack.remove(revision)


class History:
    """The entries at hand, oldest first, and the stacks of all authors."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._parts = 0
        self._steps: deque[Step] = deque(maxlen=KEPT_STEPS)
        self.stacks = Stacks()

    def add(self, entry: Entry) -> None:
        self._hold(entry)
        if entry.is_step:
            self._steps.append(entry.step)
            self.stacks.add(entry.step)
            self.stacks.forget(entry.author, self._steps[0].revision)

    def remember(self, entries: Iterable[Entry], steps: Iterable[Step]) -> None:
        """What an earlier run left."""
        for entry in entries:
            self._hold(entry)
        self._steps.extend(steps)
        self.stacks = Stacks(self._steps)

    def forget(self, revision: int) -> None:
        """Drops the entry of this revision and all after it: they have been taken back."""
        while self._entries and self._entries[-1].revision >= revision:
            self._parts -= _parts(self._entries.pop())
        while self._steps and self._steps[-1].revision >= revision:
            self._steps.pop()
        self.stacks = Stacks(self._steps)

    @property
    def known(self) -> set[int]:
        """The revisions of which it is known whether they are undone."""
        return {step.revision for step in self._steps if step.kind != "undo"}

    def entry(self, revision: int) -> Entry | None:
        """The one of this revision, if it is at hand."""
        return next((entry for entry in reversed(self._entries) if entry.revision == revision), None)

    @property
    def oldest(self) -> int | None:
        """The revision of the first entry at hand."""
        return self._entries[0].revision if self._entries else None

    def since(self, revision: int) -> Sequence[Entry]:
        """The transactions after `revision`, as far as they are at hand."""
        found: deque[Entry] = deque()
        for entry in reversed(self._entries):
            if entry.revision <= revision:
                break
            found.appendleft(entry)
        return list(found)

    def changes(self, since: int) -> list[Change]:
        """All that changed after a revision, as far as it is at hand."""
        return [change for entry in self.since(since) for change in entry.changes]

    def describe_since(self, revision: int, catalogue: Catalogue) -> list[dict[str, Any]]:
        """The same as plain data, for a conflict's answer: the newest, without secrets, and not all of an import."""
        return [
            {
                "revision": entry.revision,
                "author": entry.author,
                "origin": entry.origin,
                "label": entry.label,
                "edits": msgspec.to_builtins(veiled_edits(entry.edits[:TOLD], catalogue)),
            }
            for entry in self.since(revision)[-TOLD:]
        ]

    def _hold(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._parts += _parts(entry)
        while len(self._entries) > KEPT or (self._parts > KEPT_PARTS and len(self._entries) > 1):
            self._parts -= _parts(self._entries.popleft())


def _parts(entry: Entry) -> int:
    return len(entry.edits) + len(entry.inverse) + len(entry.changes)
