"""`history.*`: what was changed, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from tonnetz.daemon.entry import Entry, Kind
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.rfc3339 import written

from ..method_table import Call, Shell, method
from ..route import Route
from .graph import FadeMs, TransactionLabel

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

Revision = Annotated[int, Meta(ge=0, le=2**53, description="a revision of the graph")]
Author = Annotated[str, Meta(max_length=200, description="only what this one did, such as uid:1000")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="how many, at most")]
Before = Annotated[int, Meta(ge=0, le=2**53, description="only what came before this revision")]
Details = Annotated[bool, Meta(description="with the edits themselves")]

PLACES = 20  # that are listed of what an entry changed


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A transaction. `changed` are the places that it changed, the first twenty of `changes`; `of` is the revision that
    an undo or redo is of. `frame` counts from the start of that run of the daemon; `time` is UTC."""

    revision: int
    time: str
    frame: int | None
    author: str
    origin: str
    label: str
    kind: Kind
    changes: int
    changed: list[str]
    undone: bool
    of: int | None = None
    edits: list[Any] = []


@method(
    "history.list",
    role="viewer",
    shell=Shell("history", example="tonnetz history --limit 5"),
    http=Route("GET /api/history"),
)
async def list_(
    call: Call, limit: Limit = 20, before: Before | None = None, author: Author | None = None, details: Details = False
) -> list[HistoryEntry]:
    """List transactions, the newest first.

    As many are kept as the configuration says (`storage.history_transactions`), over restarts of the daemon.
    """
    found = await newest(call.session, limit, before, author)
    stacks = call.session.history.stacks
    undoable = {revision for stack in stacks.undoable.values() for revision in stack}
    known = call.session.history.known
    return [shown(entry, entry.revision in known and entry.revision not in undoable, call, details) for entry in found]


@method(
    "history.undo",
    role="operator",
    mutates=True,
    shell=Shell("undo [<revision>]", example="tonnetz undo"),
    http=Route("POST /api/history/undo", tagged=True),
)
async def undo(call: Call, revision: Revision | None = None, fade_ms: FadeMs | None = None) -> Receipt:
    """Take back the caller's newest transaction that still holds, or that of a revision, whoever made it.

    Only what it changed is changed back. What somebody has changed since stays, and is named in `warnings`. It is a
    transaction of its own, and the next undo takes back the one before.
    """
    from tonnetz.daemon import undoing

    return await undoing.undo(call.session, call.caller, revision, fade_ms)


@method(
    "history.redo",
    role="operator",
    mutates=True,
    shell=Shell("redo", example="tonnetz redo"),
    http=Route("POST /api/history/redo", tagged=True),
)
async def redo(call: Call, fade_ms: FadeMs | None = None) -> Receipt:
    """Do again what the caller undid last; not after they have changed something else."""
    from tonnetz.daemon import undoing

    return await undoing.redo(call.session, call.caller, fade_ms)


@method(
    "history.revert",
    role="operator",
    mutates=True,
    shell=Shell("revert <revision>", example="tonnetz revert 0"),
    http=Route("POST /api/history/revert", tagged=True),
)
async def revert(
    call: Call, revision: Revision, fade_ms: FadeMs | None = None, label: TransactionLabel = ""
) -> Receipt:
    """Make the graph what it was at a revision, whoever changed it since, in one transaction.

    Nodes that it had then and has now are kept and play on.
    """
    from tonnetz.daemon import undoing

    return await undoing.revert(call.session, call.caller, revision, fade_ms, label)


async def newest(session: Session, limit: int, before: int | None, author: str | None) -> list[Entry]:
    """The newest entries that there are, the newest first."""
    from tonnetz.daemon.storage.journal import entries

    top = 2**53 if before is None else before
    if session.keeping.store is None:
        at_hand = [entry for entry in session.history.since(-1) if entry.revision < top]
        return [entry for entry in reversed(at_hand) if author in (None, entry.author)][:limit]
    condition = "revision < ? AND (author = ? OR ? IS NULL) ORDER BY revision DESC LIMIT ?"
    values = (top, author, author, limit)
    return await session.keeping.store.ask(
        lambda connection, forms: list(entries(connection, forms, condition, values))
    )


def shown(entry: Entry, undone: bool, call: Call, details: bool) -> HistoryEntry:
    from tonnetz.daemon.graph.difference import place_of
    from tonnetz.daemon.graph.secrecy import veiled_edits

    edits = msgspec.to_builtins(veiled_edits(entry.edits, call.session.catalogue)) if details else []
    return HistoryEntry(
        revision=entry.revision,
        time=written(entry.time_ns, "milliseconds"),
        frame=entry.frame,
        author=entry.author,
        origin=entry.origin,
        label=entry.label,
        kind=entry.kind,
        changes=len(entry.changes),
        changed=list(dict.fromkeys(map(place_of, entry.changes)))[:PLACES],
        undone=undone,
        of=entry.of,
        edits=edits,
    )
