"""`graph.diff`: what two graphs differ in, each of them now, at a revision, in a snapshot or in a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.difference import Change, ConnectionChange, NameChange, NodeChange, place_of

from ..method_table import Call, Shell, method
from ..route import Route

if TYPE_CHECKING:
    from tonnetz.daemon.graph.model import Graph

Words = Annotated[str, Meta(max_length=200)]
RevisionNumber = Annotated[int, Meta(ge=0, le=2**53)]
Side = Annotated[
    RevisionNumber | Words | dict[str, Any], Meta(description="a revision, a snapshot's name, or a graph document")
]
Kind = Literal["name", "node_added", "node_removed", "node_replaced", "changed", "connected", "disconnected"]


class DifferenceView(msgspec.Struct, frozen=True):
    """One thing that differs: its place (`eq.bands.1.gain_db`, a node, a connection), and what stands there in both."""

    place: str
    kind: Kind
    before: Any
    after: Any


class Differences(msgspec.Struct, frozen=True):
    """All that differs, and the edits that lead from the one to the other. No secrets."""

    changes: list[DifferenceView]
    edits: list[Any]


@method(
    "graph.diff",
    role="viewer",
    shell=Shell("diff <base> [<target>]", example="tonnetz diff 1"),
    http=Route("GET /api/graph/diff"),
)
async def diff(call: Call, base: Side, target: Side | None = None) -> Differences:
    """Tell what differs between two graphs.

    Each is a revision, the name of a snapshot, or a document; the second is the graph as it is unless given.
    """
    import asyncio

    from tonnetz.daemon.graph.difference import difference
    from tonnetz.daemon.graph.document import edits_between
    from tonnetz.daemon.graph.secrecy import veiled_changes, veiled_edits

    catalogue = call.session.catalogue
    old = await graph_of(call, base)
    new = call.session.graph if target is None else await graph_of(call, target)

    def compare() -> Differences:
        changes = veiled_changes(difference(old, new), catalogue)
        edits = veiled_edits(edits_between(old, new, catalogue), catalogue)
        return Differences([view(change) for change in changes], msgspec.to_builtins(edits))

    return await asyncio.to_thread(compare)


async def graph_of(call: Call, side: int | str | dict[str, Any]) -> Graph:
    from tonnetz.daemon.graph.document import parse_document
    from tonnetz.daemon.graph.mending import mended
    from tonnetz.daemon.storage import snapshots
    from tonnetz.daemon.undoing import graph_of_revision

    from .snapshots import store_of

    session = call.session
    if isinstance(side, dict):
        return parse_document(side, session.catalogue, session.limits, session.graph)
    if isinstance(side, int) or side.isdecimal():
        return await graph_of_revision(session, int(side))
    stored = await store_of(call).ask(lambda connection, forms: snapshots.load(connection, forms, side))
    return mended(stored, session.catalogue, session.limits)[0]


def view(change: Change) -> DifferenceView:
    before: Any
    after: Any
    kind: Kind = "changed"
    if isinstance(change, ConnectionChange):
        before, after = not change.made, change.made
        kind = "connected" if change.made else "disconnected"
    else:
        before, after = msgspec.to_builtins(change.before), msgspec.to_builtins(change.after)
    if isinstance(change, NameChange):
        kind = "name"
    elif isinstance(change, NodeChange):
        kind = "node_added" if before is None else "node_removed" if after is None else "node_replaced"
    return DifferenceView(place_of(change), kind, before, after)
