"""Going back: the caller's own transactions one by one, or the whole graph to how it was.

An undo takes back one transaction's fields and leaves all others as they are. What somebody has changed since stays,
and the receipt's warnings name it. Each of these is a transaction like any other, which fades and can be undone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from .caller import Caller
from .entry import Entry, Kind
from .graph.difference import Change, ConnectionChange, place_of, reversed_changes, taken_back, travelled
from .graph.document import edits_between
from .graph.edits import AnyEdit
from .graph.model import Graph
from .graph.transaction import apply_edits
from .history import Stacks
from .problems import Refusal
from .receipt import Receipt
from .storage.journal import entries
from .storage.restoring import graph_at

if TYPE_CHECKING:
    from .session import Session

NAMED = 20  # of the fields that stay, so many are named; whoever undoes an import needs no list of thousands


async def undo(session: Session, caller: Caller, revision: int | None, fade_ms: float | None) -> Receipt:
    """Takes back a transaction: the caller's newest that still holds, or that of a revision, whoever made it."""
    if revision is None:
        own = session.history.stacks.undoable.get(caller.name)
        if not own:
            raise Refusal("not_found", f"There is nothing of {caller.name}'s to undo.")
        revision = own[-1]
    return await _take_back(session, caller, "undo", revision, fade_ms)


async def redo(session: Session, caller: Caller, fade_ms: float | None) -> Receipt:
    """Does again what the caller undid last, unless they have changed something since."""
    own = session.history.stacks.redoable.get(caller.name)
    if not own:
        raise Refusal(
            "not_found", f"There is nothing that {caller.name} undid, and nothing changed since, to do again."
        )
    return await _take_back(session, caller, "redo", own[-1], fade_ms)


async def _take_back(session: Session, caller: Caller, kind: Kind, revision: int, fade_ms: float | None) -> Receipt:
    """A redo is an undo that is taken back."""
    _check_turn(session.history.stacks, kind, revision)
    entry = session.history.entry(revision)
    if entry is None:
        entry = await _stored_entry(session, revision)
        _check_turn(session.history.stacks, kind, revision)  # somebody may have been quicker
    graph, kept = taken_back(session.graph, entry.changes)
    edits, problems = _what_holds(session, edits_between(session.graph, graph, session.catalogue))
    warnings = _what_stays(session, entry, kept) + problems
    words = f"{kind} {entry.of if kind == 'redo' else entry.revision}"
    receipt = await session.apply(edits, caller=caller, fade_ms=fade_ms, label=words, kind=kind, of=revision)
    return msgspec.structs.replace(receipt, warnings=[*warnings, *receipt.warnings])


def _check_turn(stacks: Stacks, kind: Kind, revision: int) -> None:
    """Refuses what is on nobody's stack."""
    if not any(revision in stack for stack in (stacks.undoable if kind == "undo" else stacks.redoable).values()):
        why = f"Revision {revision} can't be undone: it was undone already, or changed nothing, or is too long ago."
        raise Refusal("not_found", why)


async def _stored_entry(session: Session, revision: int) -> Entry:
    store = session.keeping.store
    found = []
    if store is not None:
        found = await store.ask(lambda connection, forms: list(entries(connection, forms, "revision = ?", (revision,))))
    if not found:
        raise Refusal("not_found", f"Revision {revision} is no longer kept (storage.history_transactions).")
    return found[0]


def _what_holds(session: Session, edits: Sequence[AnyEdit]) -> tuple[Sequence[AnyEdit], list[str]]:
    """The edits without those that the graph of today does not allow, and why it does not."""
    problems: list[str] = []
    while True:
        try:
            apply_edits(session.graph, edits, session.catalogue, session.limits)
        except Refusal as refusal:
            places = {int(found[1]) for p in refusal.problems if (found := re.match(r"edits\[(\d+)\]", p.where))}
            if not places:
                raise
            problems += [f"Not all could be taken back: {problem.message}" for problem in refusal.problems[:NAMED]]
            edits = [edit for index, edit in enumerate(edits) if index not in places]
        else:
            return edits, problems


def _what_stays(session: Session, entry: Entry, kept: Sequence[Change]) -> list[str]:
    """In words, each with who changed it since."""
    later = session.history.since(entry.revision)
    warnings = []
    for change in kept[:NAMED]:
        place = place_of(change)
        if isinstance(change, ConnectionChange):
            warnings.append(f"{place} stays away: one of its ends is gone.")
            continue
        since = next((other for other in reversed(later) if _touches(other, place)), None)
        who = f", by {since.author} (revision {since.revision})" if since else ""
        warnings.append(f"{place} stays as it is: it was changed since{who}.")
    if len(kept) > NAMED:
        warnings.append(f"So do {len(kept) - NAMED} more.")
    return warnings


def _touches(entry: Entry, place: str) -> bool:
    """Whether an entry changed what stands at a place, or what is around or within it; of a node also its wires."""
    for change in entry.changes:
        other = place_of(change)
        if other == place or other.startswith(f"{place}.") or place.startswith(f"{other}.") or f":{place}." in other:
            return True
    return False


# ---- The whole graph ---------------------------------------------------------------------------------------------


async def revert(session: Session, caller: Caller, revision: int, fade_ms: float | None, label: str) -> Receipt:
    """Makes the graph what it was at a revision, whoever changed it since."""
    graph = await graph_of_revision(session, revision)
    edits = edits_between(session.graph, graph, session.catalogue)
    label = label or f"revert to {revision}"
    return await session.apply(edits, caller=caller, fade_ms=fade_ms, label=label)


async def graph_of_revision(session: Session, revision: int) -> Graph:
    """The graph as it was; a Refusal (not_found) where that is not known any more, or not yet."""
    if revision == session.revision:
        return session.graph
    if revision > session.revision:
        raise Refusal("not_found", f"The graph is at revision {session.revision}; there is no revision {revision} yet.")
    oldest = session.history.oldest
    if oldest is not None and revision >= oldest - 1:
        later = session.history.since(revision)
        back = (change for entry in reversed(later) for change in reversed_changes(entry.changes))
        return await asyncio.to_thread(travelled, session.graph, back)
    store = session.keeping.store
    if store is not None:
        found = await store.ask(lambda connection, forms: graph_at(connection, forms, revision))
        if found is not None:
            return found
    raise Refusal("not_found", f"Revision {revision} is no longer kept (storage.history_transactions).")
